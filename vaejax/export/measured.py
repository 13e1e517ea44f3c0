"""What was measured of quantised files, as a section of card.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from vaejax.export.latency import BATCHES, THREADS, label
from vaejax.export.markdown import table
from vaejax.reporting.values import with_error

VALUES = {
  'elbo': 'ELBO, nats',
  'elbo_change': 'its change',
  'agreement': "judge's agreement",
  'same_class': 'same class as in float32',
  'frechet_distance': 'Fréchet distance',
}


def section(about: Mapping[str, Any], files: Sequence[Mapping[str, Any]]) -> list[str]:
  """The lines of the section, [] if nothing is quantised.

  Args:
    about: what values depend on, see quantised.py.
    files: of the card.
  """
  if not about:
    return []
  timed = [file for file in files if 'milliseconds' in file]
  lines = ['', '## Quantised', '', *table_of(timed), '', *explained(about)] if timed else []
  read = [f'- Read `{f["path"]}` {f["reading"]}.' for f in files if 'reading' in f]
  return [*lines, '', *read] if lines else ['', '## Quantised', '', *read]


def table_of(files: Sequence[Mapping[str, Any]]) -> list[str]:
  """A row for each file: its size, milliseconds and values."""
  plain = {file['function']: file['bytes'] for file in files if 'quantised' not in file}
  values = [name for name in VALUES if any(name in file for file in files)]
  times = [f'ms, batch {n} ({" / ".join(map(str, THREADS))} threads)' for n in BATCHES]
  rows = []
  for file in files:
    took = file['milliseconds']
    row = [file['path'], f'{file["bytes"] / 1000:.1f}']
    row.append(f'{file["bytes"] / plain[file["function"]]:.3f}')
    row += [' / '.join(f'{took[label(n, t)]:.3g}' for t in THREADS) for n in BATCHES]
    estimates = (file.get(name) for name in values)
    row += [with_error(x['value'], x['error']) if x else '' for x in estimates]
    rows.append(row)
  head = ['file', 'kB', 'of float32', *times, *(VALUES[name] for name in values)]
  return table(head, rows)


def explained(about: Mapping[str, Any]) -> list[str]:
  """What the values depend on, a line each."""
  rounds = 'medians of alternating rounds, of each the fastest call'
  lines = [f'- Milliseconds are {rounds}, on {about["machine"]}.']
  if 'calibrated_on' in about:
    lines.append(f'- int8 is calibrated on {about["calibrated_on"]}.')
  rows = about.get('held_out')
  lines.append(
    f'- Values are of {rows}, one draw of the latents of each, the same for all.' if rows else ''
  )
  if 'judged_by' in about:
    accuracy = about['judge_accuracy']
    right = f', which is right about {100 * accuracy:.2f} % of the test split' if accuracy else ''
    lines.append(f'- The judge is that of {about["judged_by"]}{right}.')
  lines += [f'- Left out: {reason}.' for reason in about.get('left_out', ())]
  for kind, how in about.get('session_options', {}).items():
    words = ', '.join(f'`{name}` = {value}' for name, value in how.items())
    lines.append(f'- {kind} is fastest with the session option {words}.')
  return [line for line in lines if line]
