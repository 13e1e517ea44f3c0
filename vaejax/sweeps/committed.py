"""Results of a table that are kept in the project: small JSON files, rendered into a page."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from vaejax.config.load import PROJECT
from vaejax.config.table import Cell, Table, Use
from vaejax.errors import UserError
from vaejax.reporting.values import with_error
from vaejax.runs.files import read_json, write_atomic, write_json
from vaejax.sweeps import table_text
from vaejax.sweeps.plan import uses
from vaejax.sweeps.table_rows import Row, make_rows

HEAD = 'command', 'seeds', 'cost', 'values', 'how its settings were chosen'
END = '<!-- end of the table -->'


def write(name: str, table: Table, record: dict, pictures: Path | None = None) -> None:
  """Writes the record of a finished cell, without paths of this machine, copies the pictures of its
  tasks from a folder, and updates the page. Raises UserError."""
  folder = PROJECT / table.committed
  folder.mkdir(parents=True, exist_ok=True)
  small = {field: x for field, x in record.items() if field != 'about'}
  (cell,) = (c for c in table.cells if c.name == record['cell'])
  small |= {'config': cell.config, 'fields': dict(cell.fields)}  # with {NAME}, not its workdir
  write_json(folder / f'{record["cell"]}.json', small)
  if table.pictures and pictures and pictures.is_dir():
    place = PROJECT / table.pictures
    place.mkdir(parents=True, exist_ok=True)
    for task, use in cell.tasks.items():
      path = pictures / f'{task}{use.ending}'
      if use.caption and path.is_file():
        write_atomic(place / path.name, path.read_bytes())
        for old in place.glob(f'{task}.*'):
          if old.name != path.name:
            old.unlink()
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
  lines = [*text, '', *(f'- {note}' for note in notes)]
  for cell in table.cells:
    lines += pictures_of(cell, table) if cell.name in records else []
  return '\n'.join(lines) + '\n'


def pictures_of(cell: Cell, table: Table) -> list[str]:
  """Lines with the captions and pictures of a cell's tasks, as far as they are in the project."""
  lines, up = [], '../' * table.page.count('/')
  for name, use in cell.tasks.items():
    path = f'{table.pictures}/{name}{use.ending}'
    if use.caption and (PROJECT / path).is_file():
      lines += ['', f'{use.caption} `{task_command(cell, use)}`', '', f'![{name}]({up}{path})']
  return lines


def task_command(cell: Cell, use: Use) -> str:
  """The command of a task of a cell."""
  verb, *words = use.command.split()
  return ' '.join(['python launch.py', verb, f'--workdir=runs/{cell.name}', *words])


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
  folder = f' --workdir=runs/{cell.name}' if cell.evals or cell.tasks else ''
  lines.append(training(cell) + folder)
  if cell.evals:
    lines.append(f'python launch.py evaluate{folder} --evals={",".join(cell.evals)}')
  return lines + [task_command(cell, use) for use in cell.tasks.values()]


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
