"""A published table with our results: as text, Markdown, JSON and a page."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from vaejax.config.table import Table
from vaejax.estimates import Estimate
from vaejax.reporting import page as pages
from vaejax.reporting.lines import aligned
from vaejax.reporting.page import format_number
from vaejax.reporting.values import lines_of, with_error
from vaejax.sweeps.table_rows import Records, Row, claims, members_of, unchecked
from vaejax.version import code_version

HEAD = 'row', 'value', 'published', 'ours', '95 % interval', 'covers it', 'seeds', 'time'
HEAD += ('processor time',)


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
    *times(row.record),
  ]


def codes(record: dict) -> list[str]:
  """The versions of the code that made a cell, in order."""
  return list(dict.fromkeys(start['code'] for start in starts_of(record)))


def starts_of(record: dict) -> list[dict]:
  """On what each start of a cell ran; older records have only the last start's."""
  return record.get('made') or [record]


def is_of_other_code(record: dict) -> bool:
  """Whether a start of a cell was of another version of the code. Such a cell is kept."""
  return set(codes(record)) != {code_version()}


def cost(record: dict) -> str:
  """'3 min 5 s (5 min 10 s of processor time)' of a cell, with all of its members."""
  wall, processor = duration(record['wall_seconds']), duration(record['processor_seconds'])
  return f'{wall} ({processor} of processor time{starts(record)})'


def times(record: dict) -> tuple[str, str]:
  """The time and the processor time of a cell; '–' for a cell that is derived from others."""
  if not record['starts']:
    return '–', '–'
  return duration(record['wall_seconds']), duration(record['processor_seconds']) + starts(record)


def starts(record: dict) -> str:
  """', 2 starts' of a cell that was resumed."""
  return f', {record["starts"]} starts' if record['starts'] > 1 else ''


def duration(seconds: float) -> str:
  """'2 h 3 min', '3 min 5 s', or '5.1 s'."""
  if seconds < 60:
    return f'{seconds:.1f} s'
  minutes, rest = divmod(round(seconds), 60)
  return f'{minutes // 60} h {minutes % 60} min' if minutes >= 60 else f'{minutes} min {rest} s'


def notes(mode: str, table: Table, records: Records) -> list[tuple[str, list[str]]]:
  """(heading, lines) below a table."""
  words = {True: 'holds', False: 'does not hold'}
  words[None] = f'not checked, because {unchecked(table, records, mode)}'
  one_seed = any(len(members) == 1 for r in records.values() for members in members_of(r).values())
  kinds = ["± is the standard error over seeds, and the interval is of Student's t."]
  kinds += [
    'With one seed, ± is the standard error over test examples, without an interval.'
  ] * one_seed
  if any(map(is_of_other_code, records.values())):
    other = f'another version of the code than {code_version()}'
    kinds.append(f'† was made, at least in part, by {other}, see Cost.')
  if mode != 'whole':
    kinds.append(f'This is the {mode} size of the table.')
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
  shown = [cell.values or table.values for cell in table.cells if not cell.hidden]
  for value in dict.fromkeys(value for values in shown for value in values):
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
  """The hardware, software versions, code version and date of each start of a cell that differs in
  one of them."""
  texts = []
  for start in starts_of(record):
    h = start['hardware']
    device = f'{h["devices"]} {h["device"]}, {h.get("processor", "")}, {h["cores"]} cores'
    versions = ', '.join(f'{name} {version}' for name, version in start['versions'].items())
    texts.append(f'{device}; {versions}; vaejax {start["code"]}; {start["date"]}')
  return '. Then on '.join(dict.fromkeys(texts))


def text(mode: str, table: Table, rows: list[Row], records: Records) -> str:
  """The table as aligned text, with its notes."""
  parts = [table.title, aligned(HEAD, body(rows))]
  parts += [
    f'{h}:\n' + '\n'.join(f'  {line}' for line in lines) for h, lines in notes(mode, table, records)
  ]
  return '\n\n'.join(parts)


def markdown(command: str, mode: str, table: Table, rows: list[Row], records: Records) -> str:
  """The table as Markdown, with its command."""
  lines = [f'# {table.title}', '', f'`{command}`', '']
  lines += markdown_table(HEAD, body(rows))
  for heading, texts in notes(mode, table, records):
    lines += ['', f'## {heading}', '', *(f'- {line}' for line in texts)]
  return '\n'.join(lines) + '\n'


def markdown_table(head, rows) -> list[str]:
  """The lines of a table in Markdown."""
  line = lambda texts: '| ' + ' | '.join(str(t).replace('|', '\\|') for t in texts) + ' |'
  return [line(head), line('---' for _ in head), *map(line, rows)]


def command(name: str, mode: str, seeds: int, only: Sequence[str]) -> str:
  """The command that makes a table; for the arguments see reproduce.reproduce."""
  words = ['python', 'launch.py', 'reproduce', f'--table={name}']
  words += [f'--{mode}'] * (mode != 'whole') + [f'--seeds={seeds}'] * (seeds > 0)
  return shlex.join(words + [f'--cells={",".join(only)}'] * bool(only))


def title(name: str, mode: str) -> str:
  """A table by the name of its file, and its size: 'iwae (short)'."""
  return f'{Path(name).stem} ({mode})'


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


def page(command: str, mode: str, table: Table, rows: list[Row], records: Records) -> bytes:
  """The table as an HTML page."""
  parts = [pages.table(HEAD, body(rows))]
  parts += [pages.section(heading, lines) for heading, lines in notes(mode, table, records)]
  return pages.render(table.title, command, parts)
