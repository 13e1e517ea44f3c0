"""Functions that follow from the three distributions of any latent-variable model."""

import math

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
  return per_example(prior.log_prob(z)) + per_example(likelihood.log_prob(x))


def log_weight(model: Latent, v: Variables, batch: Batch, key: jax.Array) -> jax.Array:
  """log p(x, z) - log q(z|x) in nats for one draw of z, [B]. Its exponential averages to p(x)."""
  q, _ = model.posterior(v, batch)
  z, log_q = q.sample_and_log_prob(key)
  return log_joint(model, v, z, batch) - per_example(log_q)


def log_likelihood(log_weight, samples: int, at_once: int, key: jax.Array) -> jax.Array:
  """log p(x) in nats by importance sampling, [B]: log (1/K) sum_k exp log_weight(key_k) (Burda et
  al. 2016, equation 8). Memory does not grow with K.

  Args:
    log_weight: key -> log p(x, z) - log q(z|x) of one draw of z, [B].
    samples: K.
    at_once: how many draws run in parallel.
  """

  def body(i, carry):
    largest, total = carry
    draws = i * at_once + jnp.arange(at_once)
    weights = jax.vmap(lambda i: log_weight(jax.random.fold_in(key, i)))(draws)
    weights = jnp.where(draws[:, None] < samples, weights, -jnp.inf)
    new_largest = jnp.maximum(largest, jnp.max(weights, axis=0))
    total = total * jnp.exp(largest - new_largest)
    total = total + jnp.sum(jnp.exp(weights - new_largest), axis=0)
    return new_largest, total

  shape = jax.eval_shape(log_weight, key).shape
  start = jnp.full(shape, jnp.finfo(jnp.float32).min), jnp.zeros(shape)
  largest, total = jax.lax.fori_loop(0, -(-samples // at_once), body, start)
  return largest + jnp.log(total) - math.log(samples)


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
