"""Checkpoints read again: the newest whole one, or another, onto any number of devices."""

import contextlib
import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from vaejax.engine.checkpoint import (
  best,
  by_itself,
  checksum,
  decode,
  form,
  leaves,
  read_meta,
  steps,
)
from vaejax.engine.group import ALONE, Alone
from vaejax.engine.shard import lay
from vaejax.errors import UserError
from vaejax.types import State

# Renamed away rather than deleted: what could not be read is kept for whoever wants to look.
BROKEN = 'broken'


class OtherModel(UserError):
  """A checkpoint is not of the model of its config."""


def choose(workdir: Path, which: str, best_by: str, place: int = 0) -> int | None:
  """The step that a number means, or 'best', that of the member at a place in a stack; None for
  'latest', the newest that can be read. Raises UserError where there is no such checkpoint."""
  found = steps(workdir)
  if which == 'latest':
    return None
  if which == 'best' and not best_by:
    raise UserError('--checkpoint=best: the run has no checkpoint.best; take latest or a step')
  there = ', '.join(map(str, found)) or 'none'
  if which == 'best':
    chosen = best(workdir, found, best_by).get(place)
    if chosen is None:
      raise UserError(
        f'--checkpoint=best: no checkpoint has a value of {best_by.lstrip("-")}: take latest or a '
        f'step that is there: {there}'
      )
    return chosen
  if which not in map(str, found):
    raise UserError(f'--checkpoint={which}: it takes latest, best or a step that is there: {there}')
  return int(which)


def restore(
  workdir: Path,
  like: dict,
  say: Callable[[str], None] = print,
  group: Alone = ALONE,
) -> State | None:
  """The newest checkpoint that can be read, or None where there is none at all.

  Args:
    like: see `abstract`; the checkpoint may come from another number of devices.
    say: is told of each checkpoint that is passed over.
    group: the processes that want it, of which process 0 alone reads the workdir.

  Raises:
    UserError: none of the checkpoints can be read.
  """
  tree = newest(workdir, like, say) if group.main else None
  if not group.share(lambda: tree is not None):
    return None
  if group.size > 1:
    send = functools.partial(from_main, group=group)
    tree = jax.tree.map(send, like, tree or like)
  return decode(jax.tree.map(lambda x, leaf: lay(x, leaf.sharding), tree, like))


def newest(workdir: Path, like: dict, say, only: int | None = None) -> dict | None:
  """What `restore` reads, or the checkpoint of one step, in the host's memory."""
  found, other = steps(workdir) if only is None else [only], False
  for step in reversed(found):
    try:
      return read(workdir, step, like)
    except UserError as error:
      reason, other = str(error), isinstance(error, OtherModel)
    except Exception as error:  # orbax and tensorstore raise bare ones, pages long
      reason = 'files are missing' if isinstance(error, FileNotFoundError) else 'files are damaged'
    if only is None:
      say(f'{workdir}/checkpoints/{step} cannot be read ({reason}): passed over for the one before')
  if not found:
    return None
  if other:
    raise UserError(f'{workdir}/config.json is not of its checkpoints ({reason}): put it back')
  if only is not None:
    raise UserError(
      f'{workdir}/checkpoints/{only} cannot be read ({reason}): take latest or another step'
    )
  raise UserError(
    f'{workdir}/checkpoints: none of the checkpoints {found} can be read; start again in another '
    'workdir'
  )


def from_main(leaf, array, group: Alone) -> np.ndarray:
  """An array of process 0 on every process. One at a time, since each device has it for that."""
  array = array if group.main else np.zeros(leaf.shape, leaf.dtype)
  # As bytes: they are sent as sums with zeros, and -0.0 + 0.0 is 0.0.
  data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
  data = np.asarray(multihost_utils.broadcast_one_to_all(data, group.main))
  return data.view(leaf.dtype).reshape(leaf.shape)


def read_row(workdir: Path, step: int) -> dict | None:
  """The unfinished row that was saved with a state, None where there is none or it is damaged."""
  with contextlib.suppress(Exception):
    row = read_meta(workdir, step)['row']
    sums = {str(name): np.asarray(value, np.float32) for name, value in row['sums'].items()}
    seconds = {name: float(row[name]) for name in ('seconds', 'within')}
    return {'since': int(row['since']), 'sums': sums, **seconds}
  return None


def read(workdir: Path, step: int, like: dict) -> dict:
  """What was saved at one step, as `encode` gives it, every value as it was, in the host's memory.

  Raises UserError where it is not, and otherwise whatever the damage leads to.
  """
  expected, wanted = read_meta(workdir, step)['leaves'], leaves(like)
  for path, leaf in wanted.items():
    if path not in expected or expected[path][0] != form(leaf):
      raise OtherModel(f'it is of another model: {path} should be {form(leaf)}')
  host = jax.tree.map(lambda leaf: ocp.RestoreArgs(restore_type=np.ndarray), like)
  args = ocp.args.PyTreeRestore(like, restore_args=host, partial_restore=True)
  alone = by_itself()
  with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(**alone), **alone) as checkpointer:
    folder = (workdir / 'checkpoints' / str(step) / 'state').absolute()
    found = checkpointer.restore(folder, args=args)
  for path, leaf in leaves(found).items():
    if expected[path] != [form(leaf), checksum(leaf)]:
      raise UserError(f'{path} differs from its checksum')
  return found


def set_aside(workdir: Path, after: int) -> None:
  """Moves checkpoints later than `after`, which could not be read, out of the way."""
  for step in steps(workdir):
    if step > after:
      target = workdir / BROKEN / str(step)
      shutil.rmtree(target, ignore_errors=True)
      target.parent.mkdir(exist_ok=True)
      (workdir / 'checkpoints' / str(step)).rename(target)
