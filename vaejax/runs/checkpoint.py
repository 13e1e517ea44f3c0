"""Checkpoints: orbax writes them in the background, and what they hold is checked when it is read.

A directory per step holds `state` (all of State) and `meta`: the shape, dtype and checksum of
every leaf, and the metrics of the run, or of each member, that decide which is best. It gets its
name when it is whole. One that cannot be read, or whose values are not those that were saved, is
passed over for the one before.
"""

import contextlib
import errno
import json
import math
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from vaejax.core import stack
from vaejax.errors import RunError
from vaejax.types import State

# What a file leads to that is missing, or holds something else than was written.
READ_ERRORS = (OSError, ValueError, LookupError, TypeError, AttributeError)


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


def abstract_state(create: Callable[[], State], sharding=None, opt: bool = True) -> dict:
  """What to restore: shapes and dtypes of `encode(create())` with the sharding it is to have, one
  for all or sharding(leaf), without the optimizers unless `opt`. Nothing is computed."""
  tree = jax.eval_shape(lambda: encode(create()))
  if not opt:
    tree.pop('opt')
  place = sharding if callable(sharding) else lambda leaf: sharding
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place(x)), tree)


def named_leaves(tree) -> dict:
  """{path: array} of a tree, in its order: 'variables/params/encoder/Dense_0/kernel'."""
  found = jax.tree_util.tree_leaves_with_path(tree)
  name = lambda path: jax.tree_util.keystr(path, simple=True, separator='/')
  return {name(path): leaf for path, leaf in found}


def dtype_and_shape(array) -> str:
  """'float32[3,4]': what must agree before a leaf is read."""
  return f'{array.dtype.name}{list(array.shape)}'


def checksum(array) -> int:
  """CRC-32 of an array's bytes."""
  return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def by_itself() -> dict:
  """What orbax takes so as not to wait for the other processes, of which only this one writes."""
  if jax.process_count() == 1:
    return {}
  options = ocp.options.MultiprocessingOptions(
    primary_host=jax.process_index(),
    active_processes={jax.process_index()},
    barrier_sync_key_prefix='alone',
  )
  return {'multiprocessing_options': options}


class Checkpoints:
  """The checkpoints of a run that is training; `save` writes one at a time, in a thread."""

  def __init__(self, workdir: Path, keep: int, best: str):
    self.folder, self.keep, self.best = (workdir / 'checkpoints').absolute(), keep, best
    alone = by_itself()
    handler = {'composite_options': ocp.CompositeOptions(**alone)} if alone else {}
    self.writer = ocp.Checkpointer(ocp.CompositeCheckpointHandler(**handler), **alone)
    self.thread, self.pending = ThreadPoolExecutor(1, 'checkpoint'), None

  def save(self, state: State, metrics: Sequence[dict[str, float]] = (), row=None) -> None:
    """Starts writing a state, once the one before is written; nothing may overwrite or donate its
    arrays. Raises RunError.

    metrics: what decides which is best, of each member of a stack, of a run its own alone; row: of
    the log, where it is saved unfinished.
    """
    self.wait()
    # Not orbax's own background: before that begins it takes as long as a dozen steps.
    self.pending = self.thread.submit(self.write, state, metrics, row)

  def write(self, state: State, metrics: Sequence[dict[str, float]], row) -> None:
    """Writes a state and returns when it is on disk."""
    host, step = jax.device_get(encode(state)), stack.current_step(state)
    meta = {
      'leaves': {
        path: [dtype_and_shape(leaf), checksum(leaf)] for path, leaf in named_leaves(host).items()
      },
      'metrics': list(metrics),
      'row': row,
    }
    self.folder.mkdir(parents=True, exist_ok=True)
    make_sure_of_room(self.folder, host)
    # From the host: of several processes orbax would want all for what is on their devices.
    items = {'state': ocp.args.StandardSave(host), 'meta': ocp.args.JsonSave(meta)}
    self.writer.save(self.folder / str(step), args=ocp.args.Composite(**items))

  def wait(self) -> None:
    """Waits until the last save is on disk, and deletes those it replaces. Raises RunError."""
    pending, self.pending = self.pending, None
    with self.disk():
      if pending:
        pending.result()
      self.prune()

  def standing(self) -> str:
    """What a run that fails can still be taken up from, in words."""
    found = steps(self.folder.parent)
    return f'checkpoint {found[-1]} stands' if found else 'there is no checkpoint yet'

  def prune(self) -> None:
    """Deletes what is neither among the latest nor the best, and what a killed run left behind."""
    found = steps(self.folder.parent)
    kept = {*found[-self.keep :], *best(self.folder.parent, found, self.best).values()}
    for step in found:
      if step not in kept:
        # Under its own name a checkpoint is whole, so it loses that before it loses any file.
        (self.folder / str(step)).rename(self.folder / f'{step}.deleted')
    for path in self.folder.glob('*.*'):
      shutil.rmtree(path, ignore_errors=True)

  @contextlib.contextmanager
  def disk(self):
    """Turns what a full disk raises, here or in orbax's threads, into a RunError."""
    try:
      yield
    except Exception as error:
      if not full(error):
        raise
      self.prune()
      raise RunError(
        f'{self.folder}: the disk is full; {self.standing()}: free some space, then run the same '
        'command again'
      ) from error


def make_sure_of_room(folder: Path, state: dict) -> None:
  """Raises OSError where a disk has no room for a state. Asked before it is written, since every
  thread of orbax that finds the disk full has a traceback to print."""
  arrays = jax.tree.leaves(state)
  index = 2**11 * len(arrays) + 2**16  # what orbax writes besides, more or less
  if shutil.disk_usage(folder).free < sum(x.nbytes for x in arrays) + index:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def full(error: BaseException | None) -> bool:
  """Whether an error, or what led to it, says that the disk (or the quota) is full."""
  if error is None:
    return False
  numbers = errno.ENOSPC, errno.EDQUOT
  text = str(error)
  said = any(word in text for word in ('No space left', 'ENOSPC', 'quota exceeded'))
  return (
    said
    or (isinstance(error, OSError) and error.errno in numbers)
    or full(error.__cause__ or error.__context__)
  )


@contextlib.contextmanager
def manage(workdir: Path, config) -> Iterator[Checkpoints]:
  """The checkpoints of a workdir: the latest `config.keep` and the best, of a stack that of each
  member, are kept: of M members at T tests those are min(M, T) at most.

  `config.best` names a metric that is given to `save`, with '-' before it where smaller is better.
  On leaving, the last save is waited for. Raises RunError where the disk is full.
  """
  found = Checkpoints(workdir, config.keep, config.best)
  try:
    found.prune()
    yield found
  finally:
    try:
      found.wait()
    finally:
      found.thread.shutdown()
      found.writer.close()


def best(workdir: Path, found: list[int], name: str) -> dict[int, int]:
  """{place: step}: where among `found` each member of a stack, or a run, which is at place 0, has
  its best value of a metric. One that has none is left out."""
  metric, sign = name.lstrip('-'), -1 if name.startswith('-') else 1
  values, chosen = {}, {}
  for step in found if name else ():
    with contextlib.suppress(*READ_ERRORS):  # a damaged one is not the best
      for place, one in enumerate(read_meta(workdir, step)['metrics']):
        value = sign * one[metric]
        if math.isfinite(value) and value > values.get(place, -math.inf):
          values[place], chosen[place] = value, step
  return chosen


def steps(workdir: Path) -> list[int]:
  """The steps of the checkpoints that are whole, ascending."""
  folder = workdir / 'checkpoints'
  names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
  return sorted(int(name) for name in names if name.isascii() and name.isdecimal())


def read_meta(workdir: Path, step: int) -> dict:
  """What `save` wrote beside the state at one step. Raises whatever the damage leads to."""
  return json.loads((workdir / 'checkpoints' / str(step) / 'meta' / 'metadata').read_bytes())
