"""Summary files of a sweep: metrics.jsonl, results.csv, table.csv, paired.csv and report.html."""

import csv
import fcntl
import io
import math
from html import escape
from pathlib import Path
from typing import NamedTuple

from vaejax.estimates import Estimate
from vaejax.reporting import page
from vaejax.reporting.lines import aligned
from vaejax.reporting.log import filter_rows
from vaejax.reporting.values import with_error
from vaejax.runs import sweep_files
from vaejax.runs.files import read_rows, write_atomic
from vaejax.runs.workdir import read_config
from vaejax.sweeps import paired, sections

MAX_SHOWN = 8  # settings in a chart and in the printed table


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
    write_results(folder, values, results, names)
    unordered = sweep_files.read_unordered(folder)
    shared = lambda named: {name: x for name, x in named.items() if name not in unordered}
    names = list(shared(dict.fromkeys(names)))
    settings = group_settings(values, results, names, order, best.startswith('-'))
    write_settings(folder, settings, names)
    comparisons = paired.compare(settings, values, results, names)
    write_csv(folder / 'paired.csv', paired.HEAD, map(paired.as_csv, comparisons))
    title = f'{config.method} on {config.data.name}: {len(values)} members'
    subtitle = f'{folder.resolve().name} · {len(settings)} settings'
    subtitle += f', the first {MAX_SHOWN} shown' if len(settings) > MAX_SHOWN else ''
    parts = [
      f'<h2>Settings{", best first" if order else ""}</h2><p>{escape(caption(settings))}</p>',
      page.table(*format_settings(settings, names)),
      sections.paired_section(settings[:MAX_SHOWN], comparisons),
      sections.curves(settings[:MAX_SHOWN], map(shared, read_rows(folder / 'metrics.jsonl'))),
      page.pictures(logs[0].parent / 'images'),
      sections.protocol_section(shared(sweep_files.read_protocols(folder))),
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
  """A table of new values of members as text, a line for each setting; without values that mean
  nothing over seeds."""
  values, names = sweep_files.read_sweep(folder)['values'], {}
  results = {}
  for number, named in estimates.items():
    names |= dict.fromkeys(name for name, e in named.items() if not e.unordered)
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
    means = {name: sections.mean_and_error(finite) for name, finite in of_name.items()}
    errors = active[0].get('errors', {}) if len(active) == 1 else {}
    settings.append(Setting(dict(fields), members, len(finished) - len(active), means, errors))

  def rank(setting: Setting) -> float:
    mean, _ = setting.means.get(order, (None, None))
    return math.inf if mean is None else mean if ascending else -mean

  return sorted(settings, key=rank)


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
