"""The progress line of a run in training: drawn in place on a terminal, as lines elsewhere."""

import contextlib
import os
import threading

from tqdm import tqdm

BAR = '{percentage:3.0f}% [{bar:10}] {n}/{total}{speed}{desc}'
LINE = '{percentage:3.0f}%  step {n}/{total}{speed}{desc}'


class Output:
  """A stream for tqdm. Off a terminal each redraw is a line of its own. Writing never fails: a
  terminal that was closed must not stop a run."""

  def __init__(self, stream):
    self.stream = stream
    self.is_terminal = stream.isatty() and os.environ.get('TERM') != 'dumb'

  def write(self, text: str) -> None:
    """Writes and flushes."""
    if not self.is_terminal:
      text = text.lstrip('\r').rstrip()
      text = text and text + '\n'
    with contextlib.suppress(OSError, ValueError):
      self.stream.write(text)
      self.stream.flush()

  def flush(self) -> None:
    """Does nothing: `write` flushes."""

  def columns(self) -> int | None:
    """The width to draw in: one less than a terminal has, because a full line wraps on some."""
    if not self.is_terminal:
      return None
    with contextlib.suppress(OSError, ValueError):
      # tqdm's own dynamic_ncols draws nothing on a terminal that reports no size.
      return (os.get_terminal_size(self.stream.fileno()).columns or 80) - 1
    return 79


class Bar(tqdm):
  """A tqdm bar with {speed} in its format: time left, steps/s and images/s, once there are any."""

  monitor_interval = 0  # no extra thread
  images_per_step = 0

  @property
  def format_dict(self):
    fields = super().format_dict
    done, elapsed = self.n - self.initial, fields['elapsed']
    rate, speed = fields['rate'] or (done / elapsed if elapsed else 0), ''
    if rate:
      steps, images = map(self.format_sizeof, (rate, rate * self.images_per_step))
      left = self.format_interval((self.total - self.n) / rate)
      speed = f'  {left} left  {steps} steps/s  {images} images/s'
    return fields | {'speed': speed}

  def __str__(self):
    # Without a width tqdm cuts nothing; then whole metrics are left out, and no number is cut.
    text = self.format_meter(**(self.format_dict | {'ncols': None}))
    fits = not self.ncols or len(text) <= self.ncols
    return text if fits else text[: self.ncols + 1].rpartition('  ')[0]


Bar.set_lock(threading.RLock())  # by default it shares a semaphore with other processes


class Progress:
  """Progress of a run towards step `total`. Time before the first call is start-up."""

  def __init__(self, stream, total: int, images_per_step: int):
    self._output, self._total, self._images_per_step = Output(stream), total, images_per_step
    self._bar = None

  def show(self, step: int, values) -> None:
    """See Log.show_progress."""
    shown = ((name, x) for name, x in values.items() if name not in ('lr', 'steps_per_s'))
    text = ''.join(f'  {name} {x:.4g}' for name, x in shown)
    if self._bar is not None:
      self._bar.desc, self._bar.ncols = text, self._output.columns()
      self._bar.update(step - self._bar.n)
      return
    is_terminal = self._output.is_terminal
    self._bar = Bar(
      desc=text,
      total=self._total,
      initial=step,
      position=0,  # runs in other threads have lines of their own
      file=self._output,
      mininterval=0.1 if is_terminal else 10,
      miniters=1,
      ncols=self._output.columns(),
      ascii=' #',
      bar_format=BAR if is_terminal else LINE,
      disable=False,
    )
    self._bar.images_per_step = self._images_per_step

  def exclude(self, seconds: float) -> None:
    """See Log.exclude."""
    if self._bar is not None:
      self._bar.start_t += seconds
      self._bar.last_print_t += seconds

  def print(self, text: str) -> None:
    """Prints a line of text above the bar."""
    if self._bar is not None and self._output.is_terminal:
      self._bar.write(text, file=self._output)
    else:
      self._output.write(text + '\n')

  def close(self) -> None:
    """Draws the last state, with the mean rates, unless it was printed already."""
    if self._bar is not None:
      self._bar.leave = self._output.is_terminal or self._bar.n > self._bar.last_print_n
      self._bar.close()
