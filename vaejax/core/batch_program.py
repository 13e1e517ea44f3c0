"""The program that evaluates one batch: what all evals extract from it, and from samples."""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax import previous
from vaejax.core import sharding
from vaejax.core.row_noise import row_key
from vaejax.data import left_out
from vaejax.data.source import Source
from vaejax.types import Batch, Example, Method

LABELS = 'label', f'{previous.PREFIX}label'

# The name of rows that mark the tested examples. The pass adds them if it masks examples without a
# label that the method needs, or examples of the left-out class.
IS_TESTED = 'is_tested'


def draw_samples(method: Method, variables, batch: Batch, key, example: Example) -> Batch:
  """One sample for each row of a batch, given those fields of the row that the method accepts, but
  never the data itself. A row without a label gets a uniform one."""
  fields = [name for name in method.given if name in batch and name != example.data]
  given = {name: batch[name] for name in fields}
  if 'label' in given and example.classes:
    label, label_key = given['label'], jax.random.fold_in(key, 1)
    drawn = jax.random.randint(label_key, label.shape, 0, example.classes, label.dtype)
    given['label'] = jnp.where(label < 0, drawn, label)
  samples = method.sample(variables, key, batch['mask'].shape[0], given)
  return {**given, **samples, 'mask': batch['mask']}


def make_batch_program(
  evals, method: Method, source: Source, streams, n: int, mesh, stacked: bool, leave_out: bool
):
  """A jitted (variables, hyper, key, buffer, number, limit, before) -> (sums, rows, before) of one
  batch of n, where `before` has the last rows of the batches before it, see previous.py.

  sums are {eval: {stream: tree}}, rows {stream: {name: arrays}}; examples from `limit` on are
  masked. So are examples without a label if the method is conditional, and with `leave_out` those
  of a member's left-out class; IS_TESTED is then among the rows. Members of a stack see the same
  batch. A row has the same noise in batches of any size. Also returns {(eval, stream): names of its
  rows}, which is filled when the program is traced, and `before` of the first batch.
  """
  read_rows, row_names = sharding.shard_rows(mesh, source.rows), {}
  conditional = method.conditional and 'label' in source.example.fields
  needed = max((e.previous for e in evals.values() if streams[0] in e.extract), default=0)

  def extract(variables, batch, index, key, hyper):
    batches, is_tested = {streams[0]: batch}, None
    if leave_out:
      is_tested = left_out.is_kept(batch['label'], hyper[left_out.FIELD])
    if conditional:
      has_label = batch['label'] >= 0
      is_tested = is_tested & has_label if leave_out else has_label
      labels = {k: jnp.maximum(x, 0) for k, x in batch.items() if k in LABELS}
      batches[streams[0]] = {**batch, **labels}
    if is_tested is not None:
      batches[streams[0]] = {**batches[streams[0]], 'mask': batch['mask'] * is_tested}
    if 'samples' in streams and any('samples' in e.extract for e in evals.values()):
      batches['samples'] = draw_samples(method, variables, batch, key, source.example)
    sums, rows = {}, {stream: {} for stream in batches}
    for name, e in evals.items():
      for stream in (s for s in batches if s in e.extract):
        tested = batches[stream]
        if e.limit:
          tested = {**tested, 'mask': tested['mask'] * (index < e.limit)}
        eval_sums, eval_rows = e.extract[stream](variables, tested, key, hyper)
        sums.setdefault(name, {})[stream] = eval_sums
        row_names[name, stream] = tuple(eval_rows)
        rows[stream] = {**eval_rows, **rows[stream]}  # rows of the same name are the same
    if is_tested is not None:
      rows[streams[0]][IS_TESTED] = is_tested
    return sums, rows

  extract = jax.vmap(extract, in_axes=(0, None, None, None, 0)) if stacked else extract

  # Replicated here: gathering the outputs one by one later takes a collective for each.
  @partial(jax.jit, out_shardings=sharding.replicated(mesh))
  def run(variables, hyper, key, buffer, number, limit, before):
    index = number * n + jnp.arange(n)
    batch = read_rows(buffer, jnp.minimum(index, limit - 1))
    batch, before = previous.add(batch, before, needed)
    batch = {**batch, 'mask': (index < limit).astype(jnp.float32)}
    key = row_key(key, number * n, n)
    with jax.default_matmul_precision('highest'):  # accelerators round products to fewer bits
      return *extract(variables, batch, index, key, hyper), before

  blank = previous.blank(source.example, needed)
  return run, row_names, jax.device_put(blank, sharding.replicated(mesh)) if blank else blank
