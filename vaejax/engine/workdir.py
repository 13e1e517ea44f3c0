"""A run's folder: its config, its lock, and the run restored from it."""

import fcntl
import importlib.metadata
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax

from vaejax import configuration
from vaejax.axes import Member
from vaejax.data.table import Table
from vaejax.engine import optim, stack, step
from vaejax.engine.files import full_disk, read_json, write_json
from vaejax.errors import UserError
from vaejax.lookup import lookup
from vaejax.types import Example, Method, State

PACKAGES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint')

# What values of the wrong type, size or name lead to.
WRONG = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


class Saved(NamedTuple):
  """What config.json holds: all that restoring, sampling and evaluating need.

  Attributes:
    config: the run's.
    example: of its data.
    data: {'train', 'test': see `origin`}.
    data_dir: where the data was looked for, None for the default place.
    members: of a stack, whose config is that of the first of them; of a run, none.
  """

  config: Any
  example: Example
  data: dict
  data_dir: str | None
  members: tuple[Member, ...] = ()


def origin(rows: Table) -> dict:
  """What tells whether the rows of a split are still those of before."""
  return {'read': rows.origin, 'rows': rows.size}


def vacant(workdir: Path, what: str) -> None:
  """Raises UserError where a workdir that holds no run, or no sweep, is in other use."""
  if workdir.exists() and not workdir.is_dir():
    raise UserError(f'{workdir} is not a folder: take another --workdir')
  # A run that was killed as it began leaves hidden files alone.
  if workdir.exists() and any(not path.name.startswith('.') for path in workdir.iterdir()):
    raise UserError(f'{workdir} is not empty and holds no {what}: take another --workdir')


def write_config(workdir: Path, run: Saved) -> None:
  """Writes config.json."""
  write_json(workdir / 'config.json', described(run))


def described(run: Saved) -> dict:
  """What config.json has of a run, as JSON takes it."""
  shapes = {k: {'shape': f.shape, 'dtype': f.dtype.name} for k, f in run.example.fields.items()}
  return {
    'config': configuration.plain(run.config),
    'example': {**run.example._asdict(), 'fields': shapes},
    'data': run.data,
    # Arrays, which stand in its place, are not kept.
    'data_dir': str(Path(run.data_dir).absolute()) if isinstance(run.data_dir, str) else None,
    'versions': {name: importlib.metadata.version(name) for name in PACKAGES},
    'members': [member._asdict() for member in run.members],
  }


def read_config(workdir: Path) -> Saved:
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
    config = configuration.restore(saved['config'])
    example = read_example(saved['example'])
    data, data_dir = saved['data'], saved['data_dir']
    if not isinstance(data_dir, str | None):
      raise UserError('data_dir is not a path')
    if not isinstance(data, dict):
      raise UserError('data does not name what was read')
    members = tuple(read_member(member, config) for member in saved.get('members', []))
  except (UserError, *WRONG) as error:
    raise UserError(f'{path} is not the config of a run: {describe(error)}') from None
  return Saved(config, example, data, data_dir, members)


def read_member(saved: dict, config) -> Member:
  """A Member of config.json. Raises UserError for one that is none."""
  number, seed, hyper = saved['number'], saved['seed'], saved['hyper']
  wholes = all(type(n) is int and 0 <= n < 2**32 for n in (number, seed))
  numbers = all(type(value) is float for value in hyper.values())
  if not wholes or not numbers or hyper.keys() != set(config.hyper):
    raise UserError(f'members: {str(saved)[:80]!r} has not the number, seed and hyper of a member')
  return Member(number, seed, hyper)


@contextmanager
def distrusting(workdir: Path):
  """Turns what values that a crafted config.json may hold lead to into a UserError."""
  try:
    yield
  except UserError:
    raise
  except WRONG as error:
    raise UserError(f'{workdir}/config.json does not make a run: {describe(error)}') from error


def describe(error: Exception) -> str:
  """One line of what an error says."""
  text = str(error).strip().split('\n')[0][:200]
  return f'no field {text}' if isinstance(error, KeyError) else text or type(error).__name__


def read_example(saved: dict) -> Example:
  """The Example of config.json. Raises UserError for shapes that no image set has."""
  fields = {}
  for name, field in saved['fields'].items():
    shape = tuple(field['shape'])
    whole = all(type(n) is int and 0 < n <= 4096 for n in shape) and len(shape) <= 4
    if not whole or field['dtype'] not in ('float32', 'int32', 'uint8'):
      raise UserError(f'example.fields.{name}={field!r} is not the shape and dtype of an array')
    fields[name] = jax.ShapeDtypeStruct(shape, field['dtype'])
  ranks = {'image': 3, 'video': 4}
  data = saved['data']
  if data not in ranks or data not in fields or len(fields[data].shape) != ranks[data]:
    raise UserError('example.fields has no image [H, W, C] or video [T, H, W, C]')
  numbers = saved['low'], saved['high'], saved['levels']
  small = all(isinstance(n, int | float) and abs(n) <= 2**16 for n in numbers)
  if not small or not saved['low'] < saved['high']:
    raise UserError('example.low, high and levels are not the range of an image')
  styles = saved.get('styles', 0)
  for name, count in (('classes', saved['classes']), ('styles', styles)):
    if (count is not None or name == 'styles') and type(count) is not int:
      raise UserError(f'example.{name}={count!r}: it takes a whole number')
  return Example(fields, saved['classes'], *numbers, data, styles)


def make_method(config, example: Example) -> Method:
  """The method that a config names, for such data. Raises UserError."""
  module = lookup('methods', config.method)
  wanted = getattr(module, 'DATA', 'image')
  if example.data != wanted:
    raise UserError(
      f'method {config.method} is of {wanted}s and {config.data.name} has {example.data}s: '
      f'{"name a set of videos, as moving" if wanted == "video" else "train configs/rvae.py on it"}'
    )
  method = optim.equip(module.make(config, example), config.optimizer)
  for player in method.players:
    if player.lr not in config.hyper:
      raise UserError(f'hyper has no {player.lr!r}, the rate of the player {player.name!r}')
  return method


def initial(method: Method, config, example: Example, members=()) -> State:
  """The state before the first step of the run that a config describes, or of the stack of such
  members; pure."""

  def create(key, hyper):
    state = step.create(method, key, hyper, example)
    return state.replace(ema=state.variables) if config.optimizer.ema else state

  if members:
    return stack.initial(create, members)
  return create(jax.random.key(config.seed), config.hyper)


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
