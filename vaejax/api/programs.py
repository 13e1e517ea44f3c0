"""The programs of a trained run: compiled once per shape, for any number of examples."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vaejax import scores
from vaejax.core.batched import compiled
from vaejax.inference import by_class
from vaejax.latent import log_likelihood
from vaejax.types import Batch, Example, Method, Variables

AT_ONCE = 256  # images or video frames
# For importance sampling: how many examples at once, and how many draws for each of them.
SCORED, DRAWS = 16, 128


def make(method: Method, example: Example) -> dict[str, Callable[..., Any]]:
  """Returns the programs of a method: 'encode', 'draw', 'decode', 'reconstruct', 'sample',
  'log_prob', 'score', 'transfer', 'to_image', 'to_source', 'classify', 'observe' and 'advance',
  those that it has.

  'classify' is Bayes' rule if the method has no classifier and its densities are given the label,
  see `by_bayes`.

  Each is jitted, (variables, rows, index, key, ...) -> arrays [B, ...], with images as users have
  them. Draws for row i depend only on the key and on its index.
  """
  data, predict = example.data, method.predict
  to_data = example._replace(levels=256).to_data  # a source need not have the levels of the data

  def inward(rows: Batch) -> Batch:
    convert = {data: example.to_data, 'style_image': example.to_data, 'source': to_data}
    return {k: convert[k](x) if k in convert else x for k, x in rows.items()}

  def outward(batch: Batch) -> jax.Array:
    return example.to_unit(batch[data]).astype(jnp.float32)

  def predicted(name: str, output: Callable[[Batch], Any]):
    return lambda v, rows, index, key: output(predict[name](v, inward(rows), key))

  def row_by_row(rows: Batch, index, key: jax.Array, function: Callable[..., Any]):
    """function(batch of one, key) of every row, each with its own key."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
    single = lambda row, key: function(jax.tree.map(lambda x: x[None], row), key)
    return jax.tree.map(lambda x: x[:, 0], jax.vmap(single)(inward(rows), keys))

  def draw(v: Variables, rows, index, key):
    return row_by_row(rows, index, key, lambda row, key: predict['encode'](v, row, key)['latents'])

  def log_prob(v, rows, index, key, samples):
    def score(row, key):
      weight = lambda key: predict['log_weight'](v, row, key)['log_weight']
      return log_likelihood(weight, samples, min(samples, DRAWS), key).log_likelihood

    return row_by_row(rows, index, key, score)

  def sample(v, rows, index, key, temperature, draw):
    key, given = jax.random.fold_in(key, index[0] // len(index)), inward(rows)
    settings = {'temperature': temperature, 'draw': draw}
    return outward(method.sample(v, key, len(index), given, **settings))

  def score(v, rows, index, key, draws, samples):
    return scores.make(method, draws, samples)(v, inward(rows))

  def noise(index, key, temperature):
    draw = lambda key: jax.random.normal(key, method.stream.noise)
    return temperature * jax.vmap(draw)(jax.vmap(jax.random.fold_in, (None, 0))(key, index))

  def observe(v, rows, index, key, temperature):
    frame = example.to_data(rows[data])
    return method.stream.observe(v, rows['carry'], frame, noise(index, key, temperature))

  def advance(v, rows, index, key, temperature):
    carry, frame = method.stream.advance(v, rows['carry'], noise(index, key, temperature))
    return carry, outward({data: frame})

  def by_bayes(v, rows, index, key, class_prior, draws, bound):
    at_once = max(1, min(draws, scores.ROWS // (len(index) * example.classes)))
    settings = {'draws': draws, 'at_once': at_once, 'bound': bound}

    def of_row(row, key):
      given = method.latent, v, row[data], example.classes, key
      return by_class.posterior(by_class.log_likelihoods(*given, **settings), class_prior)

    return row_by_row(rows, index, key, of_row)

  outputs = {'encode': lambda batch: batch['mean'], 'classify': lambda batch: batch['probability']}
  outputs |= dict.fromkeys(('decode', 'reconstruct', 'transfer', 'to_image'), outward)
  outputs['to_source'] = lambda batch: example.to_unit(batch['source']).astype(jnp.float32)
  programs = {name: predicted(name, output) for name, output in outputs.items() if name in predict}
  programs |= {'draw': draw} if 'encode' in predict else {}
  programs |= {'log_prob': log_prob} if 'log_weight' in predict else {}
  programs |= {'score': score} if scores.names(method) else {}
  programs |= {'sample': sample} if method.sample else {}
  programs |= {'observe': observe, 'advance': advance} if method.stream else {}
  if 'classify' not in predict and by_class.applies(method):
    programs['classify'] = by_bayes
  statics = {'classify': ('draws', 'bound') if programs.get('classify') is by_bayes else None}
  statics |= {'log_prob': 'samples', 'sample': 'draw', 'score': ('draws', 'samples')}
  return {name: compiled(program, statics.get(name)) for name, program in programs.items()}
