"""An eval looked at batch by batch, as a pass does."""

import jax
import jax.numpy as jnp
import numpy as np


def values(e, variables=None, hyper=None, key=None, **streams):
  """{name: value} of an eval; a stream is a batch, or a list of them, with their masks. The rows of
  padding are dropped, as a pass drops them at its end."""
  found = with_errors(e, variables, hyper, key, **streams)
  return {name: value for name, (value, _) in found.items()}


def with_errors(e, variables=None, hyper=None, key=None, **streams):
  """The same with standard errors."""
  key, all_sums, all_rows = jax.random.key(0) if key is None else key, {}, {}
  for stream, look in e.extract.items():
    batches = streams[stream]
    seen = []
    for batch in batches if isinstance(batches, list) else [batches]:
      seen.append(jax.device_get(jax.jit(look)(variables, batch, key, hyper or {})))
      mask = np.asarray(batch['mask']) > 0
      seen[-1] = seen[-1][0], {k: v[mask] for k, v in seen[-1][1].items()}
    all_sums[stream] = jax.tree.map(lambda *x: np.sum(x, 0), *(sums for sums, _ in seen))
    all_rows[stream] = jax.tree.map(lambda *x: np.concatenate(x), *(rows for _, rows in seen))
  assert set(e.finish(all_sums, all_rows)) - set(e.names()) <= {
    'probe_unlabelled',
    'judge_unlabelled',
  }
  return e.finish(all_sums, all_rows)


def example_of(shape, low=0.0, high=1.0, classes=None, data='image', **fields):
  """An Example of images, or videos, of a shape; fields: dtype of scalars, as label=jnp.int32."""
  from vaejax.types import Example

  field = {data: jax.ShapeDtypeStruct(shape, jnp.float32)}
  field |= {name: jax.ShapeDtypeStruct((), dtype) for name, dtype in fields.items()}
  return Example(field, classes, low, high, data=data)
