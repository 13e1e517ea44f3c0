"""What a sweep tells of all its members: metrics.jsonl, results.csv, table.csv, report.html.

It is gathered anew whenever a stack has ended.
"""

import csv
import fcntl
import io
import math
import statistics
from html import escape
from pathlib import Path

from vaejax.reporting import report
from vaejax.reporting.html import table, whole
from vaejax.reporting.images import chart, short
from vaejax.runs import sweep_files
from vaejax.runs.files import parse_row, read_json, write_atomic
from vaejax.runs.sweep_files import read_results
from vaejax.runs.workdir import read_config

CURVES = 8  # settings that a plot shows, and the table that is printed


def gather(folder: Path) -> str:
  """Writes what is told of a sweep, and returns its table as text: a line for each setting of the
  swept fields but the seed, mean ± standard error over its seeds, best first."""
  with open(folder / '.gather', 'w') as turn:
    fcntl.flock(turn, fcntl.LOCK_EX)  # jobs that end together gather one after the other
    return tell(folder)


def tell(folder: Path) -> str:
  """What `gather` does when it is its turn."""
  saved = sweep_files.read_sweep(folder)
  rows, results = [], {}
  for number in range(len(saved['stacks'])):
    stack = sweep_files.stack_folder(folder, number)
    rows += lines(stack / 'metrics.jsonl')
    results |= read_results(stack)
  write_atomic(folder / 'metrics.jsonl', b''.join(line + b'\n' for line, _ in rows))
  names = list(dict.fromkeys(name for one in results.values() for name in one['values']))
  best = best_by(folder, names)
  settings = grouped(saved['values'], results, best)
  write_csv(folder / 'results.csv', *results_table(saved['values'], results, names))
  head, body = settings_table(settings, names)
  write_csv(folder / 'table.csv', head, body)
  page(folder, saved, settings, names, [row for _, row in rows], best)
  return printed(head, body, best)


def frozen(folder: Path) -> set[int]:
  """The members of a sweep that were frozen. Raises UserError."""
  stacks = enumerate(sweep_files.read_sweep(folder)['stacks'])
  every = (read_results(sweep_files.stack_folder(folder, n)) for n, _ in stacks)
  return {number for found in every for number, one in found.items() if one['frozen']}


def lines(path: Path) -> list[tuple[bytes, dict]]:
  """The lines of a metrics.jsonl that are rows of members, each with its row."""
  found = path.read_bytes().split(b'\n') if path.is_file() else []
  rows = ((line, parse_row(line)) for line in found)
  return [(line, row) for line, row in rows if row and type(row.get('member')) is int]


def best_by(folder: Path, names: list[str]) -> str:
  """The metric by which settings are ordered, '-' before it where smaller is better: that of
  checkpoint.best, of the validation split; '' where there is none: nothing is chosen by test."""
  begun = sorted(folder.glob('stacks/*/config.json'))
  chosen = read_config(begun[0].parent).config.checkpoint.best if begun else ''
  name = f'validation/{chosen.lstrip("-")}'
  return '-' * chosen.startswith('-') + name if chosen and name in names else ''


def grouped(values: list[dict], results: dict, best: str) -> list[dict]:
  """The settings, best first where there is a best: each its fields, the numbers of its members,
  how many of them were frozen, and of each metric the values of the others."""
  found = {}
  for number, fields in enumerate(values):
    key = tuple((field, text) for field, text in fields.items() if field != 'seed')
    one = found.setdefault(key, {'fields': dict(key), 'members': [], 'frozen': 0, 'values': {}})
    one['members'].append(number)
    if number not in results:
      continue
    if results[number]['frozen']:
      one['frozen'] += 1
      continue
    for name, value in results[number]['values'].items():
      if value is not None and math.isfinite(value):
        one['values'].setdefault(name, []).append(value)
  if not best:
    return list(found.values())
  name, sign = best.lstrip('-'), 1 if best.startswith('-') else -1
  mean = lambda one: statistics.fmean(one['values'][name]) if one['values'].get(name) else math.inf
  worst = lambda one: mean(one) if mean(one) == math.inf else sign * mean(one)
  return sorted(found.values(), key=worst)


def spread(values: list[float]) -> tuple[float, float]:
  """Mean, and the standard error of the mean: of one value alone it is not known (nan)."""
  error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
  return statistics.fmean(values), error


def results_table(values, results: dict, names) -> tuple[list[str], list[list]]:
  """Head and rows of results.csv: every member that has ended, with its values."""
  fields = list(values[0])
  head = ['member', *fields, 'step', 'frozen', *names]
  body = [
    [number, *(values[number][f] for f in fields), one['step'], int(one['frozen'])]
    + [one['values'].get(name) for name in names]
    for number, one in sorted(results.items())
  ]
  return head, body


def settings_table(settings: list[dict], names) -> tuple[list[str], list[list]]:
  """Head and rows of table.csv: every setting, best first."""
  fields = list(settings[0]['fields'])
  head = [*fields, 'members', 'frozen', *(f'{n}{end}' for n in names for end in ('', '_error'))]
  body = []
  for one in settings:
    found = [spread(one['values'][n]) if one['values'].get(n) else (None, None) for n in names]
    numbers = [None if x is None or math.isnan(x) else x for pair in found for x in pair]
    counts = [len(one['members']), one['frozen']]
    body.append([*(one['fields'][f] for f in fields), *counts, *numbers])
  return head, body


def write_csv(path: Path, head: list[str], body: list[list]) -> None:
  """Writes a table; None is an empty cell."""
  text = io.StringIO()
  csv.writer(text, lineterminator='\n').writerows([head, *body])
  write_atomic(path, text.getvalue())


def cells(head, body) -> tuple[list[str], list[list[str]]]:
  """A table of settings as people read it: 'mean ± error' in one cell, counts of frozen members
  only where there are any."""
  errors = {n.removesuffix('_error'): i for i, n in enumerate(head) if n.endswith('_error')}
  unfrozen = not any(row[head.index('frozen')] for row in body)
  hidden = {*errors.values()} | ({head.index('frozen')} if unfrozen else set())
  shown = [i for i in range(len(head)) if i not in hidden]

  def cell(row, i):
    value, error = row[i], row[errors[head[i]]] if head[i] in errors else None
    if not isinstance(value, float):
      return '–' if value is None else str(value)
    return f'{short(value)} ± {short(error)}' if error is not None else short(value)

  return [head[i] for i in shown], [[cell(row, i) for i in shown] for row in body]


def printed(head, body, best: str) -> str:
  """The first lines of the table of settings, aligned."""
  names, rows = cells(head, body)
  grid = [names, *rows[:CURVES]]
  widths = [max(len(row[i]) for row in grid) for i in range(len(names))]
  text = ['  '.join(f'{c:>{w}}' for c, w in zip(row, widths, strict=True)) for row in grid]
  more = [f'... and {len(rows) - CURVES} more in table.csv'] if len(rows) > CURVES else []
  order = f', {"smallest" if best.startswith("-") else "largest"} {best.lstrip("-")} first'
  return '\n'.join([f'mean ± standard error over seeds{order if best else ""}', *text, *more])


def page(folder: Path, saved: dict, settings, names, rows: list[dict], best: str) -> None:
  """Writes report.html: the table, a plot for each metric, the last pictures of the first stack,
  and the config."""
  head, body = cells(*settings_table(settings, names))
  first = sweep_files.stack_folder(folder, 0)
  config = {}
  if (first / 'config.json').is_file():
    config = dict(report.flat(read_json(first / 'config.json')))
  title = f'{report.title(config) or folder.resolve().name}: {len(saved["values"])} members'
  shown = settings[:CURVES]
  legend = ''.join(
    f'<span class="s{i}"><i></i>{escape(label(one))}</span>' for i, one in enumerate(shown)
  )
  note = f'{len(settings)} settings' + (f', the first {CURVES} shown' if settings[CURVES:] else '')
  order = ', best first' if best else ''
  parts = [
    f'<header><h1>{escape(title)}</h1><p>{escape(folder.resolve().name)} · {note}</p></header>',
    f'<h2>Settings{order}</h2><div class="card">{table(head, body)}</div>',
    f'<h2>Curves, mean over seeds</h2><p class="legend">{legend}</p>',
    f'<div class="charts">{plots(shown, rows)}</div>',
    report.pictures(first / 'images'),
  ]
  settings_of = [[name, report.text(value)] for name, value in config.items()]
  about = table(['field', 'value'], settings_of)
  parts.append(f'<details class="card"><summary>Configuration</summary>{about}</details>')
  write_atomic(folder / 'report.html', whole(title, parts))


def label(setting: dict) -> str:
  """A setting in words."""
  return ', '.join(f'{f.split(".")[-1]}={text}' for f, text in setting['fields'].items()) or 'all'


def plots(settings: list[dict], rows: list[dict]) -> str:
  """A chart for each metric and split: a curve for each setting, the mean over its members."""
  of = {number: i for i, one in enumerate(settings) for number in one['members']}
  curves = {}
  for row in rows:
    for name, value in row.items():
      plain = name not in ('step', 'split', 'seconds', 'member', 'steps_per_s', 'final')
      if plain and row['member'] in of and report.is_number(value):
        steps = curves.setdefault((row['split'], name), {}).setdefault(f's{of[row["member"]]}', {})
        steps.setdefault(row['step'], []).append(value)
  cards = []
  for (split, name), found in sorted(curves.items()):
    means = {
      css: [(step, statistics.fmean(values)) for step, values in sorted(steps.items())]
      for css, steps in sorted(found.items())
    }
    caption = f'<figcaption><h3>{escape(name)}</h3><span>{escape(split)}</span></figcaption>'
    cards.append(f'<figure class="card">{caption}{chart(means)}</figure>')
  return ''.join(cards)
