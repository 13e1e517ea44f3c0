"""The rows of a split before each row of a batch, so that values of pairs of rows do not depend on
how a pass divides the split."""

import jax.numpy as jnp

from vaejax.types import Batch, Example

PREFIX = 'previous_'

# {'rows': {field: [k, ...]}, 'any': whether there were any}: the last k rows of earlier batches.
Before = dict


def blank(example: Example, k: int) -> Before:
  """The Before of the first batch of a split; {} for k = 0."""
  if not k:
    return {}
  rows = {name: jnp.zeros((k, *f.shape), f.dtype) for name, f in example.fields.items()}
  return {'rows': rows, 'any': jnp.zeros((), bool)}


def add(batch: Batch, before: Before, k: int) -> tuple[Batch, Before]:
  """The batch with 'previous_NAME' [B, k, ...] for each of its fields, the nearest row last, and
  the Before of the next batch. Before the first row of the split, they are that row."""
  if not k:
    return batch, before
  result, rows = dict(batch), {}
  for name in before['rows']:
    x = batch[name]
    first = jnp.where(before['any'], before['rows'][name], x[:1])
    every = jnp.concatenate([first, x])  # [k + B, ...]
    columns = [every[i : i + len(x)] for i in range(k)]
    result[PREFIX + name], rows[name] = jnp.stack(columns, axis=1), every[-k:]
  return result, {'rows': rows, 'any': jnp.ones((), bool)}


def rows_before(batch: Batch, name: str, k: int):
  """The k rows of a field before each row, [B, k, ...], the nearest last: as `add` gave them, else
  rows of the batch, where the last comes before the first."""
  if PREFIX + name in batch:
    return batch[PREFIX + name][:, -k:]
  return jnp.stack([jnp.roll(batch[name], i, axis=0) for i in range(k, 0, -1)], axis=1)
