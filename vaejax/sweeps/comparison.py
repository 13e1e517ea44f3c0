"""A page that compares runs and sweeps: values, curves, pictures, and how their configs differ."""

import itertools
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from vaejax.config.fields import flat
from vaejax.errors import UserError
from vaejax.plural import counted
from vaejax.reporting import page
from vaejax.reporting.page import is_number
from vaejax.reporting.values import lines_of, protocol_of, show, with_error
from vaejax.runs import sweep_files
from vaejax.runs.files import read_json, read_rows, write_atomic
from vaejax.runs.workdir import read_config
from vaejax.sweeps import sections, summary

# Fields in which protocols may differ without a warning: runs differ in their number of steps.
MAY_DIFFER = ('step',)
NOT_METRICS = (*sections.NOT_METRICS, 'lr', 'final')


class Entry(NamedTuple):
  """A run, or a setting of a sweep, with the mean over its seeds.

  Attributes:
    label: short and unique.
    seeds: their number, '2 seeds, 1 frozen'.
    values: {name: (value, error)}.
    protocols: {name: what the value depends on}.
    config: {field: text}.
    rows: of metrics.jsonl.
    images: {title: folder of pictures}; {} if an earlier entry shows them.
  """

  label: str
  seeds: str
  values: dict[str, tuple[float | None, float | None]]
  protocols: dict[str, dict]
  config: dict[str, str]
  rows: list[dict]
  images: dict[str, Path]


def write_comparison(paths: Sequence[Path], out: Path) -> tuple[Path, list[str]]:
  """Writes a page that compares the runs and sweeps in these workdirs, and returns its path and a
  line for each difference of protocols. Raises UserError."""
  named = zip(paths, labels(paths), strict=True)
  entries = [entry for path, label in named for entry in read(path, label)]
  warnings = differing_protocols(entries)
  title = ' · '.join(dict.fromkeys(e.config.get('method', '') for e in entries))
  shown = entries[: len(page.COLORS)]
  more = len(entries) - len(shown)
  subtitle = counted(len(entries), 'run or setting', 'runs and settings')
  subtitle += f', the first {len(shown)} in charts' * (more > 0)
  parts = [
    ''.join(f'<p class="warning">⚠ {escape(line)}</p>' for line in warnings),
    '<h2>Values</h2>',
    values_table(entries),
    curves(shown),
    pictures(shown),
    config_differences(entries),
    protocol_table(entries),
  ]
  write_atomic(out, page.render(f'Comparison of {title}', subtitle, parts))
  return out, warnings


def labels(paths: Sequence[Path]) -> list[str]:
  """The names of folders, or their paths where names are the same. Raises UserError for a path that
  is given twice."""
  resolved = [path.resolve() for path in paths]
  for path in paths:
    if resolved.count(path.resolve()) > 1:
      raise UserError(f'{path} is given twice. Give each run once')
  names = [path.name for path in resolved]
  return [n if names.count(n) == 1 else str(p) for n, p in zip(names, paths, strict=True)]


def read(path: Path, label: str) -> list[Entry]:
  """The entries of a workdir. Raises UserError if it contains no run and no sweep."""
  if sweep_files.is_sweep(path):
    return read_sweep(path, label)
  folder, member = sweep_files.parse_member(path)
  results, seeds = {}, counted(1, 'seed')
  if member is not None:
    stack = sweep_files.stack_of(folder, member)
    rows = [r for r in read_rows(stack / 'metrics.jsonl') if r.get('member') == member]
    label = f'{folder.name}/{member}' if label == str(member) else label
    config, images = sweep_files.read_run_config(path), {}
    results, frozen = results_of(stack, member)
    seeds = count_seeds(1, int(frozen))
  else:
    check_run(path)
    rows, images = read_rows(path / 'metrics.jsonl'), {label: path / 'images'}
    config = read_config(path).config
  file = path / 'evaluation.json'
  results |= read_json(file) if file.is_file() else {}
  results = {n: r for n, r in results.items() if isinstance(r, dict) and is_number(r.get('value'))}
  values = {name: (r['value'], r.get('error')) for name, r in results.items()}
  protocols = {name: protocol_of(r) for name, r in results.items()}
  return [Entry(label, seeds, values, protocols, texts(config), rows, images)]


def results_of(stack: Path, member: int) -> tuple[dict[str, dict], bool]:
  """The values that a member had at the end of the sweep, as in evaluation.json, and whether it is
  frozen: then it has none."""
  row = sweep_files.read_results(stack).get(member)
  if row is None or row['frozen']:
    return {}, row is not None
  protocols, errors = read_json(stack / 'results.json')['protocols'], row['errors']
  return {
    name: {**protocols.get(name, {}), 'step': row['step'], 'value': x, 'error': errors.get(name)}
    for name, x in row['values'].items()
  }, False


def count_seeds(members: int, frozen: int) -> str:
  """'2 seeds, 1 frozen' of three members."""
  return counted(members - frozen, 'seed') + (f', {frozen} frozen' if frozen else '')


def check_run(path: Path) -> None:
  """Raises UserError for a folder that is no run but contains some, and names them."""
  if not path.is_dir() or (path / 'config.json').is_file():
    return
  found = (f for depth in ('*', '*/*') for f in sorted(path.glob(depth)) if f.is_dir())
  is_run = lambda f: sweep_files.is_sweep(f) or (f / 'config.json').is_file()
  runs = list(itertools.islice(filter(is_run, found), 3))
  if not runs:
    return
  problem = f'{path} contains no run itself'
  if (path / 'table.json').is_file():
    problem = f'{path} is the workdir of a table, whose page is {path / "report.html"}'
  raise UserError(f'{problem}. Use a run below it, such as {", ".join(map(str, runs))}')


def read_sweep(folder: Path, label: str) -> list[Entry]:
  """An entry for each setting of a sweep that has finished members, in their order."""
  fields, results = sweep_files.read_sweep(folder)['values'], summary.read_results(folder)
  names = dict.fromkeys(name for row in results.values() for name in row['values'])
  unordered = sweep_files.read_unordered(folder)
  names = [name for name in names if name not in unordered]
  protocols, entries, seen = sweep_files.read_protocols(folder), [], set()
  rows = read_rows(folder / 'metrics.jsonl')
  rows = [{name: x for name, x in row.items() if name not in unordered} for row in rows]
  for setting in summary.group_settings(fields, results, names):
    members = [number for number in setting.members if number in results]
    if not members:
      continue
    stack = sweep_files.stack_of(folder, members[0])
    configs = [sweep_files.read_run_config(folder / 'members' / str(m)) for m in members]
    config = texts(configs[0]) | {'seed': ', '.join(str(c.seed) for c in configs)}
    seeds = count_seeds(len(members), setting.frozen)
    values = {}
    for name, (mean, error) in setting.means.items():
      error = setting.errors.get(name) if error is None else error
      values |= {name: (mean, error)} if mean is not None else {}
    of_members = [row for row in rows if row.get('member') in setting.members]
    images = {f'{label}, stack {stack.name}': stack / 'images'} if stack not in seen else {}
    seen.add(stack)
    name = f'{label}: {setting.label}' if setting.fields else label
    of_values = {n: p for n, p in protocols.items() if n in values}
    entries.append(Entry(name, seeds, values, of_values, config, of_members, images))
  if not entries:
    raise UserError(f'{folder} is a sweep without a finished member. Resume it first')
  return entries


def texts(config) -> dict[str, str]:
  """{field: text} of a config."""
  return {field: show(value) for field, value in flat(config).items()}


def differing_protocols(entries: Sequence[Entry]) -> list[str]:
  """A line for each field of protocols that differs between entries with the same values:
  'nll: samples is 50 in a; 5000 in b'."""
  lines = {}  # {(field and who has what): names of the values}
  for name in dict.fromkeys(name for e in entries for name in e.protocols):
    of_value = [(e.label, e.protocols[name]) for e in entries if name in e.protocols]
    for field in dict.fromkeys(field for _, protocol in of_value for field in protocol):
      has = {}
      for label, protocol in of_value:
        has.setdefault(show(protocol.get(field)) or 'missing', []).append(label)
      if len(has) > 1 and field not in MAY_DIFFER:
        text = '; '.join(f'{x} in {", ".join(who)}' for x, who in has.items())
        lines.setdefault(f'{field} is {text}', []).append(name)
  return [f'{", ".join(names)}: {text}' for text, names in lines.items()]


def values_table(entries: Sequence[Entry]) -> str:
  """A row for each entry, with its values and their errors."""
  names = list(dict.fromkeys(name for e in entries for name in e.values))
  rows = []
  for e in entries:
    of_entry = [with_error(*e.values[n]) if n in e.values else '–' for n in names]
    rows.append([e.label, e.seeds, *of_entry])
  several = 'over seeds, or over test examples for one seed'
  return f'<p>± is the standard error {several}.</p>' + page.table(['', 'seeds', *names], rows)


def curves(entries: Sequence[Entry]) -> str:
  """A chart for each metric and split, with a curve for each entry: the mean over its seeds."""
  colored = zip(page.COLORS, entries, strict=False)
  rows = ((color, row) for color, e in colored for row in e.rows)
  points = sections.collect(rows, NOT_METRICS)
  cards = []
  for (split, name), steps_of in sorted(points.items()):
    cards.append(page.chart_card(name, split, *sections.means_and_bands(steps_of)))
  legend = page.legend((c, e.label) for c, e in zip(page.COLORS, entries, strict=False))
  heading = '<h2>Curves, mean over seeds ± its standard error</h2>'
  return f'{heading}<p>{legend}</p><div class="cards">{"".join(cards)}</div>' if cards else ''


def pictures(entries: Sequence[Entry]) -> str:
  """The newest picture of each kind, of all entries side by side."""
  kinds = {}
  for e in entries:
    for title, folder in e.images.items():
      for kind, files in page.pictures_of(folder).items():
        kinds.setdefault(kind, []).append((title, *files[-1]))
  parts = []
  for kind, files in kinds.items():
    cards = (page.picture_card(title, f'step {s:,}', p.read_bytes()) for title, s, p in files)
    parts.append(f'<h2>{escape(kind.capitalize())}</h2><div class="cards">{"".join(cards)}</div>')
  return ''.join(parts)


def config_differences(entries: Sequence[Entry]) -> str:
  """A table of the fields in which configs differ, with a column for each entry."""
  fields = sorted({field for e in entries for field in e.config})
  rows = [[field, *(e.config.get(field, '–') for e in entries)] for field in fields]
  rows = [row for row in rows if len(set(row[1:])) > 1]
  heading = '<h2>Differences of the configs</h2>'
  return heading + (page.table(['field', *(e.label for e in entries)], rows) if rows else 'None.')


def protocol_table(entries: Sequence[Entry]) -> str:
  """What each value depends on, over all entries."""
  same = {}  # {protocol: names of values}
  for name in dict.fromkeys(name for e in entries for name in e.protocols):
    text = lines_of(e.protocols[name] for e in entries if name in e.protocols)
    same.setdefault(text, []).append(name)
  rows = [[', '.join(names), text] for text, names in same.items()]
  return f'<h2>Protocols</h2>{page.table(["values", "depend on"], rows)}' if rows else ''
