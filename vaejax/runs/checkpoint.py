"""Writing checkpoints: orbax writes them in the background, checksums guard what is read.

Each step has a directory with `state` (all of State) and `meta`: the dtype, shape and checksum of
every leaf, and the metrics of the run, or of each member, that decide which checkpoint is best. A
directory gets its name once it is complete.
"""

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from vaejax.core import stack
from vaejax.errors import RunError
from vaejax.runs.files import is_disk_full
from vaejax.types import State

# What reading a missing or damaged file can raise.
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
  """The State of a tree from `encode`; a tree without 'opt' gives a State without optimizers."""
  return State(**{'opt': {}, **tree, 'key': jax.random.wrap_key_data(tree['key'])})


def abstract_state(create: Callable[[], State], sharding=None, opt: bool = True) -> dict:
  """Shapes, dtypes and shardings of `encode(create())`, which restoring needs; nothing is computed.

  `sharding` is for all leaves, or a function of a leaf. Without `opt`, optimizers are left out.
  """
  tree = jax.eval_shape(lambda: encode(create()))
  if not opt:
    tree.pop('opt')
  leaf_sharding = sharding if callable(sharding) else lambda leaf: sharding
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=leaf_sharding(x)), tree
  )


def named_leaves(tree) -> dict:
  """{path: leaf} of a tree, in its order: 'variables/params/encoder/Dense_0/kernel'."""
  name = lambda path: jax.tree_util.keystr(path, simple=True, separator='/')
  return {name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def dtype_and_shape(array) -> str:
  """'float32[3, 4]': what must agree before a leaf is read."""
  return f'{array.dtype.name}{list(array.shape)}'


def checksum(array) -> int:
  """CRC-32 of an array's bytes."""
  return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def digest(arrays: Mapping[str, np.ndarray]) -> str:
  """SHA-256 of the names, dtypes, shapes and bytes of arrays, in hexadecimal."""
  sha = hashlib.sha256()
  for name, array in sorted(arrays.items()):
    sha.update(f'{name} {dtype_and_shape(array)};'.encode())
    sha.update(np.ascontiguousarray(array).tobytes())
  return sha.hexdigest()


def single_process_options() -> dict:
  """Options with which orbax does not wait for the other processes, which write nothing."""
  if jax.process_count() == 1:
    return {}
  options = ocp.options.MultiprocessingOptions(
    primary_host=jax.process_index(),
    active_processes={jax.process_index()},
    barrier_sync_key_prefix='process_0',
  )
  return {'multiprocessing_options': options}


class Checkpoints:
  """The checkpoints of a run that is training; `save` writes one at a time, in a thread."""

  def __init__(self, workdir: Path, keep: int, best: str):
    self.folder, self.keep, self.best = (workdir / 'checkpoints').absolute(), keep, best
    options = single_process_options()
    handler = {'composite_options': ocp.CompositeOptions(**options)} if options else {}
    self.writer = ocp.Checkpointer(ocp.CompositeCheckpointHandler(**handler), **options)
    self.thread, self.pending = ThreadPoolExecutor(1, 'checkpoint'), None

  def save(self, state: State, metrics: Sequence[dict[str, float]] = (), row=None) -> None:
    """Starts writing a state once the previous one is written. Raises RunError if the disk is full.

    Nothing may overwrite or donate the state's arrays.

    Args:
      metrics: of each member of a stack, or of the run; they decide which checkpoint is best.
      row: the unfinished row of the log, if there is one.
    """
    self.wait()
    # Not orbax's own background thread: starting that takes as long as a dozen small steps.
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
    check_room(self.folder, host)
    # From the host: otherwise orbax makes every process write what is on its own devices.
    items = {'state': ocp.args.StandardSave(host), 'meta': ocp.args.JsonSave(meta)}
    self.writer.save(self.folder / str(step), args=ocp.args.Composite(**items))

  def wait(self) -> None:
    """Waits until the last save is on disk, and deletes what it replaces. Raises RunError."""
    pending, self.pending = self.pending, None
    with self.full_disk_as_run_error():
      if pending:
        pending.result()
      self.prune()

  def describe_latest(self) -> str:
    """Words on the checkpoint from which a failed run can resume."""
    available = steps(self.folder.parent)
    return f'checkpoint {available[-1]} is kept' if available else 'there is no checkpoint yet'

  def prune(self) -> None:
    """Deletes all but the latest and the best checkpoints, and what a killed run left behind."""
    available = steps(self.folder.parent)
    best_steps = best(self.folder.parent, available, self.best).values()
    for step in set(available).difference(available[-self.keep :], best_steps):
      # A directory with a step's name is complete, so it loses the name before any file.
      (self.folder / str(step)).rename(self.folder / f'{step}.deleted')
    for path in self.folder.glob('*.*'):
      shutil.rmtree(path, ignore_errors=True)

  @contextlib.contextmanager
  def full_disk_as_run_error(self):
    """Turns what a full disk raises, here or in orbax's threads, into a RunError."""
    try:
      yield
    except Exception as error:
      if not is_disk_full(error):
        raise
      self.prune()
      raise RunError(
        f'{self.folder}: the disk is full; {self.describe_latest()}. Free some space, then run the '
        'same command again'
      ) from error


def check_room(folder: Path, state: dict) -> None:
  """Raises OSError if the disk has no room for a state. Checked before writing, because every
  thread of orbax that meets a full disk prints a traceback."""
  arrays = jax.tree.leaves(state)
  index = 2**11 * len(arrays) + 2**16  # roughly what orbax writes in addition
  if shutil.disk_usage(folder).free < sum(x.nbytes for x in arrays) + index:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


@contextlib.contextmanager
def manage(workdir: Path, keep: int, best: str) -> Iterator[Checkpoints]:
  """The checkpoints of a workdir, of which the latest `keep` and the best ones stay.

  `best` names a metric that is given to `save`, with '-' before it if smaller is better. For a
  stack the best of each member stays. On exit it waits for the last save. Raises RunError if the
  disk is full.
  """
  checkpoints = Checkpoints(workdir, keep, best)
  try:
    checkpoints.prune()
    yield checkpoints
  finally:
    try:
      checkpoints.wait()
    finally:
      checkpoints.thread.shutdown()
      checkpoints.writer.close()


def best(workdir: Path, available: list[int], name: str) -> dict[int, int]:
  """{place: step} of the best finite value of a metric, for each member of a stack (a run is at
  place 0). Members without a finite value are left out."""
  metric, sign = name.lstrip('-'), -1 if name.startswith('-') else 1
  values, chosen = {}, {}
  for step in available if name else ():
    with contextlib.suppress(*READ_ERRORS):  # a damaged checkpoint is not the best
      for place, metrics in enumerate(read_meta(workdir, step)['metrics']):
        value = sign * metrics[metric]
        if math.isfinite(value) and value > values.get(place, -math.inf):
          values[place], chosen[place] = value, step
  return chosen


def steps(workdir: Path) -> list[int]:
  """The steps of the complete checkpoints, ascending."""
  folder = workdir / 'checkpoints'
  names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
  return sorted(int(name) for name in names if name.isascii() and name.isdecimal())


def read_meta(workdir: Path, step: int) -> dict:
  """The metadata that `save` wrote with the state of a step. Raises one of READ_ERRORS."""
  return json.loads((workdir / 'checkpoints' / str(step) / 'meta' / 'metadata').read_bytes())
