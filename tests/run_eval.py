"""Runs an eval on batches, as a pass does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax import previous
from vaejax.estimates import Estimate
from vaejax.types import Example


def values(e, variables=None, hyper=None, key=None, **streams):
  """{name: value} of an eval. A stream is a batch with its mask, or a list of batches. Rows of
  padding are dropped at the end, as a pass does."""
  metrics = with_errors(e, variables, hyper, key, **streams)
  return {name: estimate.value for name, estimate in metrics.items()}


def with_errors(e, variables=None, hyper=None, key=None, **streams):
  """{name: Estimate} of an eval; arguments as of `values`."""
  key, all_sums, all_rows = jax.random.key(0) if key is None else key, {}, {}
  for stream, extract in e.extract.items():
    batches, results, before = streams[stream], [], None
    for batch in batches if isinstance(batches, list) else [batches]:
      if e.previous:
        fields = {k: x for k, x in batch.items() if k != 'mask'}
        blank = {k: jnp.zeros((e.previous, *x.shape[1:]), x.dtype) for k, x in fields.items()}
        before = before or {'rows': blank, 'any': jnp.zeros((), bool)}
        fields, before = previous.add(fields, before, e.previous)
        batch = {**fields, 'mask': batch['mask']}
      sums, rows = jax.device_get(jax.jit(extract)(variables, batch, key, hyper or {}))
      mask = np.asarray(batch['mask']) > 0
      results.append((sums, {k: v[mask] for k, v in rows.items()}))
    all_sums[stream] = jax.tree.map(lambda *x: np.sum(x, 0), *(sums for sums, _ in results))
    all_rows[stream] = jax.tree.map(lambda *x: np.concatenate(x), *(rows for _, rows in results))
  metrics = e.finish(all_sums, all_rows)
  assert set(metrics) - set(e.names()) <= {'probe_unlabelled'}
  return metrics


def near(estimate, rel=1e-5, abs=0.0):
  """An Estimate that equals others with nearly the same numbers."""
  number = lambda x: pytest.approx(x, rel=rel, abs=abs) if isinstance(x, float) else x
  return Estimate(*map(number, estimate))


def example_of(shape, low=0.0, high=1.0, classes=None, data='image', **fields):
  """An Example of images or videos of a shape; `fields` are dtypes of scalars (label=jnp.int32)."""
  field = {data: jax.ShapeDtypeStruct(shape, jnp.float32)}
  field |= {name: jax.ShapeDtypeStruct((), dtype) for name, dtype in fields.items()}
  return Example(field, classes, low, high, data=data)
