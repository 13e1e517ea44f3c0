"""FactorVAE (Kim & Mnih 2018, arXiv:1802.05983): a latent-variable model, and a critic that
estimates its total correlation by discriminating codes from codes with permuted dimensions."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.methods import aggregate, bound, limits
from vaejax.nets import lens
from vaejax.nets.mlp import Mlp, settings
from vaejax.objectives.adversarial import critic_loss
from vaejax.objectives.total_correlation import permute
from vaejax.types import Example, Method, Player


class CodeCritic(nn.Module):
  """Codes [B, L] -> logits [B]: dense layers of `body` and a linear one."""

  body: Mlp

  @nn.compact
  def __call__(self, z, train=False):
    return nn.Dense(1)(self.body(z, train).astype(jnp.float32))[:, 0]


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  aggregate.check_whole_batch(config, 'which permutes codes over the whole batch')
  if config.model.critic.norm != 'none':
    raise UserError(
      f'model.critic.norm={config.model.critic.norm} does not fit the critic of factorvae, which '
      'sees codes. Set it to none'
    )
  terms = aggregate.settings(config, example)
  critic = CodeCritic(Mlp(**settings(config.model.critic)))
  return factorvae(aggregate.base(config, example), critic, **terms)


def factorvae(base: Method, critic: nn.Module, **terms) -> Method:
  """The method `base` in a game with the player 'critic' (algorithm 2). Its own player minimises

    recon + beta · kl + hyper['gamma'] · tc,

  where tc, the critic's logit at a draw of z, estimates log q(z) - Σ_j log q(z_j). The critic gets
  two batches: codes of the first are its data, and those of the second, permuted, its samples. It
  is updated after the model.

  Args:
    base: a method with a Gaussian posterior.
    critic: maps codes [B, L] to logits [B].
    terms: the arguments of bound.terms.
  """
  model, nets = base.latent, {'critic': critic}
  apply = partial(lens.apply, nets)

  def codes(v, batch, key, train):
    q, after = model.posterior(v, batch, train=train)
    return aggregate.flat(q, q.sample(key))[1], after

  def init(key, batch):
    base_key, key = jax.random.split(key)
    v = base.init(base_key, batch)
    z, _ = codes(v, batch, key, False)
    added = lens.init(nets, key, {'critic': (z,)})
    return v.replace(params={**v.params, **added.params}, extra={**v.extra, **added.extra})

  def evaluate(v, batch, key, hyper, train, whole=None):
    result = bound.terms(model, v, batch, key, hyper, train, whole, **terms)
    _, z = aggregate.flat(result.q, result.z)
    tc, _ = apply('critic', v, z)
    return result.value + hyper['gamma'] * tc, {**result.values, 'tc': tc}, result.variables

  def critic_turn(v, batch, key, hyper):
    data_key, sample_key, permute_key = jax.random.split(key, 3)
    first, second = (jax.tree.map(lambda x, i=i: x[i::2], batch) for i in range(2))
    z, _ = codes(v, first, data_key, True)
    permuted = permute(codes(v, second, sample_key, True)[0], permute_key)
    (real, _), (fake, _) = apply('critic', v, z), apply('critic', v, permuted)
    logits = {'logit_real': jnp.mean(real), 'logit_fake': jnp.mean(fake)}
    return 0.5 * jnp.mean(critic_loss('non_saturating', real, fake)), (logits, v.extra)

  # Its metrics lack the logit of permuted codes, which would depend on the rows of a batch.
  made = limits.objective(evaluate)
  player = base.players[0]._replace(loss=made.loss, means=None)
  players = player, Player('critic', critic_turn, ('critic',), lr='lr_critic', batches=2)
  return base._replace(init=init, players=players, metrics=made.metrics, pooled=made.pooled)
