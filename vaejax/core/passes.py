"""A pass over splits and samples, shared by all evals: each batch is computed once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from threadpoolctl import threadpool_limits

from vaejax.core import stack
from vaejax.core.batch_program import IS_TESTED, make_batch_program
from vaejax.data.source import Source
from vaejax.estimates import Estimate
from vaejax.types import Eval, Hyper, Method, Variables

Values = dict[str, dict[str, Estimate]]  # {eval: {name: estimate}}

# The training rows of evals that need as many as there are test rows, see Eval.spaced, if another
# eval of the pass needs all of them.
SPACED = 'train, spaced'

# Streams that share a loop; the first is the split that the loop reads.
LOOPS = ('test', 'samples'), ('train',), (SPACED,)


class Pending(NamedTuple):
  """The output of a pass that the device may still be computing.

  Attributes:
    sums: {eval: {stream: tree}}.
    rows: {stream: {name: arrays, one for each batch}}.
    counts: {stream: number of examples}.
    members: number of members of a stack; 0 for a run.
  """

  sums: Mapping[str, Mapping[str, Any]]
  rows: Mapping[str, Mapping[str, list]]
  counts: Mapping[str, int]
  members: int = 0


class Pass(NamedTuple):
  """A pass over a split of `size` examples: `start` dispatches it, `finish` waits for it and
  returns a list of Values: one for each member of a stack, or one for a run."""

  start: Callable[..., Pending]
  finish: Callable[[Pending], list[Values]]
  size: int


def flat(values: Values) -> dict[str, float]:
  """{name: value} of all evals."""
  return {name: e.value for of_eval in values.values() for name, e in of_eval.items()}


def spaced(split: Source, n: int) -> Source:
  """At most n rows of a split, evenly spaced."""
  step = max(split.size // n, 1)
  return split._replace(
    size=min(n, split.size),
    blocks=lambda size: split.blocks(size * step),
    rows=lambda buffer, index: split.rows(buffer, index * step),
  )


def read_spaced(e: Eval) -> Eval:
  """The eval with the rows of the stream SPACED as its rows of 'train'."""
  renamed = lambda streams, old, new: {new if k == old else k: x for k, x in streams.items()}
  original = lambda streams: renamed(streams, SPACED, 'train')
  return e._replace(
    extract=renamed(e.extract, 'train', SPACED),
    finish=lambda sums, rows: e.finish(original(sums), original(rows)),
  )


def make_pass(
  evals: Mapping[str, Eval],
  method: Method,
  source: Source,
  n: int,
  mesh,
  stacked: bool = False,
  train: Source | None = None,
  leave_out: Sequence[str] = (),
  others: Mapping[str, Source] = MappingProxyType({}),
) -> Pass:
  """A pass over a split, and over `train` and `others` if an eval extracts from them, in batches of
  about n. `leave_out` are the streams without the left-out class, `others` the streams of other
  data that evals bring.

  `start(variables, hyper, key, limit, show)` covers the first `limit` examples (0: all) of those
  that any eval tests. It calls `show(output, done, total)` after each batch, and waits for the
  device only if `show` does.

  `finish` lets products and decompositions on the host have one thread. Several threads of OpenBLAS
  wait for each other in busy loops: beside other jobs, eigenvalues of 512x512 took 20 times the
  processor time, and their values would depend on the number of cores.
  """
  few = spaced(train, source.size) if train else None
  if train and all(e.spaced for e in evals.values() if 'train' in e.extract):
    train = few
  elif train and few.size < train.size:
    evals = {name: read_spaced(e) if e.spaced else e for name, e in evals.items()}
  streams = {stream for e in evals.values() for stream in e.extract}
  leave_out = {*leave_out, *[SPACED] * ('train' in leave_out)}
  # Of each stream, the number of examples that any eval tests.
  limits = {s: [e.limit or np.inf for e in evals.values() if s in e.extract] for s in streams}
  row_limits = {stream: max(values) for stream, values in limits.items()}
  loops = []
  splits = dict(zip(LOOPS, (source, train, few), strict=True))
  splits |= {(s,): x for s, x in others.items()}
  for together, split in splits.items():
    if streams & set(together):
      size = -(-min(n, split.size) // mesh.shape['data']) * mesh.shape['data']
      leaves_out = together[0] in leave_out
      program = make_batch_program(evals, method, split, together, size, mesh, stacked, leaves_out)
      last = min(split.size, max(row_limits[s] for s in streams & set(together)))
      loops.append((split, last, size, *program))

  def start(variables: Variables, hyper: Hyper, key: jax.Array, limit: int = 0, show=None):
    sums, rows, counts = {}, {stream: {} for stream in streams}, {}
    for split, last, n, program, _, before in loops:
      size, total = min(limit, last) if limit else last, None
      for number, buffer in zip(range(-(-size // n)), split.blocks(n), strict=False):
        of_batch = np.int32(number), np.int32(size), before
        *output, before = program(variables, hyper, key, buffer, *of_batch)
        total = output[0] if total is None else jax.tree.map(jnp.add, total, output[0])
        for stream, named in output[1].items():
          counts[stream] = size
          for name in named if number * n < row_limits.get(stream, 0) else ():
            rows[stream].setdefault(name, []).append(named[name])
        if show:
          show(output, min((number + 1) * n, size), size)
      for name, of_streams in total.items():
        sums[name] = {**sums.get(name, {}), **of_streams}
    members = len(jax.tree.leaves(variables)[0]) if stacked else 0
    return Pending(sums, rows, counts, members)

  @threadpool_limits.wrap(limits=1, user_api='blas')
  def finish(pending: Pending) -> list[Values]:
    sums, rows = jax.device_get((pending.sums, pending.rows))
    axis = int(stacked)
    rows = {s: {k: np.concatenate(v, axis) for k, v in r.items()} for s, r in rows.items()}
    parts = stack.unstack((sums, rows), pending.members) if stacked else [(sums, rows)]
    return [
      {
        name: estimates(e.finish(sums[name], select(name, e, rows, pending)))
        if is_tested(e, rows, pending)
        else {}
        for name, e in evals.items()
      }
      for sums, rows in parts
    ]

  def estimates(values: Mapping) -> dict[str, Estimate]:
    """The values of an eval, which may be (value, error) too."""
    return {name: Estimate(*value) for name, value in values.items()}

  def end(stream: str, e: Eval, pending: Pending) -> int:
    """The number of examples whose rows an eval gets."""
    return min(pending.counts[stream], e.limit or pending.counts[stream])

  def is_tested(e: Eval, rows, pending: Pending) -> bool:
    """Whether a method could be tested on any example of the split."""
    tested = rows.get('test', {}).get(IS_TESTED)
    if tested is None or 'test' not in e.extract:
      return True
    return tested[: end('test', e, pending)].any()

  def select(name: str, e: Eval, rows, pending: Pending) -> dict:
    """The rows that an eval extracted, without padding, up to its limit, and without examples that
    were not tested."""
    names = {key: row_names for *_, of_loop, _ in loops for key, row_names in of_loop.items()}

    def of_stream(stream: str) -> dict:
      last, tested = end(stream, e, pending), rows[stream].get(IS_TESTED)
      cut = slice(last) if tested is None else np.flatnonzero(tested[:last])
      return {k: rows[stream][k][cut] for k in names[name, stream]}

    return {stream: of_stream(stream) for stream in e.extract}

  return Pass(start, finish, source.size)


def map_examples(extract, source: Source, n: int) -> Iterator[dict[str, np.ndarray]]:
  """Yields extract(batch), {name: [B, ...]} on the host, for all examples of a split in order, n at
  a time. `extract` is pure."""

  @jax.jit
  def run(buffer, index):
    with jax.default_matmul_precision('highest'):
      return extract(source.rows(buffer, index))

  for first, buffer in zip(range(0, source.size, n), source.blocks(n), strict=False):
    index = np.minimum(first + np.arange(n), source.size - 1)
    output = jax.device_get(run(buffer, index))
    yield {name: rows[: source.size - first] for name, rows in output.items()}
