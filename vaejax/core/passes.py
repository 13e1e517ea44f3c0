"""A pass: splits in their order, and samples, looked at once for all evals together."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.core import sharding, stack
from vaejax.types import Batch, Eval, Hyper, Method, Source, Variables

Values = dict[str, dict[str, tuple[float, float | None]]]  # {eval: {name: (value, error)}}

# Streams that are looked at in one loop; the first is the split that the loop reads.
LOOPS = ('test', 'samples'), ('train',)


class Pending(NamedTuple):
  """What a pass leaves on the device; nothing of it was waited for.

  Attributes:
    sums: {eval: {stream: tree}}.
    rows: {stream: {name: arrays, one of each batch}}.
    counts: {stream: of how many examples}.
  """

  sums: Mapping[str, Mapping[str, Any]]
  rows: Mapping[str, Mapping[str, list]]
  counts: Mapping[str, int]


class Pass(NamedTuple):
  """`start` dispatches the work and gives what is Pending, `finish` reads it: a list of Values, one
  run's alone or each member's of a stack."""

  start: Callable[..., Pending]
  finish: Callable[[Pending], list[Values]]


def flat(values: Values) -> dict[str, float]:
  """{name: value} of all evals."""
  return {name: value for found in values.values() for name, (value, _) in found.items()}


def draw_samples(method: Method, variables, batch: Batch, key, data: str) -> Batch:
  """As many samples as a batch has rows, given what each row has of what a method may be given, but
  never the data itself."""
  fields = [name for name in method.given if name in batch and name != data]
  given = {name: batch[name] for name in fields}
  found = method.sample(variables, key, batch['mask'].shape[0], given)
  return {**given, **found, 'mask': batch['mask']}


def make_part(evals, method: Method, source: Source, streams, n: int, mesh, stacked: bool):
  """Jitted: (variables, hyper, key, buffer, number, limit) -> ({eval: {stream: sums}}, {stream:
  {name: rows}}) of one batch of n, as far as it lies below the limit; of a stack of runs those of
  every member, which see the same. And {(eval, stream): names of its rows}, filled when traced."""
  rows, names = sharding.shard_rows(mesh, source.rows), {}

  def look(variables, batch, key, hyper):
    batches = {streams[0]: batch}
    if any('samples' in e.extract for e in evals.values()) and 'samples' in streams:
      batches['samples'] = draw_samples(method, variables, batch, key, source.example.data)
    sums, kept = {}, {stream: {} for stream in batches}
    for name, e in evals.items():
      for stream in (s for s in batches if s in e.extract):
        found, seen = e.extract[stream](variables, batches[stream], key, hyper)
        sums.setdefault(name, {})[stream] = found
        names[name, stream] = tuple(seen)
        kept[stream] = {**seen, **kept[stream]}  # rows of one name are the same
    return sums, kept

  of_members = jax.vmap(look, in_axes=(0, None, None, 0)) if stacked else look

  # Whole on every device as they come: to gather them one by one afterwards takes several processes
  # as many collectives.
  @partial(jax.jit, out_shardings=sharding.replicated(mesh))
  def part(variables, hyper, key, buffer, number, limit):
    index = number * n + jnp.arange(n)
    batch = rows(buffer, jnp.minimum(index, limit - 1))
    batch = {**batch, 'mask': (index < limit).astype(jnp.float32)}
    key = jax.random.fold_in(key, number)
    with jax.default_matmul_precision('highest'):  # accelerators round products to fewer bits
      return of_members(variables, batch, key, hyper)

  return part, names


def make_pass(
  evals: Mapping[str, Eval],
  method: Method,
  source: Source,
  n: int,
  mesh,
  stacked: bool = False,
  train: Source | None = None,
) -> Pass:
  """A pass over a split, and over `train` where an eval looks at it, about n examples at a time, as
  suits the mesh, the last batch masked.

  `start(variables, hyper, key, limit, show)` passes over the first `limit` examples (0: all), and
  tells `show(found, done, of)` of every batch; it does not wait for the device unless `show` does.
  """
  streams = {stream for e in evals.values() for stream in e.extract}
  loops = []
  for together, split in zip(LOOPS, (source, train), strict=True):
    if streams & set(together):
      size = -(-min(n, split.size) // mesh.shape['data']) * mesh.shape['data']
      loops.append((split, size, *make_part(evals, method, split, together, size, mesh, stacked)))
  limits = {s: [e.limit or np.inf for e in evals.values() if s in e.extract] for s in streams}
  kept = {stream: max(each) for stream, each in limits.items()}

  def start(variables: Variables, hyper: Hyper, key: jax.Array, limit: int = 0, show=None):
    sums, rows, counts = {}, {stream: {} for stream in streams}, {}
    for split, n, part, _ in loops:
      size, total = min(limit, split.size) if limit else split.size, None
      for number, buffer in zip(range(-(-size // n)), split.blocks(n), strict=False):
        found = part(variables, hyper, key, buffer, np.int32(number), np.int32(size))
        total = found[0] if total is None else jax.tree.map(jnp.add, total, found[0])
        for stream, seen in found[1].items():
          counts[stream] = size
          for name in seen if number * n < kept.get(stream, 0) else ():
            rows[stream].setdefault(name, []).append(seen[name])
        if show:
          show(found, min((number + 1) * n, size), size)
      for name, of_streams in total.items():
        sums[name] = {**sums.get(name, {}), **of_streams}
    return Pending(sums, rows, counts)

  def finish(pending: Pending) -> list[Values]:
    sums, rows = jax.device_get((pending.sums, pending.rows))
    axis = int(stacked)
    rows = {s: {k: np.concatenate(v, axis) for k, v in r.items()} for s, r in rows.items()}
    leaves = jax.tree.leaves((sums, rows))
    each = stack.unstack((sums, rows), len(leaves[0])) if stacked else [(sums, rows)]
    return [
      {name: e.finish(sums[name], own(name, e, rows, pending)) for name, e in evals.items()}
      for sums, rows in each
    ]

  def own(name: str, e: Eval, rows, pending: Pending) -> dict:
    """The rows that an eval gave, without padding, up to its limit."""
    names = {key: found for *_, of_loop in loops for key, found in of_loop.items()}
    ends = {s: min(pending.counts[s], e.limit or pending.counts[s]) for s in e.extract}
    return {s: {k: rows[s][k][: ends[s]] for k in names[name, s]} for s in e.extract}

  return Pass(start, finish)


def gather(look, source: Source, n: int) -> Iterator[dict[str, np.ndarray]]:
  """What a pure look(batch) -> {name: [B, ...]} gives of every example of a split in order, on the
  host, n of them at a time."""

  @jax.jit
  def part(buffer, index):
    with jax.default_matmul_precision('highest'):
      return look(source.rows(buffer, index))

  for first, buffer in zip(range(0, source.size, n), source.blocks(n), strict=False):
    index = np.minimum(first + np.arange(n), source.size - 1)
    found = jax.device_get(part(buffer, index))
    yield {name: value[: source.size - first] for name, value in found.items()}
