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
from vaejax.data import left_out
from vaejax.data.source import Source
from vaejax.errors import UserError
from vaejax.estimates import Estimate
from vaejax.eval_type import Eval
from vaejax.types import Hyper, Method, Variables

Values = dict[str, dict[str, Estimate]]  # {eval: {name: estimate}}

# The stream of evenly spaced training rows, see Eval.spaced, if another eval of the pass needs all
# training rows.
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
  """A pass over a split of `size` examples: `start` dispatches it, `finish` waits for it.

  `finish` returns a list of Values, one for each member of a stack, or one for a run, and
  {eval: the reason} for evals that cannot be computed from these examples.
  """

  start: Callable[..., Pending]
  finish: Callable[[Pending], tuple[list[Values], dict[str, str]]]
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

  `finish` limits products and decompositions on the host to one thread. Several threads of OpenBLAS
  wait for each other in busy loops: while other jobs ran, eigenvalues of a 512x512 matrix took 20
  times the processor time. Values would also depend on the number of cores.
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
      if leaves_out and 'label' not in split.example.fields:
        raise UserError(
          f'hyper.{left_out.FIELD} leaves a class out of the stream {together[0]}, whose rows have '
          'no labels. Give data with labels, or other evals'
        )
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
  def finish(pending: Pending) -> tuple[list[Values], dict[str, str]]:
    sums, rows = jax.device_get((pending.sums, pending.rows))
    axis = int(stacked)
    rows = {s: {k: np.concatenate(v, axis) for k, v in r.items()} for s, r in rows.items()}
    parts = stack.unstack((sums, rows), pending.members) if stacked else [(sums, rows)]
    values, reasons = [], {}
    for sums, rows in parts:
      values.append({})
      for name, e in evals.items():
        try:
          values[-1][name] = estimates(name, e, sums[name], rows, pending.counts)
        except UserError as error:
          values[-1][name] = {}
          reasons.setdefault(name, []).append(str(error))
    return values, {name: skipped(name, of_eval, len(parts)) for name, of_eval in reasons.items()}

  def estimates(name: str, e: Eval, sums, rows, counts) -> dict[str, Estimate]:
    """The values of an eval, from the rows that it extracted: without padding, up to its limit, and
    without examples that are not tested. Raises UserError."""
    used = {stream: tested(stream, e, rows[stream], counts[stream]) for stream in e.extract}
    _, n = used.get('test', next(iter(used.values())))
    if 'test' in used and not n:
      raise UserError('no tested row has a label, or each is of the left-out class')
    names = {key: row_names for *_, of_loop, _ in loops for key, row_names in of_loop.items()}
    selected = {
      stream: {k: rows[stream][k][index] for k in names[name, stream]}
      for stream, (index, _) in used.items()
    }
    values = {k: Estimate(*value) for k, value in e.finish(sums, selected).items()}
    return {k: value._replace(n=n) if value.n is None else value for k, value in values.items()}

  def tested(stream: str, e: Eval, rows, count: int) -> tuple[slice | np.ndarray, int]:
    """The examples of a stream that an eval tests, as an index, and their number."""
    last = min(count, e.limit or count)
    if IS_TESTED not in rows:
      return slice(last), last
    index = np.flatnonzero(rows[IS_TESTED][:last])
    return index, len(index)

  return Pass(start, finish, source.size)


def skipped(name: str, reasons: list[str], members: int) -> str:
  """The line about an eval that a run, or some or all members, cannot have."""
  some = f' for {len(reasons)} of {members} members' if len(reasons) < members else ''
  return f'{name} is skipped{some}: {reasons[0]}'


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
