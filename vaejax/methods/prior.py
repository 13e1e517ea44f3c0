"""A second training stage: fits the prior of a trained latent-variable model to its posteriors and
keeps its other nets fixed (as in van den Oord et al. 2017, arXiv:1711.00937, section 3.3)."""

import jax.numpy as jnp

from vaejax import latent
from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.lookup import lookup
from vaejax.types import Example, Method, Player


def make(config, example: Example) -> Method:
  """The method of a config whose `objective.base` names the method of the first stage. Raises
  UserError."""
  base = lookup('methods', config.objective.base).make(config, example)
  if base.latent is None:
    raise UserError(
      f'objective.base={config.objective.base} has no latents. Choose a run of another method'
    )
  if not any('prior' in player.owns for player in base.players):
    raise UserError(
      f'model.prior={config.model.get("prior")} has nothing to learn. Set model.prior=mixture or '
      'another learned prior'
    )
  return prior(base)


def prior(base: Method) -> Method:
  """The method `base` with a single player, which trains the net 'prior' to maximise E log p(z) for
  z from q(z|x), in nats per example. No other term of the bound depends on the prior."""
  model = base.latent

  def loss(v, batch, key, hyper):
    q, _ = model.posterior(v, batch)
    z, log_q = q.sample_and_log_prob(key)
    n = batch[model.data].shape[0]
    log_p = per_example(model.prior(v, n, latent.conditions(model, batch))[0].log_prob(z))
    kl = jnp.mean(per_example(log_q) - log_p)
    return -jnp.mean(log_p), ({'kl': kl}, v.extra)

  return base._replace(players=(Player('prior', loss, ('prior',)),))
