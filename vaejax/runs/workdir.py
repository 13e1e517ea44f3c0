"""A run's folder: its config.json, and the lock of the process that trains in it."""

import dataclasses
import fcntl
import importlib.metadata
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vaejax.config.serialise import as_tuples, config_from_json, config_to_json
from vaejax.core.stack import Member
from vaejax.data.table import Table, content
from vaejax.errors import UserError
from vaejax.runs.files import full_disk, read_json, write_json
from vaejax.types import Example
from vaejax.units import Units

# What reading a config.json with wrong fields or types can raise.
NOT_A_RUN = LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError

PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint')


class SavedRun(NamedTuple):
  """The content of config.json: what restoring, sampling and evaluating need.

  Attributes:
    config: of the run, or of the first member of a stack.
    example: the form of its data.
    data: {split: provenance}.
    data_dir: where the data was read, None for the default place.
    members: of a stack; () for a run.
    init: the source of its initial nets, see runs.init_from, or None.
  """

  config: Any
  example: Example
  data: dict
  data_dir: str | None
  members: tuple[Member, ...] = ()
  init: dict | None = None


def provenance(table: Table) -> dict:
  """What identifies the rows of a split."""
  return {'read': table.origin, 'rows': table.size, 'content': content(table)}


def check_name(workdir: Path) -> None:
  """Raises UserError for the name of a workdir that is not UTF-8, or that cannot be given in the
  locale of this process: the libraries that write checkpoints need UTF-8."""
  name, encoding = str(workdir.absolute()), sys.getfilesystemencoding()
  try:
    name.encode()
  except UnicodeEncodeError:
    raise UserError(f'the name of the workdir {name!a} is not UTF-8. Rename the folder') from None
  if not name.isascii() and encoding != 'utf-8':
    raise UserError(
      f'the workdir {name!a} needs a locale with UTF-8, but this one has {encoding}. Set '
      'PYTHONUTF8=1, or LC_ALL=C.UTF-8'
    )


def check_unused(workdir: Path) -> None:
  """Raises UserError if a workdir without a run or a sweep contains anything else."""
  if workdir.exists() and not workdir.is_dir():
    raise UserError(f'{workdir} is not a folder. Use another workdir')
  # A run that was killed as it began leaves only hidden files.
  if workdir.exists() and any(not path.name.startswith('.') for path in workdir.iterdir()):
    raise UserError(f'{workdir} contains other files, but no run and no sweep. Use another workdir')


def write_config(workdir: Path, run: SavedRun) -> None:
  """Writes config.json."""
  units = run.example.units and dataclasses.asdict(run.example.units)
  shapes = {k: {'shape': f.shape, 'dtype': f.dtype.name} for k, f in run.example.fields.items()}
  saved = {
    'config': config_to_json(run.config),
    'example': {**run.example._asdict(), 'fields': shapes, 'units': units},
    'data': run.data,
    # Arrays that were passed instead of a folder are not saved.
    'data_dir': str(Path(run.data_dir).absolute()) if isinstance(run.data_dir, str) else None,
    'versions': {name: importlib.metadata.version(name) for name in PACKAGES},
    'members': [member._asdict() for member in run.members],
    'init': run.init,
  }
  write_json(workdir / 'config.json', saved)


def read_config(workdir: Path) -> SavedRun:
  """Reads config.json. Raises UserError, in one line, if it is not the config of a run."""
  path = workdir / 'config.json'
  if not workdir.is_dir():
    raise UserError(f'there is no workdir {str(workdir)!r}. Train a run there first')
  if not path.is_file():
    raise UserError(f'{workdir} contains no run (no config.json). Train one there first')
  saved = read_json(path)
  try:
    config = config_from_json(saved['config'])
    example = example_from_json(saved['example'])
    members = tuple(Member(**member) for member in saved.get('members', ()))
    return SavedRun(
      config, example, dict(saved['data']), saved['data_dir'], members, saved.get('init')
    )
  except (UserError, *NOT_A_RUN) as error:
    reason = f'no field {error}' if isinstance(error, KeyError) else str(error).split('\n')[0]
    raise UserError(f'{path} is not the config of a run: {reason}') from None


def example_from_json(saved: dict) -> Example:
  """The Example that config.json describes."""
  fields = {
    name: jax.ShapeDtypeStruct(tuple(field['shape']), jnp.dtype(field['dtype']))
    for name, field in saved['fields'].items()
  }
  rest = {name: as_tuples(saved[name]) for name in Example._fields[1:] if name in saved}
  if rest.get('units'):
    rest['units'] = Units(**rest['units'])
  return Example(fields, **rest)


@contextmanager
def locked(workdir: Path, shared: bool = False):
  """Locks a workdir, and creates it if it is missing. Processes may share the lock if all do.

  The kernel releases the lock when the process ends, however it ends. Raises UserError if another
  process has the lock, or if the workdir cannot be written.
  """
  try:
    with full_disk(workdir):
      workdir.mkdir(parents=True, exist_ok=True)
      file = open(workdir / '.lock', 'wb')  # noqa: SIM115
  except OSError as error:
    raise UserError(
      f'cannot write to the workdir {workdir} ({error.strerror}). Use another workdir'
    ) from None
  with file:
    try:
      fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
      raise UserError(
        f'another process is training in {workdir}. Wait for it, stop it, or use another workdir'
      ) from None
    yield
