"""Files of arrays."""

from vaejax.data.settings import Settings
from vaejax.data.table import Table
from vaejax.errors import UserError


def splits(name: str, settings: Settings, data_dir: str | None = None) -> tuple[str, ...]:
  """The splits of a dataset."""
  raise UserError(f'{name} cannot be read yet')


def table(name: str, split: str, settings: Settings, data_dir: str | None = None) -> Table:
  """One split of a dataset."""
  raise UserError(f'{name} cannot be read yet')
