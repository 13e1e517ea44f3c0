"""The batches of a source, drawn as the loop draws them."""

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data.source import Source


def batches(source: Source, first: int, last: int, key) -> list[dict]:
  """The batches of the steps first to last - 1."""
  result, step = [], first
  draw = jax.jit(source.draw)
  for buffer, count in source.buffers(first, last):
    for _ in range(count):
      result.append(jax.device_get(draw(buffer, key, jnp.asarray(step, jnp.int32))))
      step += 1
  assert step == last
  return result


def assert_same(a, b) -> None:
  """The same batches: fields, dtypes and values."""
  for x, y in zip(a, b, strict=True):
    assert x.keys() == y.keys()
    assert all(np.array_equal(x[k], y[k]) and x[k].dtype == y[k].dtype for k in x)
