"""Checkpoints read again: the newest whole one, or another, onto any number of devices."""

import functools
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
from vaejax.distributed.group import ALONE, Alone
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

# Renamed away rather than deleted: what could not be read is kept for whoever wants to look.
BROKEN = 'broken'

SHOWN = 5  # parameters in which two models differ that are named


class OtherModel(UserError):
  """A checkpoint holds other parameters than the code makes now; the message says which."""


def select_step(
  workdir: Path, which: str, best_by: str, place: int = 0, asked: str = '--checkpoint'
) -> int | None:
  """The step that a number means, or 'best', that of the member at a place in a stack; None for
  'latest', the newest that can be read. Raises UserError, with the name of what asked, where there
  is no such checkpoint."""
  found = steps(workdir)
  if which == 'latest':
    return None
  if which == 'best' and not best_by:
    raise UserError(f'{asked}=best: the run has no checkpoint.best; take latest or a step')
  there = ', '.join(map(str, found)) or 'none'
  if which == 'best':
    chosen = best(workdir, found, best_by).get(place)
    if chosen is None:
      raise UserError(
        f'{asked}=best: no checkpoint has a value of {best_by.lstrip("-")}: take latest or a '
        f'step that is there: {there}'
      )
    return chosen
  if which not in map(str, found):
    raise UserError(f'{asked}={which}: it takes latest, best or a step that is there: {there}')
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
  return decode(jax.tree.map(lambda x, leaf: put_global(x, leaf.sharding), tree, like))


def newest(workdir: Path, like: dict, say, only: int | None = None) -> dict | None:
  """What `restore` reads, or the checkpoint of one step, in the host's memory."""
  try:
    return newest_of(workdir, lambda step: read(workdir, step, like), say, only)
  except OtherModel as error:
    raise UserError(
      f'{workdir} was trained with other code: {error}. Go back to the code that trained it, or '
      f'train in another --workdir, where init_from={workdir} takes the nets that still fit'
    ) from None


def newest_of(workdir: Path, read: Callable[[int], Any], say, only: int | None = None) -> Any:
  """read(step) of the newest checkpoint that is not damaged, or of one step; None where there is
  none. Raises UserError where none can be read, and what `read` raises of OtherModel."""
  found = steps(workdir) if only is None else [only]
  for step in reversed(found):
    try:
      return read(step)
    except OtherModel:
      raise
    except READ_ERRORS as error:
      reason = damage(error)
    if only is None:
      say(f'{workdir}/checkpoints/{step} cannot be read ({reason}): passed over for the one before')
  if not found:
    return None
  if only is not None:
    raise UserError(
      f'{workdir}/checkpoints/{only} cannot be read ({reason}): take latest or another step'
    )
  raise UserError(
    f'{workdir}/checkpoints: none of the checkpoints {found} can be read; start again in another '
    'workdir'
  )


def damage(error: Exception) -> str:
  """What is wrong with a checkpoint, in some words; tensorstore has a page of them."""
  if isinstance(error, UserError):
    return str(error)
  missing = isinstance(error, FileNotFoundError) or 'NOT_FOUND' in str(error)
  return 'files are missing' if missing else 'files are damaged'


def from_main(leaf, array, group: Alone) -> np.ndarray:
  """An array of process 0 on every process. One at a time, since each device has it for that."""
  array = array if group.main else np.zeros(leaf.shape, leaf.dtype)
  # As bytes: they are sent as sums with zeros, and -0.0 + 0.0 is 0.0.
  data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
  data = np.asarray(multihost_utils.broadcast_one_to_all(data, group.main))
  return data.view(leaf.dtype).reshape(leaf.shape)


def read_row(workdir: Path, step: int) -> dict | None:
  """The unfinished row that was saved with a state, None where there is none or it is damaged."""
  try:
    row = read_meta(workdir, step)['row']
    sums = {str(name): np.asarray(value, np.float32) for name, value in row['sums'].items()}
    seconds = {name: float(row[name]) for name in ('seconds', 'within')}
    return {'since': int(row['since']), 'sums': sums, **seconds}
  except READ_ERRORS:
    return None


def saved_leaves(workdir: Path, step: int) -> dict[str, tuple[str, int]]:
  """{path: (form, checksum)} of every leaf of a checkpoint. Raises one of READ_ERRORS."""
  saved = read_meta(workdir, step)['leaves']
  # Paths were once written as JAX shows them, "['variables'].params['encoder']".
  plain = lambda path: '/'.join(re.findall(r"[^\[\].'/]+", path))
  return {plain(path): (form, checksum) for path, (form, checksum) in saved.items()}


def read(workdir: Path, step: int, like: dict) -> dict:
  """What was saved at one step, as `encode` gives it, every value as it was, in the host's memory.

  Raises OtherModel, UserError where a value is not what was saved, or one of READ_ERRORS.
  """
  expected, wanted = saved_leaves(workdir, step), named_leaves(like)
  sections = {path.partition('/')[0] for path in wanted}
  saved = {p: form for p, (form, _) in expected.items() if p.partition('/')[0] in sections}
  if changed := differences(saved, {p: dtype_and_shape(leaf) for p, leaf in wanted.items()}, step):
    raise OtherModel('; '.join(changed))
  return read_arrays(workdir, step, like)


def read_arrays(workdir: Path, step: int, like):
  """The leaves of a checkpoint that `like` has, as a tree of it. Raises as `read`."""
  expected, found = saved_leaves(workdir, step), load(workdir, step, like)
  for path, leaf in found.items():
    if expected[path] != (dtype_and_shape(leaf), checksum(leaf)):
      raise UserError(f'{path} differs from its checksum')
  return jax.tree.unflatten(jax.tree.structure(like), list(found.values()))


def load(workdir: Path, step: int, like) -> dict[str, np.ndarray]:
  """{path: array} of the leaves of a checkpoint that `like` has. Raises one of READ_ERRORS.

  Read as orbax writes them, one array by one: where one is damaged, orbax's own reader leaves the
  others behind in an event loop that is closed, of which each has a traceback to print.
  """
  folder = (workdir / 'checkpoints' / str(step) / 'state').absolute()
  if not folder.is_dir():
    raise FileNotFoundError(folder)

  def spec(path) -> dict:
    # Not by the path as text: a name in it may have a slash, as those of spectral norm do.
    name = jax.tree_util.keystr(path, simple=True, separator='.')
    store = {'driver': 'ocdbt', 'base': f'file://{folder}/', 'path': f'{name}/'}
    return {'driver': 'zarr', 'kvstore': store}

  names = zip(named_leaves(like), jax.tree.leaves_with_path(like), strict=True)
  opening = {path: tensorstore.open(spec(keys), open=True, read=True) for path, (keys, _) in names}
  reading = {path: array.result().read() for path, array in opening.items()}
  return {path: array.result() for path, array in reading.items()}


def differences(saved: dict[str, str], now: dict[str, str], step: int) -> list[str]:
  """In what the leaves of a checkpoint and those wanted now differ, {path: form} each, in words:
  the first few. What differs besides the variables only follows from them, where they do."""
  changed = [path for path in {**now, **saved} if saved.get(path) != now.get(path)]
  own = [path for path in changed if path.startswith('variables/')]
  words = []
  for path in (own or changed)[:SHOWN]:
    name = re.sub('^variables/(params|extra)/', '', path)
    if path not in saved:
      words.append(f'{name} is new')
    elif path not in now:
      words.append(f'{name} is gone')
    else:
      words.append(f'{name} is {saved[path]} in checkpoint {step} and {now[path]} now')
  more = len(own or changed) - SHOWN
  return [*words, f'and {more} more'] if more > 0 else words


def set_aside(workdir: Path, after: int) -> None:
  """Moves checkpoints later than `after`, which could not be read, out of the way."""
  for step in steps(workdir):
    if step > after:
      target = workdir / BROKEN / str(step)
      shutil.rmtree(target, ignore_errors=True)
      target.parent.mkdir(exist_ok=True)
      (workdir / 'checkpoints' / str(step)).rename(target)
