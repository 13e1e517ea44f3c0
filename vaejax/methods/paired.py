"""Conditional VAE of an image given another one, its source (Sohn et al. 2015, Learning structured
output representation using deep conditional generative models).

The source is the same picture with a missing part, smaller, grey or noisy, or a picture of another
domain, see data.source. A critic of patches can be a second player (Isola et al. 2017,
arXiv:1611.07004); it sees the source next to the image.
"""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.compound import divergence
from vaejax.distributions import per_example, standard
from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.methods import bound, lpips
from vaejax.methods.limits import objective
from vaejax.nets import lens, patch, predictor, trunk
from vaejax.nets.autoencoder import Encoder
from vaejax.nets.completed import symmetry_loss
from vaejax.nets.heads import discrete
from vaejax.objectives.adversarial import LOSSES, fake_loss, generator_loss, real_loss
from vaejax.types import Example, Latent, Method, Player

FIELD = 'source'
PRIORS = 'learned', 'standard'
SYMMETRY = 10.0  # weight of symmetry_loss, which is 0 without a mirror


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  if FIELD not in example.fields:
    raise UserError(
      f'the method paired predicts images from a source, but {config.data.name} has none. Set '
      'data.source, for example to mask:half, small:4, grey or noise:0.2'
    )
  model = config.model
  if model.likelihood == 'sigma_vae':
    raise UserError(
      'model.likelihood=sigma_vae fits its scale to a whole batch, but here a part of it has '
      'latents of the prior. Set it to laplace'
    )
  choice('model.prior', model.prior, PRIORS)
  if adversarial := 'adversarial' in config.hyper:
    choice('objective.critic', config.objective.critic, LOSSES)
  *size, channels = example.fields['image'].shape
  depth = example.fields[FIELD].shape[-1]
  body = lambda depth: trunk.to_vector(model.encoder, (*size, depth))
  nets = {
    'encoder': Encoder(body(channels + depth), model.latents),
    'prior': Encoder(body(depth), model.latents),
    'decoder': predictor.make(model, example, masked=is_masked(config.data)),
  }
  if adversarial:
    nets['critic'] = patch.make(model.critic, (*size, channels + depth))
  if model.prior == 'standard':
    del nets['prior']
  return paired(
    nets,
    model.latents,
    example,
    dims=discrete(model.likelihood, example),
    share=config.objective.share,
    perceptual=lpips.term(config, example),
    loss=config.objective.critic if adversarial else '',
  )


def is_masked(data) -> bool:
  """Whether the last channel of the sources says where the image is seen."""
  return str(data.get(FIELD) or '').startswith('mask')


def paired(nets, latents, example, dims=0, share=0.5, perceptual=None, loss='', turns=1) -> Method:
  """A conditional VAE with the player 'vae' and, with a net 'critic', the player 'critic'.

  Its loss is -log p(x|z, s) + beta · KL(q(z|x, s), p(z|s)), with z from q, for a part of the rows
  of a batch. For the other part, a `share`, z is from the prior and the KL is left out: the hybrid
  objective (section 4.3 of the paper), so that predictions without x are trained too. With a critic
  the generator's loss is added with the weight hyper['adversarial'], LPIPS with hyper['lpips'], and
  with `model.mirror` and a mask symmetry_loss with SYMMETRY.

  Args:
    nets: 'encoder' of x and s, 'prior' of s (none: N(0, I)), 'decoder' of z and s, and 'critic'.
    dims: see Method.
    perceptual: see bound.terms.
    loss: of the critic, see objectives/adversarial.py.
  """
  apply = partial(lens.apply, nets)
  shape = example.fields['image'].shape
  at_size = lambda s: predictor.resized(s, (*shape[:2], s.shape[-1]))
  both = lambda x, s: jnp.concatenate([x, at_size(s)], axis=-1)

  def init(key, batch):
    x, s = batch['image'], batch[FIELD]
    z = jnp.zeros((x.shape[0], latents))
    inputs = {'encoder': (both(x, s),), 'prior': (at_size(s),), 'decoder': (z, s, x)}
    inputs['critic'] = (both(x, s),)
    return lens.init(nets, key, {name: inputs[name] for name in nets})

  def prior(v, n, given):
    if 'prior' not in nets:
      return standard((n, latents)), v
    return apply('prior', v, at_size(given[FIELD]))

  def posterior(v, batch, train=False):
    return apply('encoder', v, both(batch['image'], batch[FIELD]), train=train)

  def likelihood(v, z, given, target=None, train=False):
    return apply('decoder', v, z, given[FIELD], target=target, train=train)

  model = Latent(prior, posterior, likelihood, conditions=(FIELD,))

  def predictions(v, batch, key, train):
    """p(x|z, s) of a batch in training, the KL [B] where z is from q, and the variables."""
    x, given = batch['image'], latent.conditions(model, batch)
    q_key, p_key = jax.random.split(key)
    q, v = model.posterior(v, batch, train=train)
    p_z, v = model.prior(v, x.shape[0], given)
    z = q.sample(q_key)
    free = jnp.arange(x.shape[0]) < round(share * x.shape[0])
    kl = jnp.where(free, 0.0, per_example(divergence(q, p_z, z, True)))
    z = jnp.where(free[:, None], p_z.sample(p_key), z)
    p, v = model.likelihood(v, z, given, target=x, train=train)
    return p, kl, v

  def evaluate(v, batch, key, hyper, train, whole=None):
    if not train:
      result = bound.terms(model, v, batch, key, hyper, train, perceptual=perceptual)
      values = {k: x for k, x in result.values.items() if k != 'kl_terms'}
      return result.value, values | judged(v, batch, key), result.variables
    x = batch['image']
    p, kl, v = predictions(v, batch, key, train)
    values = {'recon': -per_example(p.log_prob(x)), 'kl': kl}
    value = values['recon'] + hyper['beta'] * kl + SYMMETRY * symmetry_loss(p, x)
    if perceptual:
      values['lpips'] = perceptual(p.mean, x)
      value = value + hyper[lpips.WEIGHT] * values['lpips']
    if loss:
      logits, _ = criticise(v, p.mean, batch[FIELD])
      values['adversarial'] = jnp.mean(generator_loss(loss, logits), axis=(1, 2))
      value = value + hyper['adversarial'] * values['adversarial']
    return value, values, v

  def criticise(v, x, s, train=False):
    """The logits [B, h, w] of the critic, and the variables."""
    (logits, _), v = apply('critic', v, both(x, s), train=train)
    return logits, v

  def judged(v, batch, key):
    """The critic's mean logits of data and of predictions, {} without a critic."""
    if not loss:
      return {}
    given = latent.conditions(model, batch)
    z = model.prior(v, batch['image'].shape[0], given)[0].sample(jax.random.fold_in(key, 1))
    fake = model.likelihood(v, z, given)[0].mean
    mean = lambda x: jnp.mean(criticise(v, x, batch[FIELD])[0], axis=(1, 2))
    return {'logit_real': mean(batch['image']), 'logit_fake': mean(fake)}

  def critic_turn(v, batch, key, hyper):
    p, _, _ = predictions(v, batch, key, train=True)
    x, s = batch['image'], batch[FIELD]
    real, v = criticise(v, x, s, train=True)
    fake, v = criticise(v, jax.lax.stop_gradient(p.mean), s, train=True)
    value = jnp.mean(real_loss(loss, real)) + jnp.mean(fake_loss(loss, fake))
    metrics = {'logit_real': jnp.mean(real), 'logit_fake': jnp.mean(fake), 'critic': value}
    return value, (metrics, v.extra)

  made = objective(evaluate)
  own = tuple(name for name in nets if name != 'critic')
  players = (Player('vae', made.loss, own, means=made.means),)
  if loss:
    players = (Player('critic', critic_turn, ('critic',), lr='lr_critic', turns=turns), *players)
  method = Method(init, players, None, made.metrics, {}, dims, latent=model, pooled=made.pooled)
  return latent.complete(method, example)
