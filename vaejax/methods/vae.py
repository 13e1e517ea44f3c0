"""Variational autoencoders: VAE, β-VAE, capacity, free bits and the importance-weighted bound."""

import math
from functools import partial

import jax
import jax.numpy as jnp

from vaejax.distributions import per_example, standard
from vaejax.errors import UserError
from vaejax.nets import autoencoder, lens
from vaejax.nets.heads import DISCRETE
from vaejax.objectives.elbo import elbo, log_mean_exp, rate
from vaejax.types import Example, Method, Player


def make(config, example: Example) -> Method:
  """The method that a config asks for. Raises UserError for a value that it cannot take."""
  objective = config.objective
  if objective.name not in ('elbo', 'iwae'):
    raise UserError(f'objective.name={objective.name!r} is unknown: it takes elbo or iwae')
  if objective.kl not in ('analytic', 'sampled'):
    raise UserError(f'objective.kl={objective.kl!r} is unknown: it takes analytic or sampled')
  unused = [name for name in ('capacity', 'free_bits') if config.hyper.get(name, 0)]
  if objective.name == 'iwae' and unused:
    raise UserError(f'hyper.{unused[0]} means nothing to objective.name=iwae: set it to 0')
  if config.model.likelihood == 'bernoulli':
    discrete = example.levels == 2
  else:
    discrete = config.model.likelihood in DISCRETE
  return vae(
    autoencoder.make(config.model, example),
    config.model.latents,
    example,
    samples=objective.samples,
    importance=objective.name == 'iwae',
    analytic=objective.kl == 'analytic' and objective.name == 'elbo',
    dims=math.prod(example.fields['image'].shape) if discrete else 0,
  )


def vae(nets, latents, example, samples=1, importance=False, analytic=True, dims=0) -> Method:
  """A VAE of the nets 'encoder' and 'decoder'.

  Args:
    nets: 'encoder' maps [B, H, W, C] to q(z|x) over [B, latents], 'decoder' z to p(x|z).
    samples: K draws of z per example: their mean, or with `importance` their bound IWAE-K.
    analytic: the KL in closed form rather than at the draws of z.
    dims: see Method.
  """
  apply = partial(lens.apply, nets)

  def unit(image):
    """[0, 1] from the range of the data."""
    return jnp.clip((image - example.low) / (example.high - example.low), 0.0, 1.0)

  def init(key, batch):
    z = jnp.zeros((batch['image'].shape[0], latents))
    return lens.init(nets, key, {'encoder': (batch['image'],), 'decoder': (z,)})

  def bound(v, batch, key, hyper, train):
    """Loss and named terms per example [B], and the variables left behind."""
    x = batch['image']
    q, v = apply('encoder', v, x, train=train)
    if samples > 1:
      q, x = jax.tree.map(
        lambda a: jnp.repeat(a[None], samples, 0).reshape(-1, *a.shape[1:]), (q, x)
      )
    z = q.sample(key)
    p, v = apply('decoder', v, z, target=x, train=train)
    terms = elbo(x, p, q, standard(z.shape), z, analytic)
    recon, kl = terms.recon.reshape(samples, -1), per_example(terms.kl).reshape(samples, -1)
    values = {'recon': recon.mean(0), 'kl': kl.mean(0), 'elbo': -(recon + kl).mean(0)}
    if importance:
      values['iwae'] = log_mean_exp(-(recon + kl))
      return -log_mean_exp(-(recon + hyper['beta'] * kl)), values, v
    # Capacity and free bits act on the batch's mean: every example carries its share.
    limits = hyper.get('capacity', 0.0), hyper.get('free_bits', 0.0)
    weights = jnp.tile(batch['mask'], samples) if 'mask' in batch else jnp.ones(kl.size)
    plain = jnp.average(kl.ravel(), weights=weights)
    penalty = rate(terms.kl, *limits, weights) - plain
    return values['recon'] + hyper['beta'] * (values['kl'] + penalty), values, v

  def loss(v, batch, key, hyper):
    value, values, v = bound(v, batch, key, hyper, train=True)
    return jnp.mean(value), (jax.tree.map(jnp.mean, values), v.extra)

  def metrics(v, batch, key, hyper):
    value, values, _ = bound(v, batch, key, hyper, train=False)
    return {**values, 'loss': value}

  def sample(v, key, n, given=None, temperature=1.0, draw=False):
    z_key, x_key = jax.random.split(key)
    z = standard((n, latents)).sample(z_key, temperature)
    p, _ = apply('decoder', v, z)
    return {'image': unit(p.sample(x_key) if draw else p.mean)}

  def encode(v, batch, key):
    q, _ = apply('encoder', v, batch['image'])
    return {'latents': q.sample(key), 'mean': q.mean, 'scale': jnp.exp(q.log_scale)}

  def decode(v, batch, key):
    p, _ = apply('decoder', v, batch['latents'])
    return {'image': unit(p.mean)}

  def reconstruct(v, batch, key):
    return decode(v, {'latents': encode(v, batch, key)['mean']}, key)

  def log_weight(v, batch, key):
    q, _ = apply('encoder', v, batch['image'])
    z = q.sample(key)
    p, _ = apply('decoder', v, z)
    terms = elbo(batch['image'], p, q, standard(z.shape), z, analytic=False)
    return {'log_weight': -terms.recon - per_example(terms.kl)}

  return Method(
    init=init,
    players=(Player('vae', loss, ('encoder', 'decoder')),),
    sample=sample,
    metrics=metrics,
    predict={
      'encode': encode,
      'decode': decode,
      'reconstruct': reconstruct,
      'log_weight': log_weight,
    },
    dims=dims,
  )
