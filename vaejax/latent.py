"""Functions that follow from the three distributions of any latent-variable model."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.types import Batch, Example, Latent, Method, Variables


def conditions(model: Latent, batch: Batch) -> Batch:
  """The fields of a batch that every density is conditioned on. Never x itself."""
  return {name: batch[name] for name in model.conditions}


def log_joint(model: Latent, v: Variables, z, batch: Batch) -> jax.Array:
  """log p(x, z) in nats, [B]."""
  given, x = conditions(model, batch), batch[model.data]
  prior, _ = model.prior(v, x.shape[0], given)
  likelihood, _ = model.likelihood(v, z, given)
  return prior.total_log_prob(z) + likelihood.total_log_prob(x)


def log_weight(model: Latent, v: Variables, batch: Batch, key: jax.Array) -> jax.Array:
  """log p(x, z) - log q(z|x) in nats for one draw of z, [B]. Its exponential averages to p(x)."""
  q, _ = model.posterior(v, batch)
  z, log_q = q.sample_and_log_prob(key)
  return log_joint(model, v, z, batch) - per_example(log_q)


class Importance(NamedTuple):
  """log p(x) of B examples by importance sampling, with two measures of its accuracy.

  Attributes:
    log_likelihood: from K draws, in nats, [B].
    of_half: the same from the first K // 2 draws; -inf if K is 1.
    effective_samples: (sum of weights)^2 / sum of squared weights, 1 to K, [B].
  """

  log_likelihood: jax.Array
  of_half: jax.Array
  effective_samples: jax.Array


def log_likelihood(log_weight, samples: int, at_once: int, key: jax.Array) -> Importance:
  """log p(x) by importance sampling: log (1/K) sum_k exp log_weight(key_k) (Burda et al. 2016,
  equation 8). Memory does not grow with K.

  Args:
    log_weight: key -> log p(x, z) - log q(z|x) of one draw of z, [B].
    samples: K.
    at_once: how many draws run in parallel.
  """

  half = samples // 2

  def body(i, sums):
    draws = i * at_once + jnp.arange(at_once)
    weights = jax.vmap(lambda i: log_weight(jax.random.fold_in(key, i)))(draws)
    of_first = lambda n: jnp.where(draws[:, None] < n, weights, -jnp.inf)
    return tuple(add(s, of_first(n)) for s, n in zip(sums, (samples, half), strict=True))

  zeros = jnp.zeros(jax.eval_shape(log_weight, key).shape)
  start = WeightSums(jnp.full_like(zeros, jnp.finfo(jnp.float32).min), zeros, zeros)
  every, first = jax.lax.fori_loop(0, -(-samples // at_once), body, (start, start))
  return Importance(
    every.largest + jnp.log(every.total) - math.log(samples),
    first.largest + jnp.log(first.total) - math.log(max(half, 1)),
    every.total**2 / every.squares,
  )


class WeightSums(NamedTuple):
  """The largest of the log weights of B examples, and sums of exp(log weight - largest) and of its
  square, [B] each."""

  largest: jax.Array
  total: jax.Array
  squares: jax.Array


def add(sums: WeightSums, log_weights: jax.Array) -> WeightSums:
  """The sums with further log weights [N, B]."""
  largest = jnp.maximum(sums.largest, jnp.max(log_weights, axis=0))
  shrink, weights = jnp.exp(sums.largest - largest), jnp.exp(log_weights - largest)
  total = sums.total * shrink + jnp.sum(weights, axis=0)
  return WeightSums(largest, total, sums.squares * shrink**2 + jnp.sum(weights**2, axis=0))


def complete(method: Method, example: Example) -> Method:
  """Adds to a method what its `latent` defines: `sample`, `given`, and the predictions 'encode',
  'decode', 'reconstruct' and 'log_weight'. Those that the method already has are kept.

  If samples are conditioned on a label and none is given, it is drawn uniformly.
  """
  model = method.latent
  data = model.data

  def sample(v, key, n, given=None, temperature=1.0, draw=False):
    z_key, x_key, label_key = jax.random.split(key, 3)
    given = {name: value for name, value in (given or {}).items() if name in complete.given}
    if missing := [name for name in model.conditions if name not in (*given, 'label')]:
      raise UserError(f'samples of this run need the {missing[0]} of each. Give {missing[0]}=...')
    if 'label' in model.conditions and 'label' not in given:
      given['label'] = jax.random.randint(label_key, (n,), 0, example.classes)
    prior, _ = model.prior(v, n, given)
    likelihood, _ = model.likelihood(v, prior.sample(z_key, temperature), given)
    return {data: likelihood.sample(x_key) if draw else likelihood.mean}

  def encode(v, batch, key):
    q, _ = model.posterior(v, batch)
    code = {'latents': q.sample(key), 'mean': q.mean}
    return code | ({'scale': q.scale} if hasattr(q, 'scale') else {})

  def decode(v, batch, key):
    missing = [name for name in model.conditions if name not in batch]
    if missing:
      raise UserError(
        f'decode needs the {missing[0]} of each row, because this run is conditional. Give '
        f'{missing[0]}=...'
      )
    return {data: model.likelihood(v, batch['latents'], conditions(model, batch))[0].mean}

  def reconstruct(v, batch, key):
    q, _ = model.posterior(v, batch)
    return {data: model.likelihood(v, q.mean, conditions(model, batch))[0].mean}

  predict = {
    'encode': encode,
    'decode': decode,
    'reconstruct': reconstruct,
    'log_weight': lambda v, batch, key: {'log_weight': log_weight(model, v, batch, key)},
  }
  complete = method._replace(
    sample=method.sample or sample,
    predict=predict | method.predict,
    given=method.given or model.conditions,
  )
  return complete
