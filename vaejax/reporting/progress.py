"""What a run that is training shows on the terminal."""

import contextlib
import datetime
import math
import os
from collections import deque

from vaejax.reporting.images import short


class Progress:
  """See Log.progress, away and say; `clock` gives seconds."""

  def __init__(self, stream, total: int, images_per_step: int, clock):
    self._stream, self._total, self._images, self._clock = stream, total, images_per_step, clock
    self._live = stream.isatty() and os.environ.get('TERM') != 'dumb'
    self._first = None  # (seconds, step) of the first call: what came before is start-up
    self._recent = deque()  # the same of the last 5 seconds
    self._drawn = -math.inf
    self._pending, self.away = None, 0.0

  def show(self, step, values):
    now = self._clock() - self.away
    self._first = self._first or (now, step)
    self._recent.append((now, step))
    while len(self._recent) > 2 and now - self._recent[1][0] > 5:
      self._recent.popleft()
    self._pending = step, dict(values)
    if step >= self._total or now - self._drawn >= (0.1 if self._live else 10):
      self._draw()
      self._drawn = now

  def say(self, text):
    self._write('\r' + text.ljust(self._columns()) + '\n' if self._live else text + '\n')

  def close(self):
    if self._pending:
      self._draw()
    if self._live and self._first:
      self._write('\n')
    self._live = False

  def _draw(self):
    (step, values), self._pending = self._pending, None
    text = '  '.join(self._parts(step, values))
    if self._live:
      full = min(10, 10 * step // max(self._total, 1))
      text = f'[{"#" * full}{"." * (10 - full)}]{text}'
      columns = self._columns()
      text = '\r' + text[:columns].ljust(columns)
    self._write(text if self._live else text + '\n')

  def _parts(self, step, values):
    label = '' if self._live else 'step '  # a terminal of 80 columns has no room to spare
    yield f'{step / max(self._total, 1):4.0%}  {label}{step}/{self._total}'
    (start, origin), (before, past), (now, _) = self._first, self._recent[0], self._recent[-1]
    if now > before and step > past:
      left = round((self._total - step) * (now - start) / (step - origin))
      rate = (step - past) / (now - before)
      images = rate * self._images
      yield str(datetime.timedelta(seconds=left)).removeprefix('0:') + ' left'
      yield f'{short(rate)} steps/s'
      yield (f'{images / 1e3:,.0f}k' if images >= 1e4 else short(images)) + ' images/s'
    yield from (f'{k} {short(v)}' for k, v in values.items() if k not in ('lr', 'steps_per_s'))

  def _columns(self):
    try:  # one fewer, since a full line wraps on some terminals
      return (os.get_terminal_size(self._stream.fileno()).columns or 80) - 1
    except (OSError, ValueError):
      return 79

  def _write(self, text):
    # A terminal that has gone, or a pipe that nobody reads, is no reason to stop a run.
    with contextlib.suppress(OSError, ValueError):
      self._stream.write(text)
      self._stream.flush()
