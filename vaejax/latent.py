"""What follows from the three distributions of a latent-variable model, once for every family."""

import math

import jax
import jax.numpy as jnp

from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.types import Batch, Example, Latent, Method, Variables


def conditions(model: Latent, batch: Batch) -> Batch:
  """What x is scored under: the conditions of a batch, and never x itself."""
  return {name: batch[name] for name in model.conditions}


def log_joint(model: Latent, v: Variables, z, batch: Batch) -> jax.Array:
  """log p(x, z) in nats, [B]."""
  given, x = conditions(model, batch), batch[model.data]
  prior, _ = model.prior(v, x.shape[0], given)
  likelihood, _ = model.likelihood(v, z, given)
  return per_example(prior.log_prob(z)) + per_example(likelihood.log_prob(x))


def log_weight(model: Latent, v: Variables, batch: Batch, key: jax.Array) -> jax.Array:
  """log p(x, z) - log q(z|x) in nats for one draw of z, [B]: the mean of its exponential over draws
  is p(x)."""
  q, _ = model.posterior(v, batch)
  z, log_q = q.sample_and_log_prob(key)
  return log_joint(model, v, z, batch) - per_example(log_q)


def log_likelihood(log_weight, samples: int, at_once: int, key: jax.Array) -> jax.Array:
  """log p(x) by importance sampling, log (1/K) sum_k exp log_weight(key_k) (Burda et al. 2016,
  equation 8), in memory that does not grow with K; in nats, [B].

  Args:
    log_weight: key -> log p(x, z) - log q(z|x) of one draw of z, [B].
    samples: K.
    at_once: how many of them are drawn in parallel.
  """

  def body(i, carry):
    top, total = carry
    number = i * at_once + jnp.arange(at_once)
    weights = jax.vmap(lambda i: log_weight(jax.random.fold_in(key, i)))(number)
    weights = jnp.where(number[:, None] < samples, weights, -jnp.inf)
    higher = jnp.maximum(top, jnp.max(weights, axis=0))
    total = total * jnp.exp(top - higher) + jnp.sum(jnp.exp(weights - higher), axis=0)
    return higher, total

  shape = jax.eval_shape(log_weight, key).shape
  start = jnp.full(shape, jnp.finfo(jnp.float32).min), jnp.zeros(shape)
  top, total = jax.lax.fori_loop(0, -(-samples // at_once), body, start)
  return top + jnp.log(total) - math.log(samples)


def complete(method: Method, example: Example) -> Method:
  """The method with all that its `latent` tells: `sample`, `given`, and of `predict` 'encode',
  'decode', 'reconstruct' and 'log_weight'. What the method has of these stays.

  A label that samples are conditioned on and not given is drawn, all classes alike.
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
      raise UserError(f'decode needs the {missing[0]} that every image of this run is given')
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
