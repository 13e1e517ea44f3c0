"""A second stage: the prior of a trained latent-variable model, fitted to its posteriors while all
its other nets stay as they are (as in van den Oord et al. 2017, arXiv:1711.00937, section 3.3)."""

import jax.numpy as jnp

from vaejax import latent
from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.lookup import lookup
from vaejax.types import Example, Method, Player


def make(config, example: Example) -> Method:
  """The method of a config whose `objective.base` names the first stage's. Raises UserError."""
  base = lookup('methods', config.objective.base).make(config, example)
  if base.latent is None:
    raise UserError(f'{config.objective.base} has no latents: take a run of another method')
  if not any('prior' in player.owns for player in base.players):
    raise UserError(
      f'model.prior={config.model.get("prior")} has nothing to learn: set model.prior=mixture or '
      'another that learns'
    )
  return prior(base)


def prior(base: Method) -> Method:
  """The method `base` with one player alone, which moves the net 'prior' to maximise
  E log p(z), z from q(z|x): in nats per example, all that the bound has of the prior."""
  model = base.latent

  def loss(v, batch, key, hyper):
    q, _ = model.posterior(v, batch)
    z, log_q = q.sample_and_log_prob(key)
    n = batch[model.data].shape[0]
    log_p = per_example(model.prior(v, n, latent.conditions(model, batch))[0].log_prob(z))
    kl = jnp.mean(per_example(log_q) - log_p)
    return -jnp.mean(log_p), ({'kl': kl}, v.extra)

  return base._replace(players=(Player('prior', loss, ('prior',)),))
