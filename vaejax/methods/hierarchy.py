"""A VAE of several stochastic layers (Burda et al. 2016, arXiv:1509.00519, section 5):
q(z_1|x) q(z_2|z_1) ... upwards, and p(z_L) ... p(z_1|z_2) p(x|z_1) downwards."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax import latent
from vaejax.compound import Chain, Reversed
from vaejax.distributions import standard
from vaejax.errors import UserError
from vaejax.methods import bound
from vaejax.nets import autoencoder, lens, trunk
from vaejax.nets.heads import GaussianHead, centred, discrete
from vaejax.nets.mlp import Mlp, initial, settings
from vaejax.types import Example, Latent, Method, Player


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  model, levels = config.model, tuple(config.model.levels)
  if not levels or min(levels) < 1:
    raise UserError(f'model.levels={levels} needs a number of latents for each layer, as in 100,50')
  if config.objective.kl != 'sampled':
    # KL(q(z_1|x) || p(z_1|z_2)) in closed form would take z_2 as independent of z_1.
    raise UserError(
      f'objective.kl={config.objective.kl} does not fit several stochastic layers. Set it to '
      'sampled'
    )
  method = hierarchy(
    make_nets(model, levels, example),
    levels,
    example,
    dims=discrete(model.likelihood, example),
    **bound.settings(config, example),
  )
  return method._replace(centred=centred(model))


def make_nets(model, levels, example: Example) -> dict[str, nn.Module]:
  """The nets of a config's `model`. Raises UserError.

  encoder: images -> q(z_1|x); decoder: z_1 -> p(x|z_1).
  inference_i: z_i -> q(z_{i+1}|z_i); generation_i: z_{i+1} -> p(z_i|z_{i+1}).
  """
  shape, kernel = example.fields['image'].shape, initial(model)
  # No norm, because a link of a Chain cannot update its statistics.
  dense = Mlp(**settings(model) | {'widths': tuple(model.inner_widths), 'norm': 'none'})
  nets = {
    'encoder': autoencoder.Encoder(trunk.to_vector(model, shape), levels[0], initial=kernel),
    'decoder': autoencoder.decoder(model, example, shape),
  }
  for i, (below, above) in enumerate(pairwise(levels), 1):
    nets[f'inference_{i}'] = Level(dense.clone(), above, kernel)
    nets[f'generation_{i}'] = Level(dense.clone(), below, kernel)
  return nets


class Level(nn.Module):
  """[B, F] -> a diagonal Gaussian over [B, latents]. `initial` is the initialiser of its head."""

  body: Mlp
  latents: int
  initial: jax.nn.initializers.Initializer

  @nn.compact
  def __call__(self, z, train=False):
    return GaussianHead(self.latents, self.initial, name='head')(self.body(z, train))


def hierarchy(nets, levels, example, dims=0, **objective) -> Method:
  """A VAE whose z is a tuple (z_1, ..., z_L).

  Args:
    nets: see make_nets.
    levels: the dimensions of z_1, ..., z_L.
    dims: see Method.
    objective: see bound.terms; the KL cannot be analytic.
  """
  apply, above = partial(lens.apply, nets), range(1, len(levels))

  def init(key, batch):
    x = batch['image']
    z = [jnp.zeros((x.shape[0], size)) for size in levels]
    inputs = {'encoder': (x,), 'decoder': (z[0], None, None, x)}
    inputs |= {f'inference_{i}': (z[i - 1],) for i in above}
    inputs |= {f'generation_{i}': (z[i],) for i in above}
    return lens.init(nets, key, inputs)

  def conditional(name, v, values):
    """The output of a net for the last of the values."""
    return apply(name, v, values[-1])[0]

  def link(v, name):
    return jax.tree_util.Partial(links[name], lens.only(v, name))

  links = {name: partial(conditional, name) for name in nets}

  def posterior(v, batch, train=False):
    first, after = apply('encoder', v, batch['image'], train=train)
    return Chain(first, tuple(link(v, f'inference_{i}') for i in above)), after

  def prior(v, n, given):
    top = standard((n, levels[-1]))
    down = tuple(link(v, f'generation_{i}') for i in reversed(above))
    return Reversed(Chain(top, down)), v

  def likelihood(v, z, given, target=None, train=False):
    return apply('decoder', v, z[0], target=target, train=train)

  model = Latent(prior, posterior, likelihood)
  made = bound.bound(model, **objective)
  players = (Player('hierarchy', made.loss, tuple(nets), means=made.means),)
  method = Method(
    init,
    players,
    None,
    made.metrics,
    {},
    dims,
    latent=model,
    pooled=made.pooled,
  )
  return latent.complete(method, example)
