"""Summary files of a sweep: metrics.jsonl, results.csv, table.csv, paired.csv and report.html."""

import csv
import fcntl
import io
import math
import statistics
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from vaejax.estimates import Estimate
from vaejax.reporting import page
from vaejax.reporting import values as value_texts
from vaejax.reporting.lines import aligned
from vaejax.reporting.log import filter_rows
from vaejax.reporting.page import is_number
from vaejax.reporting.values import with_error
from vaejax.runs import sweep_files
from vaejax.runs.files import read_rows, write_atomic
from vaejax.runs.workdir import read_config
from vaejax.sweeps import paired

MAX_SHOWN = 8  # settings in a chart and in the printed table
NOT_METRICS = ('step', 'split', 'seconds', 'member', 'steps_per_s', 'final')


class Setting(NamedTuple):
  """Members that differ in their seed alone.

  Attributes:
    fields: {swept field: text of its value}, without the seed.
    members: their numbers.
    frozen: how many of them were frozen.
    means: {metric: (mean, its standard error)} over the other members; None if unknown.
    errors: {metric: standard error over examples} of a single member; {} of several.
  """

  fields: dict[str, str]
  members: list[int]
  frozen: int
  means: dict[str, tuple[float | None, float | None]]
  errors: dict[str, float | None]

  @property
  def label(self) -> str:
    """The setting in words: 'beta=4, lr=0.001'."""
    words = (f'{field.split(".")[-1]}={text}' for field, text in self.fields.items())
    return ', '.join(words) or 'all'


def write_summary(folder: Path) -> str:
  """Writes the summary files of a sweep, and returns its table as text: a line for each setting,
  mean ± standard error over its seeds. Rewritten each time a stack finishes."""
  with open(folder / '.summary.lock', 'wb') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)  # jobs that end together take turns
    values, results = sweep_files.read_sweep(folder)['values'], read_results(folder)
    logs = sorted(folder.glob('stacks/*/metrics.jsonl'), key=lambda path: int(path.parent.name))
    rows = (filter_rows(path.read_bytes(), lambda row: 'member' in row) for path in logs)
    write_atomic(folder / 'metrics.jsonl', b''.join(rows))
    config = read_config(logs[0].parent).config
    names = list(dict.fromkeys(name for row in results.values() for name in row['values']))
    best = config.checkpoint.best
    order = f'validation/{best.lstrip("-")}'  # the test split chooses nothing
    order = order if order in names else ''
    settings = group_settings(values, results, names, order, best.startswith('-'))
    write_results(folder, values, results, names)
    write_settings(folder, settings, names)
    comparisons = paired.compare(settings, values, results, names)
    write_csv(folder / 'paired.csv', paired.HEAD, map(paired.as_csv, comparisons))
    title = f'{config.method} on {config.data.name}: {len(values)} members'
    subtitle = f'{folder.resolve().name} · {len(settings)} settings'
    subtitle += f', the first {MAX_SHOWN} shown' if len(settings) > MAX_SHOWN else ''
    parts = [
      f'<h2>Settings{", best first" if order else ""}</h2><p>{escape(caption(settings))}</p>',
      page.table(*format_settings(settings, names)),
      paired_section(settings, comparisons),
      curves(settings[:MAX_SHOWN], read_rows(folder / 'metrics.jsonl')),
      page.pictures(logs[0].parent / 'images'),
      protocol_section(sweep_files.read_protocols(folder)),
      page.config_table(config),
    ]
    write_atomic(folder / 'report.html', page.render(title, subtitle, parts))
  extreme = 'smallest' if best.startswith('-') else 'largest'
  about = caption(settings) + (f', {extreme} {order} first' if order else '')
  return f'{about}\n{settings_text(*format_settings(settings, names))}'


def caption(settings: list[Setting]) -> str:
  """What the errors of a table are."""
  texts = ['mean ± standard error over seeds'] * any(not s.errors for s in settings)
  if any(s.errors for s in settings):
    texts.append('with one seed, value ± standard error over examples')
  return '; '.join(texts)


def estimates_text(folder: Path, estimates: dict[int, dict[str, Estimate]]) -> str:
  """A table of new values of members as text, a line for each setting."""
  values, names = sweep_files.read_sweep(folder)['values'], {}
  results = {}
  for number, named in estimates.items():
    names |= dict.fromkeys(named)
    of_member = {name: e.value for name, e in named.items() if math.isfinite(e.value)}
    errors = {name: e.error for name, e in named.items()}
    results[number] = {'frozen': False, 'values': of_member, 'errors': errors}
  settings = group_settings(values, results, list(names))
  head, rows = format_settings(settings, list(names))
  return f'{caption(settings)}\n{settings_text(head, rows)}'


def read_results(folder: Path) -> dict[int, dict]:
  """{member: its 'step', 'frozen' and 'values'} of all stacks that have finished."""
  results = {}
  for number in range(len(sweep_files.read_sweep(folder)['stacks'])):
    results |= sweep_files.read_results(sweep_files.stack_folder(folder, number))
  return results


def frozen_members(folder: Path) -> set[int]:
  """The numbers of all members that were frozen."""
  return {number for number, row in read_results(folder).items() if row['frozen']}


def group_settings(
  values: list[dict], results: dict, names: list[str], order: str = '', ascending: bool = False
) -> list[Setting]:
  """The settings, sorted by the mean of the metric `order`; those without one come last."""
  numbers = {}
  for number, fields in enumerate(values):
    key = tuple((field, text) for field, text in fields.items() if field != 'seed')
    numbers.setdefault(key, []).append(number)
  settings = []
  for fields, members in numbers.items():
    finished = [results[number] for number in members if number in results]
    active = [row for row in finished if not row['frozen']]
    of_name = {n: [v for row in active if (v := row['values'].get(n)) is not None] for n in names}
    means = {name: mean_and_error(finite) for name, finite in of_name.items()}
    errors = active[0].get('errors', {}) if len(active) == 1 else {}
    settings.append(Setting(dict(fields), members, len(finished) - len(active), means, errors))

  def rank(setting: Setting) -> float:
    mean, _ = setting.means.get(order, (None, None))
    return math.inf if mean is None else mean if ascending else -mean

  return sorted(settings, key=rank)


def mean_and_error(values: list[float]) -> tuple[float | None, float | None]:
  """The mean and its standard error; None if there are too few values."""
  error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
  return statistics.fmean(values) if values else None, error


def write_results(folder: Path, values: list[dict], results: dict, names: list[str]) -> None:
  """Writes results.csv: a row for each member that has finished, whose errors are standard errors
  over examples."""
  rows = [
    [number, *values[number].values(), row['step'], int(row['frozen'])]
    + [row[kind].get(name) for name in names for kind in ('values', 'errors')]
    for number, row in sorted(results.items())
  ]
  head = ['member', *values[0], 'step', 'frozen', *with_errors(names)]
  write_csv(folder / 'results.csv', head, rows)


def write_settings(folder: Path, settings: list[Setting], names: list[str]) -> None:
  """Writes table.csv: a row for each setting, whose errors are standard errors over seeds."""
  head = [*settings[0].fields, 'members', 'frozen', *with_errors(names)]
  rows = [
    [*s.fields.values(), len(s.members), s.frozen, *(x for name in names for x in s.means[name])]
    for s in settings
  ]
  write_csv(folder / 'table.csv', head, rows)


def with_errors(names: list[str]) -> list[str]:
  """The columns of values and their errors."""
  return [f'{name}{end}' for name in names for end in ('', '_error')]


def write_csv(path: Path, head: list[str], rows: list[list]) -> None:
  """Writes a table; None is an empty cell."""
  text = io.StringIO()
  csv.writer(text, lineterminator='\n').writerows([head, *rows])
  write_atomic(path, text.getvalue())


def format_settings(settings: list[Setting], names: list[str]) -> tuple[list[str], list[list[str]]]:
  """The head and rows of the settings as texts, with frozen members if there are any. The error of
  a setting with one seed is that over examples, see caption."""
  any_frozen = any(s.frozen for s in settings)

  def cell(setting: Setting, name: str) -> str:
    mean, error = setting.means[name]
    return with_error(mean, setting.errors.get(name) if error is None else error)

  head = [*settings[0].fields, 'members', *['frozen'] * any_frozen, *names]
  rows = [
    [*s.fields.values(), str(len(s.members)), *[str(s.frozen)] * any_frozen]
    + [cell(s, name) for name in names]
    for s in settings
  ]
  return head, rows


def settings_text(head: list[str], rows: list[list[str]]) -> str:
  """The first rows of a table as aligned text."""
  more = len(rows) - MAX_SHOWN
  return aligned(head, rows[:MAX_SHOWN], left=0) + (
    f'\n... and {more} more in table.csv' * (more > 0)
  )


def protocol_section(protocols: dict[str, dict]) -> str:
  """A table of what each value depends on."""
  head, rows = value_texts.table_of(protocols)
  rows = [row[:1] + row[3:] for row in rows]  # without value and interval
  return f'<h2>Protocol</h2>{page.table(head[:1] + head[3:], rows)}' if rows else ''


def paired_section(settings: list[Setting], comparisons: list[paired.Comparison]) -> str:
  """A table of the paired differences of the shown settings from the first one, '' if there are
  none."""
  reference, shown = settings[0].label, {s.label for s in settings[:MAX_SHOWN]}
  rows = [
    paired.in_words(c) for c in comparisons if c.reference == reference and c.setting in shown
  ]
  if not rows:
    return ''
  note = (
    f"Each setting minus {reference}, seed by seed. The interval is of Student's t; the sign test "
    'asks whether both signs are as likely. All pairs are in paired.csv.'
  )
  heading = f'<h2>Paired differences over common seeds</h2><p>{escape(note)}</p>'
  return heading + page.table(['setting', 'value', 'seeds', *paired.COLUMNS], rows)


def curves(settings: list[Setting], rows: list[dict]) -> str:
  """A chart for each split and metric, with a curve for each setting: the mean over its members,
  with a band of its standard error."""
  colors = {n: page.COLORS[i] for i, s in enumerate(settings) for n in s.members}
  points = collect((colors[row['member']], row) for row in rows if row['member'] in colors)
  cards = []
  for (split, name), steps_of in sorted(points.items()):
    cards.append(page.chart_card(name, split, *means_and_bands(steps_of)))
  labels = [(color, s.label) for color, s in zip(page.COLORS, settings, strict=False)]
  several = any(len(s.members) > 1 for s in settings)
  heading = 'Curves' + ', mean over seeds ± its standard error' * several
  legend = f'<p>{page.legend(labels)}</p>'
  return f'<h2>{heading}</h2>{legend}<div class="cards">{"".join(cards)}</div>'


def collect(rows: Iterable[tuple[str, dict]], leave_out: Sequence[str] = NOT_METRICS):
  """{(split, metric): {color: {step: [of each member]}}} of (color, row of metrics.jsonl).

  Of several rows of a member at a step the last counts: the last test may be of more examples.
  """
  points = {}
  for color, row in rows:
    for name, value in row.items():
      if name not in leave_out and is_number(value):
        steps = points.setdefault((row['split'], name), {}).setdefault(color, {})
        steps.setdefault(row['step'], {})[row.get('member')] = value
  return {
    key: {
      color: {step: list(values.values()) for step, values in steps.items()}
      for color, steps in of_colors.items()
    }
    for key, of_colors in points.items()
  }


def means_and_bands(steps_of: dict[str, dict[int, list[float]]]) -> tuple[page.Curves, page.Bands]:
  """The curves and the bands of a chart, from {color: {step: values of the seeds}}: means, and
  means ± standard errors."""
  means, bands = {}, {}
  for color, steps in steps_of.items():
    of_step = [(step, *mean_and_error(values)) for step, values in sorted(steps.items())]
    means[color] = [(step, mean) for step, mean, _ in of_step]
    band = [(step, mean - e, mean + e) for step, mean, e in of_step if e is not None]
    bands |= {color: band} if band else {}
  return means, bands
