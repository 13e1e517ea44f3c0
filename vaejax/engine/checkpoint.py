"""Checkpoints: orbax writes them in the background, each leaf with its checksum.

A directory per step holds `state` (all of State), `checksums` and the metrics that decide which is
best. A checkpoint that cannot be read, or whose checksums differ, is passed over for the one before.
"""

import contextlib
import errno
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from vaejax.errors import RunError, UserError
from vaejax.types import State

# Renamed away rather than deleted: what could not be read is kept for whoever wants to look.
BROKEN = 'broken'


def encode(state: State) -> dict:
  """State as a tree of plain arrays; the key as its data."""
  return {
    'step': state.step,
    'key': jax.random.key_data(state.key),
    'variables': state.variables,
    'opt': state.opt,
    'ema': state.ema,
    'hyper': state.hyper,
  }


def decode(tree: dict) -> State:
  """The State of `encode`; a tree restored without its optimizers gives one without."""
  return State(**{'opt': {}, **tree, 'key': jax.random.wrap_key_data(tree['key'])})


def abstract(create: Callable[[], State], sharding=None, opt: bool = True) -> dict:
  """What to restore: shapes and dtypes of `encode(create())` with the sharding it is to have,
  without the optimizers unless `opt`. Nothing is computed."""
  tree = jax.eval_shape(lambda: encode(create()))
  if not opt:
    tree.pop('opt')
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


def checksums(tree) -> dict[str, int]:
  """CRC-32 of every leaf, by its path."""
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {jax.tree_util.keystr(path): crc(np.asarray(leaf)) for path, leaf in leaves}


def crc(array: np.ndarray) -> int:
  """CRC-32 of an array's bytes."""
  return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


@contextlib.contextmanager
def disk(workdir: Path):
  """Turns what a full disk raises, here or in orbax's threads, into a RunError."""
  try:
    yield
  except Exception as error:
    chain = [error, error.__cause__, error.__context__]
    full = any(isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EDQUOT) for e in chain)
    if not full and 'No space left' not in str(error) and 'ENOSPC' not in str(error):
      raise
    raise RunError(
      f'{workdir}/checkpoints: the disk is full; the last good checkpoint stands: free some space '
      'and run the same command again'
    ) from error


@contextlib.contextmanager
def manage(workdir: Path, config) -> Iterator[ocp.CheckpointManager]:
  """The manager of a workdir's checkpoints: it keeps the latest `config.keep` and the best.

  `config.best` names a metric that is given to `save`, with '-' before it where smaller is better.
  On leaving, the last save is waited for. Raises RunError where the disk is full.
  """
  policy = checkpoint_managers.LatestN(n=config.keep)
  if config.best:
    metric, reverse = config.best.lstrip('-'), config.best.startswith('-')
    get: Callable = lambda metrics: metrics[metric]
    only = checkpoint_managers.BestN(
      get_metric_fn=get, reverse=reverse, n=1, keep_checkpoints_without_metrics=False
    )
    policy = checkpoint_managers.AnyPreservationPolicy([policy, only])
  options = ocp.CheckpointManagerOptions(
    preservation_policy=policy, cleanup_tmp_directories=True, step_prefix=None
  )
  manager = ocp.CheckpointManager((workdir / 'checkpoints').absolute(), options=options)
  try:
    yield manager
  finally:
    with disk(workdir):
      manager.close()


def save(manager: ocp.CheckpointManager, state: State, metrics: dict[str, float] | None) -> None:
  """Starts writing a state; the values are copied before this returns. Raises RunError."""
  tree = encode(state)
  step = int(state.step)
  with disk(manager.directory.parent):
    # One at a time: a save that is asked for while another runs would wait here anyhow.
    manager.wait_until_finished()
    manager.save(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardSave(tree), checksums=ocp.args.JsonSave(checksums(tree))
      ),
      metrics=metrics,
    )


def steps(workdir: Path) -> list[int]:
  """The steps of the checkpoints that were committed, ascending."""
  folder = workdir / 'checkpoints'
  names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
  return sorted(int(name) for name in names if name.isdecimal())


def restore(workdir: Path, like: dict, say: Callable[[str], None] = print) -> State | None:
  """The newest checkpoint that can be read, or None where there is none at all.

  Args:
    like: see `abstract`; the checkpoint may come from another number of devices.
    say: is told of each checkpoint that is passed over.

  Raises:
    UserError: none of the checkpoints can be read.
  """
  found = steps(workdir)
  for step in reversed(found):
    try:
      return read(workdir, step, like)
    except Exception as error:  # orbax and tensorstore raise bare ones for damaged files
      reason = str(error).strip().split('\n')[0][:200]
      say(f'checkpoint {step} cannot be read ({reason}): falling back to the one before')
  if not found:
    return None
  raise UserError(
    f'{workdir}/checkpoints: none of the checkpoints {found} can be read; start again in another '
    'workdir'
  )


def read(workdir: Path, step: int, like: dict) -> State:
  """The state at one step, its checksums verified. Raises whatever the damage leads to."""
  folder = (workdir / 'checkpoints' / str(step)).absolute()
  with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
    args = ocp.args.PyTreeRestore(
      like, restore_args=ocp.checkpoint_utils.construct_restore_args(like), partial_restore=True
    )
    found = checkpointer.restore(folder / 'state', args=args)
  with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as checkpointer:
    expected = checkpointer.restore(folder / 'checksums')
  for path, value in checksums(found).items():
    if expected.get(path) != value:
      raise ValueError(f'{path} differs from its checksum')
  return decode(found)


def set_aside(workdir: Path, after: int) -> None:
  """Moves checkpoints later than `after`, which could not be read, out of the way."""
  for step in steps(workdir):
    if step > after:
      target = workdir / BROKEN / str(step)
      shutil.rmtree(target, ignore_errors=True)
      target.parent.mkdir(exist_ok=True)
      (workdir / 'checkpoints' / str(step)).rename(target)
