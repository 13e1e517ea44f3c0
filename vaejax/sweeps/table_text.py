"""A published table beside our results: as text, Markdown, JSON and a page."""

from collections.abc import Mapping
from typing import NamedTuple

from vaejax.config.table import Published, Table
from vaejax.estimates import Estimate
from vaejax.metrics import seeds
from vaejax.reporting import page as pages
from vaejax.reporting.lines import aligned
from vaejax.reporting.page import format_number
from vaejax.reporting.values import lines_of, with_error
from vaejax.sweeps.cells import finite
from vaejax.version import code_version

Records = Mapping[str, dict]  # {name of a cell: its record, see cells.record}

HEAD = 'row', 'value', 'published', 'ours', '95 % interval', 'covers it', 'seeds', 'time'
HEAD += ('processor time',)


class Row(NamedTuple):
  """One value of one row.

  Attributes:
    label: of the row, 'iwae-5' or 'anomaly, left_out=3'.
    value, heading: the name of the value, and its heading.
    published: None if the source has none.
    ours: the mean over seeds; of one seed its error is that over examples. None without a finite
      value.
    seeds, frozen: numbers of members.
    record: of the cell.
  """

  label: str
  value: str
  heading: str
  published: Published | None
  ours: Estimate | None
  seeds: int
  frozen: int
  record: dict

  @property
  def scale(self) -> float:
    """100 if the heading begins with %: the value is a proportion, and shown in percent."""
    return 100.0 if self.heading.startswith('%') else 1.0

  @property
  def covers(self) -> bool | None:
    """Whether our interval covers the published value; None if one of them is missing."""
    if not self.published or not self.ours or not self.ours.interval:
      return None
    low, high = self.ours.interval
    return low <= self.published.value <= high


def members_of(record: dict) -> dict[str, list[dict]]:
  """{setting: its members}."""
  settings = {}
  for member in record['members']:
    settings.setdefault(member['setting'], []).append(member)
  return settings


def results_of(records: Records) -> dict[tuple[str, str], dict[str, list[float]]]:
  """The Results of config.table: {(cell, setting): {value: [of each seed]}}."""
  results = {}
  for name, record in records.items():
    for setting, members in members_of(record).items():
      values = dict.fromkeys(v for member in members for v in member['values'])
      results[name, setting] = {v: finite(m['values'].get(v) for m in members) for v in values}
  return results


def make_rows(table: Table, records: Records) -> list[Row]:
  """The rows of the cells that are done, in the order of the table."""
  rows = []
  for cell in table.cells:
    record = records.get(cell.name)
    for setting, members in members_of(record).items() if record else ():
      published = cell.published.get(setting, {})
      shown = {} if cell.hidden else cell.values or table.values
      for value, heading in shown.items():
        pairs = [(m['values'].get(value), m['errors'].get(value)) for m in members]
        of_seeds = finite(v for v, _ in pairs)
        if not any(value in m['values'] for m in members) and value not in published:
          continue
        ours = seeds.mean(of_seeds) if of_seeds else None
        if len(of_seeds) == 1:
          ours = Estimate(*next(pair for pair in pairs if pair[0] == of_seeds[0]))
        label = ', '.join(filter(None, (cell.name, setting)))
        frozen = sum(m['frozen'] for m in members)
        known = published.get(value)
        rows.append(Row(label, value, heading, known, ours, len(of_seeds), frozen, record))
  return rows


def body(rows: list[Row]) -> list[list[str]]:
  """The texts of all rows. The time of a cell is in its first row alone."""
  lines = [cells_of(row) for row in rows]
  for before, row, line in zip(rows, rows[1:], lines[1:], strict=False):
    if row.record is before.record:
      line[-2:] = '', ''
  return lines


def cells_of(row: Row) -> list[str]:
  """The texts of a row, see HEAD."""
  published, ours = row.published, row.ours and row.ours.scaled(row.scale)
  if published:
    published = Estimate(published.value, published.error).scaled(row.scale)
  interval = ours and ours.interval
  covers = {True: 'yes', False: 'no', None: '–'}[row.covers]
  frozen = f' ({row.frozen} frozen)' if row.frozen else ''
  return [
    row.label + ' †' * is_of_other_code(row.record),
    row.heading,
    with_error(published.value, published.error) if published else '–',
    with_error(ours.value, ours.error) if ours else 'none finite',
    f'{format_number(interval[0])} to {format_number(interval[1])}' if interval else '–',
    covers,
    f'{row.seeds}{frozen}',
    duration(row.record['wall_seconds']),
    duration(row.record['processor_seconds']) + starts(row.record),
  ]


def is_of_other_code(record: dict) -> bool:
  """Whether a cell was made by another version of the code, which does not redo it."""
  return record['code'] != code_version()


def cost(record: dict) -> str:
  """'3 min 5 s (5 min 10 s of processor time)' of a cell, with all of its members."""
  wall, processor = duration(record['wall_seconds']), duration(record['processor_seconds'])
  return f'{wall} (processors {processor}{starts(record)})'


def starts(record: dict) -> str:
  """', 2 starts' of a cell that was resumed."""
  return f', {record["starts"]} starts' if record['starts'] > 1 else ''


def duration(seconds: float) -> str:
  """'2 h 3 min', '3 min 5 s', or '5.1 s'."""
  if seconds < 60:
    return f'{seconds:.1f} s'
  minutes, rest = divmod(round(seconds), 60)
  return f'{minutes // 60} h {minutes % 60} min' if minutes >= 60 else f'{minutes} min {rest} s'


def claims(table: Table, records: Records, mode: str) -> list[tuple[str, bool | None]]:
  """(text, whether it holds) of each claim; None if it cannot be checked."""
  if mode == 'smoke' or len(records) < len(table.cells):
    return [(claim.text, None) for claim in table.claims]
  results, checked = results_of(records), []
  for claim in table.claims:
    try:
      checked.append((claim.text, bool(claim.holds(results))))
    except (LookupError, ValueError, ZeroDivisionError):  # values are missing
      checked.append((claim.text, None))
  return checked


def problems(table: Table, records: Records, mode: str) -> list[str]:
  """What keeps a table from being as it should: evals that did not fit, claims that do not hold."""
  lines = [f'{name}: {line}' for name, r in records.items() for line in r['skipped']]
  return lines + [
    f'it does not hold that {t}' for t, holds in claims(table, records, mode) if holds is False
  ]


def notes(mode: str, table: Table, records: Records) -> list[tuple[str, list[str]]]:
  """(heading, lines) below a table."""
  words = {True: 'holds', False: 'does not hold', None: 'not checked'}
  one_seed = any(len(members) == 1 for r in records.values() for members in members_of(r).values())
  kinds = ["± is the standard error over seeds, and the interval is of Student's t."]
  kinds += [
    'With one seed, ± is the standard error over test examples, without an interval.'
  ] * one_seed
  if any(map(is_of_other_code, records.values())):
    kinds.append(f'† was made by another version of the code than {code_version()}, see Cost.')
  if mode != 'whole':
    kinds.append(f'This is the {mode} size of the table, not its whole.')
  sections = [
    ('How to read it', kinds),
    ('Claims', [f'{words[holds]}: {text}' for text, holds in claims(table, records, mode)]),
    ('Differences from the source', list(table.differences)),
    ('Source', [table.source]),
    ('Protocol', protocols(records, table)),
    ('Cost', [*costs(records), *filter(None, [table.cost])]),
    ('Skipped', [f'{name}: {line}' for name, r in records.items() for line in r['skipped']]),
  ]
  return [(heading, lines) for heading, lines in sections if lines]


def protocols(records: Records, table: Table) -> list[str]:
  """What the values that are shown depend on, with all values of a field; a line for all values
  of the same protocol."""
  names = {}
  for value in table.values:
    of_value = [r['protocols'][value] for r in records.values() if value in r['protocols']]
    if of_value:
      names.setdefault(lines_of(of_value), []).append(value)
  return [f'{", ".join(values)}: {line}' for line, values in names.items()]


def costs(records: Records) -> list[str]:
  """The sum of the costs, and a line for each hardware, software, code and date, with its cells."""
  if not records:
    return []
  total = {
    name: sum(r[name] for r in records.values())
    for name in ('starts', 'wall_seconds', 'processor_seconds')
  }
  measured = {}
  for name, record in records.items():
    measured.setdefault(measured_on(record), []).append(name)
  lines = [f'{", ".join(names)}: {how}' for how, names in measured.items()]
  return [f'All cells: {cost(total | {"starts": 1})}.', *lines]


def measured_on(record: dict) -> str:
  """The hardware, software, code and date of a cell."""
  h = record['hardware']
  device = f'{h["devices"]} {h["device"]}, {h.get("processor", "")}, {h["cores"]} cores'
  versions = ', '.join(f'{name} {version}' for name, version in record['versions'].items())
  return f'{device}; {versions}; vaejax {record["code"]}; {record["date"]}'


def text(mode: str, table: Table, rows: list[Row], records: Records) -> str:
  """The table as aligned text, with its notes."""
  parts = [table.title, aligned(HEAD, body(rows))]
  parts += [
    f'{h}:\n' + '\n'.join(f'  {line}' for line in lines) for h, lines in notes(mode, table, records)
  ]
  return '\n\n'.join(parts)


def markdown(name: str, mode: str, table: Table, rows: list[Row], records: Records) -> str:
  """The table as Markdown, with its command."""
  lines = [f'# {table.title}', '', f'`python launch.py reproduce {command(name, mode)}`', '']
  lines += markdown_table(HEAD, body(rows))
  for heading, texts in notes(mode, table, records):
    lines += ['', f'## {heading}', '', *(f'- {line}' for line in texts)]
  return '\n'.join(lines) + '\n'


def markdown_table(head, rows) -> list[str]:
  """The lines of a table in Markdown."""
  line = lambda texts: '| ' + ' | '.join(str(t).replace('|', '\\|') for t in texts) + ' |'
  return [line(head), line('---' for _ in head), *map(line, rows)]


def command(name: str, mode: str) -> str:
  """The flags that make a table."""
  return f'--table={name}' + ('' if mode == 'whole' else f' --{mode}')


def as_json(name: str, mode: str, table: Table, rows: list[Row], records: Records) -> dict:
  """The table for programs."""
  return {
    'table': name,
    'mode': mode,
    'title': table.title,
    'source': table.source,
    'differences': table.differences,
    'rows': [
      {
        'row': row.label,
        'value': row.value,
        'published': row.published and row.published._asdict(),
        'ours': row.ours and row.ours.to_json(),
        'covers': row.covers,
        'seeds': row.seeds,
        'frozen': row.frozen,
        'cell': row.record['cell'],
        'protocol': row.record['protocols'].get(row.value),
      }
      for row in rows
    ],
    'claims': [{'text': t, 'holds': holds} for t, holds in claims(table, records, mode)],
    'cells': {
      name: {k: x for k, x in record.items() if k not in ('members', 'about', 'protocols')}
      for name, record in records.items()
    },
  }


def page(name: str, mode: str, table: Table, rows: list[Row], records: Records) -> bytes:
  """The table as an HTML page."""
  parts = [pages.table(HEAD, body(rows))]
  parts += [pages.section(heading, lines) for heading, lines in notes(mode, table, records)]
  return pages.render(table.title, f'python launch.py reproduce {command(name, mode)}', parts)
