"""A run's folder: its config, its lock, and the run restored from it."""

import fcntl
import importlib.metadata
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vaejax.config.serialise import config_from_json, config_to_json
from vaejax.core.stack import Member
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.runs.files import full_disk, read_json, write_json
from vaejax.types import Example

PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint')

# What a config.json leads to that has other fields, or values of other types.
WRONG = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


class SavedRun(NamedTuple):
  """What config.json holds: all that restoring, sampling and evaluating need.

  Attributes:
    config: the run's.
    example: of its data.
    data: {'train', 'test': see `provenance`}.
    data_dir: where the data was looked for, None for the default place.
    members: of a stack, whose config is that of the first of them; of a run, none.
    init: what it began from, see runs.init_from; None where from nothing.
  """

  config: Any
  example: Example
  data: dict
  data_dir: str | None
  members: tuple[Member, ...] = ()
  init: dict | None = None


def provenance(rows: Table) -> dict:
  """What tells whether the rows of a split are still those of before."""
  return {'read': rows.origin, 'rows': rows.size}


def check_unused(workdir: Path, what: str) -> None:
  """Raises UserError where a workdir that holds no run, or no sweep, is in other use."""
  if workdir.exists() and not workdir.is_dir():
    raise UserError(f'{workdir} is not a folder: take another --workdir')
  # A run that was killed as it began leaves hidden files alone.
  if workdir.exists() and any(not path.name.startswith('.') for path in workdir.iterdir()):
    raise UserError(f'{workdir} is not empty and holds no {what}: take another --workdir')


def write_config(workdir: Path, run: SavedRun) -> None:
  """Writes config.json."""
  write_json(workdir / 'config.json', to_json(run))


def to_json(run: SavedRun) -> dict:
  """What config.json has of a run, as JSON takes it."""
  shapes = {k: {'shape': f.shape, 'dtype': f.dtype.name} for k, f in run.example.fields.items()}
  return {
    'config': config_to_json(run.config),
    'example': {**run.example._asdict(), 'fields': shapes},
    'data': run.data,
    # Arrays, which stand in its place, are not kept.
    'data_dir': str(Path(run.data_dir).absolute()) if isinstance(run.data_dir, str) else None,
    'versions': {name: importlib.metadata.version(name) for name in PACKAGES},
    'members': [member._asdict() for member in run.members],
    'init': run.init,
  }


def read_config(workdir: Path) -> SavedRun:
  """What config.json holds. Raises UserError where it is not that of a run."""
  path = workdir / 'config.json'
  if not workdir.is_dir():
    raise UserError(f'no workdir {str(workdir)!r}: start a run there with python launch.py train')
  if not path.is_file():
    raise UserError(
      f'{workdir} holds no run (no config.json): start one with python launch.py train'
    )
  saved = read_json(path)
  try:
    config = config_from_json(saved['config'])
    example = read_example(saved['example'])
    data, data_dir = saved['data'], saved['data_dir']
    if not isinstance(data_dir, str | None):
      raise UserError('data_dir is not a path')
    if not isinstance(data, dict):
      raise UserError('data does not name what was read')
    members = tuple(read_member(member, config) for member in saved.get('members', []))
  except (UserError, *WRONG) as error:
    raise UserError(f'{path} is not the config of a run: {describe(error)}') from None
  return SavedRun(config, example, data, data_dir, members, saved.get('init'))


def read_member(saved: dict, config) -> Member:
  """A Member of config.json. Raises UserError for one that is none."""
  number, seed, hyper = saved['number'], saved['seed'], saved['hyper']
  wholes = all(type(n) is int and 0 <= n < 2**32 for n in (number, seed))
  numbers = all(type(value) is float for value in hyper.values())
  if not wholes or not numbers or hyper.keys() != set(config.hyper):
    raise UserError(f'members: {str(saved)[:80]!r} has not the number, seed and hyper of a member')
  return Member(number, seed, hyper)


def describe(error: Exception) -> str:
  """One line of what an error says."""
  text = str(error).strip().split('\n')[0][:200]
  return f'no field {text}' if isinstance(error, KeyError) else text or type(error).__name__


def read_example(saved: dict) -> Example:
  """The Example of config.json, fields of which it has none as by default. Raises UserError, or one
  of WRONG."""
  shapes = {
    k: (tuple(f['shape']), jnp.zeros((), f['dtype']).dtype) for k, f in saved['fields'].items()
  }
  fields = {name: jax.ShapeDtypeStruct(*field) for name, field in shapes.items()}
  known = {name: saved[name] for name in Example._fields[1:] if name in saved}
  example = Example(fields, **{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})
  if example.data not in fields:
    raise UserError(f'example.fields has no {str(example.data)[:80]!r}')
  if not (type(example.low) is type(example.high) is float and example.low < example.high):
    raise UserError('example.low and high are not the range of data')
  if not isinstance(example.classes, int | None):
    raise UserError(f'example.classes={str(example.classes)[:80]!r}: it takes a whole number')
  return example


@contextmanager
def locked(workdir: Path, shared: bool = False):
  """Holds a workdir: raises UserError while another process does, unless both share it. The kernel
  lets go of it when the process ends, however it ends."""
  try:
    with full_disk(workdir):
      workdir.mkdir(parents=True, exist_ok=True)
      file = open(workdir / '.lock', 'w')  # noqa: SIM115
  except OSError as error:
    raise UserError(
      f'cannot write into the workdir {workdir} ({error.strerror}): take another --workdir'
    ) from None
  with file:
    try:
      fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
      raise UserError(
        f'another process is training in {workdir}: wait for it, stop it, or take another --workdir'
      ) from None
    yield
