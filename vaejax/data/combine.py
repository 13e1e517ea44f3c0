"""Several sources as one: the batches of each, under names of their own."""

import contextlib
from collections.abc import Mapping

import jax

from vaejax.types import Source


def part_key(key: jax.Array, number: int) -> jax.Array:
  """The key of the order and noise of a joined source: the first has the run's own."""
  # 0 and 1 of a run's key are its steps' and its data's.
  return jax.random.fold_in(key, 1 + number) if number else key


def join(sources: Mapping[str, Source]) -> Source:
  """One source of the batches of several, {prefix + field: rows}, each of its own number of rows
  and in its own order: row i of step s is at position s n + i of its own source.

  The first, whose prefix is '', is what the others are joined to: `example`, `size` and a pass in
  order are those of it alone. Where a source holds a fixed key, that is its `part_key` already.
  """
  first = sources['']

  def draw(buffer, key, step, part=(0, 1)):
    batch = {}
    for number, (prefix, source) in enumerate(sources.items()):
      found = source.draw(buffer[prefix], part_key(key, number), step, part)
      batch |= {prefix + name: rows for name, rows in found.items()}
    return batch

  def buffers(step, steps):
    with contextlib.ExitStack() as stack:
      streams = {
        prefix: stack.enter_context(contextlib.closing(source.buffers(step, steps)))
        for prefix, source in sources.items()
      }
      held, left = {}, dict.fromkeys(sources, 0)
      while step < steps:
        for prefix, stream in streams.items():
          if not left[prefix]:
            held[prefix], left[prefix] = next(stream)
        served = min(left.values())
        yield dict(held), served
        step += served
        left = {prefix: count - served for prefix, count in left.items()}

  return first._replace(
    resident=all(source.resident for source in sources.values()),
    row_shardable=all(source.row_shardable for source in sources.values()),
    buffer_spec={prefix: source.buffer_spec for prefix, source in sources.items()},
    buffers=buffers,
    draw=draw,
  )
