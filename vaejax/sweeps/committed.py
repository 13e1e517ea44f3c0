"""Results of a table that are kept in the project: small JSON files, rendered into a page."""

import shlex
from collections.abc import Mapping

from vaejax.config.load import PROJECT
from vaejax.config.table import Cell, Table
from vaejax.errors import UserError
from vaejax.reporting.values import with_error
from vaejax.runs.files import read_json, write_atomic, write_json
from vaejax.sweeps import table_text
from vaejax.sweeps.plan import uses
from vaejax.sweeps.table_rows import Row, make_rows

HEAD = 'command', 'seeds', 'cost', 'values', 'how its settings were chosen'
END = '<!-- end of the table -->'


def write(name: str, table: Table, record: dict) -> None:
  """Writes the record of a finished cell, without paths of this machine, and updates the page.
  Raises UserError."""
  folder = PROJECT / table.committed
  folder.mkdir(parents=True, exist_ok=True)
  small = {field: x for field, x in record.items() if field != 'about'}
  (cell,) = (c for c in table.cells if c.name == record['cell'])
  small |= {'config': cell.config, 'fields': dict(cell.fields)}  # with {NAME}, not its workdir
  write_json(folder / f'{record["cell"]}.json', small)
  if table.page:
    path = PROJECT / table.page
    text = path.read_text(encoding='utf-8')
    write_atomic(path, replace(text, name, render(table, read(table))))


def read(table: Table) -> dict[str, dict]:
  """{cell: its committed record}, of the cells that have one."""
  paths = {cell.name: PROJECT / table.committed / f'{cell.name}.json' for cell in table.cells}
  return {name: read_json(path) for name, path in paths.items() if path.is_file()}


def replace(page: str, name: str, table: str) -> str:
  """The page with `table` between the lines that enclose the table `name`. Raises UserError if they
  are missing."""
  begin = f'<!-- reproduce --table={name} -->'
  before, opening, rest = page.partition(begin)
  _, end, after = rest.partition(END)
  if not opening or not end:
    raise UserError(f'the page has no lines {begin} and {END}. Add them where the table belongs')
  return f'{before}{begin}\n\n{table}\n{END}{after}'


def render(table: Table, records: Mapping[str, dict]) -> str:
  """The table of the committed results and notes on how they were measured, as Markdown."""
  rows = make_rows(table, records)
  lines = []
  for cell in table.cells:
    if of_cell := [row for row in rows if row.record['cell'] == cell.name]:
      lines.append(cells_of(cell, of_cell, table))
  measured = {}
  for row in rows:
    measured.setdefault(table_text.measured_on(row.record), []).append(row.record['cell'])
  notes = [
    '± is the standard error over seeds or, with one seed, over test examples.',
    'Cost is processor time of all cores, for all seeds and evals.',
    *table.differences,
    *(f'{", ".join(f"`{c}`" for c in dict.fromkeys(cs))}: {how}.' for how, cs in measured.items()),
  ]
  text = table_text.markdown_table(HEAD, lines)
  return '\n'.join([*text, '', *(f'- {note}' for note in notes)]) + '\n'


def cells_of(cell: Cell, rows: list[Row], table: Table) -> list[str]:
  """The texts of a row, see HEAD. Of several settings each has its values."""
  texts = {}
  for row in rows:
    setting = row.label.removeprefix(cell.name).removeprefix(', ')
    texts.setdefault(setting, []).append(value_text(row))
  seeds = f'{rows[0].seeds}' + f' ({rows[0].frozen} frozen)' * (rows[0].frozen > 0)
  values = '; '.join(f'{s}: ' * bool(s) + ', '.join(of) for s, of in texts.items())
  how_made = ', '.join(f'`{line}`' for line in commands(cell, table))
  cost = table_text.duration(rows[0].record['processor_seconds'])
  return [how_made, seeds, cost, values, cell.chosen]


def value_text(row: Row) -> str:
  """A value with its error and heading."""
  if not row.ours:
    return f'none finite {row.heading}'
  ours = row.ours.scaled(row.scale)
  return f'{with_error(ours.value, ours.error)} {row.heading}'


def commands(cell: Cell, table: Table) -> list[str]:
  """The commands of a cell, with those of the cells that it uses; {NAME} becomes runs/NAME."""
  lines = []
  for name in uses(cell, table.cells):
    (other,) = (c for c in table.cells if c.name == name)
    lines += [f'{training(other)} --workdir=runs/{name}']
  folder = f' --workdir=runs/{cell.name}' if cell.evals else ''
  lines.append(training(cell) + folder)
  if cell.evals:
    lines.append(f'python launch.py evaluate{folder} --evals={",".join(cell.evals)}')
  return lines


def training(cell: Cell) -> str:
  """The command that trains a cell."""
  text = cell.config
  for field, value in cell.fields.items():
    text += f' {shlex.quote(f"--config.{field}={value}")}'
  grid = ''.join(f' --grid {axis}' for axis in cell.axes)
  seeds = f' --grid seed=0:{cell.seeds}' if cell.seeds > 1 else ''
  verb = 'sweep' if grid or seeds else 'train'
  text = f'python launch.py {verb} --config={text}{grid}{seeds}'
  return text.replace('{', 'runs/').replace('}', '')
