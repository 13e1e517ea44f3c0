"""Reading checkpoints: the newest readable one, or another, onto any number of devices."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tensorstore
from jax.experimental import multihost_utils

from vaejax.core.sharding import put_global
from vaejax.distributed import processes
from vaejax.errors import UserError
from vaejax.runs.checkpoint import (
  READ_ERRORS,
  best,
  checksum,
  decode,
  dtype_and_shape,
  named_leaves,
  read_meta,
  steps,
)
from vaejax.types import State

# Unreadable checkpoints are moved here rather than deleted, so that they can be inspected.
BROKEN = 'broken'

MAX_LEAVES = 5  # differing parameters that a message names


class OtherModel(UserError):
  """A checkpoint and the current code differ in their parameters; the message says how."""


def select_step(
  workdir: Path, which: str, best_by: str, place: int = 0, name: str = 'checkpoint'
) -> int | None:
  """The step of checkpoint `which`: 'best' (for the member at a place in a stack), or a number.

  None for 'latest', the newest that can be read. Raises UserError, with the name of the flag or
  field, if there is no such checkpoint.
  """
  if which == 'latest':
    return None
  available = steps(workdir)
  listed = ', '.join(map(str, available)) or 'none'
  if which == 'best':
    if not best_by:
      raise UserError(f'{name}=best: the run has no checkpoint.best. Use latest or a step')
    step = best(workdir, available, best_by).get(place)
    if step is None:
      raise UserError(
        f'{name}=best: no checkpoint has a value of {best_by.lstrip("-")}. Use latest or one of '
        f'the steps {listed}'
      )
    return step
  if which not in map(str, available):
    named = 'latest, best' if best_by else 'latest'
    raise UserError(f'{name}={which} does not exist. Use {named} or one of the steps {listed}')
  return int(which)


def restore(workdir: Path, abstract: dict, log: Callable[[str], None] = print) -> State | None:
  """The state of the newest checkpoint that can be read, or None if there is no checkpoint.

  Of several processes, process 0 alone reads the workdir.

  Args:
    abstract: see checkpoint.abstract_state; the checkpoint may come from other devices.
    log: gets a line about each checkpoint that is skipped.

  Raises UserError if none of the checkpoints can be read.
  """
  tree = processes.on_main(lambda: newest(workdir, abstract, log))
  if not processes.broadcast(lambda: tree is not None):
    return None
  if processes.count() > 1:
    tree = jax.tree.map(from_main, abstract, tree or abstract)
  return decode(jax.tree.map(lambda x, leaf: put_global(x, leaf.sharding), tree, abstract))


def newest(
  workdir: Path, abstract: dict, log: Callable[[str], None], only: int | None = None
) -> dict | None:
  """The newest readable checkpoint, or the one of step `only`, in the host's memory."""
  try:
    return newest_of(workdir, lambda step: read(workdir, step, abstract), log, only)
  except OtherModel as error:
    raise UserError(
      f'{workdir} was trained with other code: {error}. Go back to the code that trained it, or '
      f'train in another workdir, where init_from={workdir} takes the nets that still fit'
    ) from None


def newest_of(
  workdir: Path,
  read_step: Callable[[int], Any],
  log: Callable[[str], None],
  only: int | None = None,
) -> Any:
  """read_step(step) of the newest undamaged checkpoint, or of step `only`; None if there is none.

  Raises UserError if none can be read, and lets OtherModel through.
  """
  candidates = steps(workdir) if only is None else [only]
  for step in reversed(candidates):
    try:
      return read_step(step)
    except OtherModel:
      raise
    except READ_ERRORS as error:
      reason = describe_damage(error)
    if only is None:
      log(f'{workdir}/checkpoints/{step} cannot be read ({reason}); using the one before it')
  if not candidates:
    return None
  if only is not None:
    raise UserError(
      f'{workdir}/checkpoints/{only} cannot be read ({reason}). Use latest or another step'
    )
  raise UserError(
    f'{workdir}/checkpoints: none of the checkpoints {candidates} can be read. Start again in '
    'another workdir'
  )


def describe_damage(error: Exception) -> str:
  """What is wrong with a checkpoint, in a few words. tensorstore's own message is a page long."""
  if isinstance(error, UserError):
    return str(error)
  missing = isinstance(error, FileNotFoundError) or 'NOT_FOUND' in str(error)
  return 'files are missing' if missing else 'files are damaged'


def from_main(leaf, array) -> np.ndarray:
  """An array of process 0, on every process. Arrays go one by one, since each fills the devices."""
  array = array if processes.is_main() else np.zeros(leaf.shape, leaf.dtype)
  # As bytes: broadcasting adds zeros, and -0.0 + 0.0 is 0.0.
  data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
  data = np.asarray(multihost_utils.broadcast_one_to_all(data))
  return data.view(leaf.dtype).reshape(leaf.shape)


def read_row(workdir: Path, step: int) -> dict | None:
  """The unfinished row that was saved with a state, None if it is missing or damaged."""
  try:
    row = read_meta(workdir, step)['row']
    sums = {str(name): np.asarray(value, np.float32) for name, value in row['sums'].items()}
    seconds = {name: float(row[name]) for name in ('seconds', 'within')}
    return {'since': int(row['since']), 'sums': sums, **seconds}
  except READ_ERRORS:
    return None


def saved_leaves(workdir: Path, step: int) -> dict[str, tuple[str, int]]:
  """{path: (dtype and shape, checksum)} of every leaf of a checkpoint. Raises READ_ERRORS."""
  saved = read_meta(workdir, step)['leaves']
  return {path: (form, checksum) for path, (form, checksum) in saved.items()}


def read(workdir: Path, step: int, abstract: dict) -> dict:
  """The tree of `checkpoint.encode` as it was saved at one step, in the host's memory.

  Raises OtherModel; UserError if a value is not the one that was saved; one of READ_ERRORS.
  """
  leaves = named_leaves(abstract)
  sections = {path.partition('/')[0] for path in leaves}
  saved = {
    path: form
    for path, (form, _) in saved_leaves(workdir, step).items()
    if path.partition('/')[0] in sections
  }
  now = {path: dtype_and_shape(leaf) for path, leaf in leaves.items()}
  if changes := differences(saved, now, step):
    raise OtherModel('; '.join(changes))
  return read_arrays(workdir, step, abstract)


def read_arrays(workdir: Path, step: int, abstract):
  """The leaves of a checkpoint that a tree `abstract` has, as such a tree. Raises as `read`."""
  saved, arrays = saved_leaves(workdir, step), load_arrays(workdir, step, abstract)
  for path, array in arrays.items():
    if saved[path] != (dtype_and_shape(array), checksum(array)):
      raise UserError(f'{path} differs from its checksum')
  return jax.tree.unflatten(jax.tree.structure(abstract), list(arrays.values()))


def load_arrays(workdir: Path, step: int, abstract) -> dict[str, np.ndarray]:
  """{path: array} of the leaves of a checkpoint that `abstract` has. Raises one of READ_ERRORS.

  They are read as orbax writes them, one by one: if one is damaged, orbax's own reader leaves the
  others in a closed event loop, and each prints a traceback.
  """
  folder = (workdir / 'checkpoints' / str(step) / 'state').absolute()
  if not folder.is_dir():
    raise FileNotFoundError(folder)

  def spec(path) -> dict:
    # Not the path as text: the names of spectral norm contain slashes.
    name = jax.tree_util.keystr(path, simple=True, separator='.')
    store = {'driver': 'ocdbt', 'base': f'file://{folder}/', 'path': f'{name}/'}
    return {'driver': 'zarr', 'kvstore': store}

  pairs = zip(named_leaves(abstract), jax.tree.leaves_with_path(abstract), strict=True)
  stores = {path: tensorstore.open(spec(keys), open=True, read=True) for path, (keys, _) in pairs}
  reads = {path: store.result().read() for path, store in stores.items()}
  return {path: array.result() for path, array in reads.items()}


def differences(saved: dict[str, str], now: dict[str, str], step: int) -> list[str]:
  """Words on the first leaves, {path: dtype and shape}, in which a checkpoint and the code differ.

  Only variables are named if they differ, since the rest follows from them.
  """
  changed = [path for path in {**now, **saved} if saved.get(path) != now.get(path)]
  variables = [path for path in changed if path.startswith('variables/')]
  words = []
  for path in (variables or changed)[:MAX_LEAVES]:
    name = re.sub('^variables/(params|extra)/', '', path)
    if path not in saved:
      words.append(f'{name} is new')
    elif path not in now:
      words.append(f'{name} is missing')
    else:
      words.append(f'{name} is {saved[path]} in checkpoint {step} and {now[path]} now')
  more = len(variables or changed) - MAX_LEAVES
  return [*words, f'and {more} more'] if more > 0 else words


def set_aside(workdir: Path, after: int) -> None:
  """Moves checkpoints later than step `after`, which could not be read, out of the way."""
  for step in steps(workdir):
    if step > after:
      target = workdir / BROKEN / str(step)
      shutil.rmtree(target, ignore_errors=True)
      target.parent.mkdir(exist_ok=True)
      (workdir / 'checkpoints' / str(step)).rename(target)
