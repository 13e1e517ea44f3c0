"""Joins several sources into one, whose batches have the fields of each under a prefix."""

import contextlib
from collections.abc import Mapping

import jax

from vaejax.data.source import Source


def part_key(key: jax.Array, number: int) -> jax.Array:
  """The key for the order and noise of the joined source `number`. Number 0 uses the run's key."""
  # The run's key is folded with 0 for its steps and with 1 for its data.
  return jax.random.fold_in(key, 1 + number) if number else key


def join(sources: Mapping[str, Source]) -> Source:
  """A source of batches {prefix + field: rows} of several sources.

  Each source has its own batch size n and its own order: row i of step s is at position s n + i of
  its source. `example`, `size`, `blocks` and `rows` are those of the source with the prefix ''. If
  a source has a fixed key, it must already be its `part_key`.
  """
  first = sources['']

  def draw(buffer, key, step, left_out=None, part=(0, 1)):
    batch = {}
    for number, (prefix, source) in enumerate(sources.items()):
      fields = source.draw(buffer[prefix], part_key(key, number), step, left_out, part)
      batch |= {prefix + name: rows for name, rows in fields.items()}
    return batch

  def buffers(step, steps):
    with contextlib.ExitStack() as stack:
      streams = {
        prefix: stack.enter_context(contextlib.closing(source.buffers(step, steps)))
        for prefix, source in sources.items()
      }
      current, remaining = {}, dict.fromkeys(sources, 0)
      while step < steps:
        for prefix, stream in streams.items():
          if not remaining[prefix]:
            current[prefix], remaining[prefix] = next(stream)
        count = min(remaining.values())
        yield dict(current), count
        step += count
        remaining = {prefix: n - count for prefix, n in remaining.items()}

  return first._replace(
    resident=all(source.resident for source in sources.values()),
    row_shardable=all(source.row_shardable for source in sources.values()),
    buffer_spec={prefix: source.buffer_spec for prefix, source in sources.items()},
    buffers=buffers,
    draw=draw,
  )
