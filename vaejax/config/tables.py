"""The files of published tables, configs/tables/NAME.py, by name."""

from pathlib import Path

from vaejax.config.load import PROJECT, import_file
from vaejax.config.table import MODES, Table
from vaejax.errors import UserError
from vaejax.lookup import nearest


def tables_folder() -> Path:
  """configs/tables of the working directory if there is one, else of the project."""
  folder = Path('configs/tables')
  return folder if folder.is_dir() else PROJECT / folder


def available_tables() -> list[str]:
  """The names of the tables, sorted."""
  return sorted(path.stem for path in tables_folder().glob('*.py') if not path.stem.startswith('_'))


def table_path(name: str) -> Path:
  """The file of a table: by its name, or its path. Raises UserError."""
  path = Path(name).expanduser() if name.endswith('.py') else tables_folder() / f'{name}.py'
  if path.is_file():
    return path
  known = available_tables()
  raise UserError(
    f'unknown table {name!r}{nearest(name, known)}. Choose one of {", ".join(known)}, or the path '
    'of your own file with get_table(mode)'
  )


def load_table(name: str, mode: str) -> Table:
  """The table of a name or a path, in a mode of MODES. Raises UserError."""
  path = table_path(name)
  module = import_file(path)
  if not hasattr(module, 'get_table'):
    raise UserError(f'table {name!r} has no get_table(mode). See configs/tables for examples')
  assert mode in MODES, mode
  table = module.get_table(mode)
  names = [cell.name for cell in table.cells]
  repeated = {n for n in names if names.count(n) > 1}
  if not names or repeated:
    problem = f'two cells named {", ".join(sorted(repeated))}' if repeated else 'no cells'
    raise UserError(f'table {name!r} has {problem}')
  return table
