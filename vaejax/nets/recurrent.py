"""Nets of a recurrent VAE (Chung et al. 2015, arXiv:1506.02216): the encoder of a frame, the
recurrent core, and the decoder of a frame."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.distributions import Gaussian
from vaejax.lookup import choice
from vaejax.nets import autoencoder, trunk
from vaejax.nets.blocks import DTYPES
from vaejax.nets.heads import GaussianHead
from vaejax.nets.mlp import Mlp
from vaejax.types import Example

CELLS = {'gru': nn.GRUCell, 'lstm': nn.OptimizedLSTMCell, 'none': None}


def reparameterise(q: Gaussian, noise: jax.Array) -> jax.Array:
  """A draw mean + scale * noise from q, for noise from N(0, 1)."""
  return q.mean + jnp.exp(q.log_scale) * noise


class Core(nn.Module):
  """The recurrent core: the prior p(z|h), the posterior q(z|x, h), and the next state
  h' = cell(h, features of x, features of z) (Chung et al. 2015, equations 5, 9 and 7).

  The carry is the cell's, and `state` is its h, [B, width]. Without recurrence (cell 'none') h is
  always zero, and the model is a VAE of independent frames with a learned prior.

  With `codes`, the decoder is given the features of z, and not z (equation 6).
  """

  latents: int
  width: int
  cell: str = 'gru'
  activation: str = 'relu'
  dtype: Any = jnp.float32
  codes: bool = False

  def setup(self):
    hidden = partial(Mlp, (self.width,), self.activation, self.dtype)
    self.prior_trunk, self.posterior_trunk, self.code_trunk = hidden(), hidden(), hidden()
    self.prior_head, self.posterior_head = GaussianHead(self.latents), GaussianHead(self.latents)
    if self.cell != 'none':
      self.memory = CELLS[self.cell](self.width)

  def start(self, n: int):
    """The carry before the first frame of n videos, which is zero."""
    zeros = jnp.zeros((n, self.width))
    return (zeros, zeros) if self.cell == 'lstm' else zeros

  def state(self, carry) -> jax.Array:
    """h, [B, width]."""
    return carry[1] if self.cell == 'lstm' else carry

  def prior(self, carry, train=False) -> Gaussian:
    """p(z|h) over [B, latents]."""
    return self.prior_head(self.prior_trunk(self.state(carry), train))

  def posterior(self, carry, features, train=False) -> Gaussian:
    """q(z|x, h) over [B, latents], from features of x [B, F]."""
    inputs = jnp.concatenate([self.state(carry), features.astype(jnp.float32)], axis=-1)
    return self.posterior_head(self.posterior_trunk(inputs, train))

  def decoder_input(self, z, h, train=False) -> jax.Array:
    """The input of a frame's decoder, [B, F], from z [B, latents] and the state h [B, width]."""
    return jnp.concatenate([self.code_trunk(z, train) if self.codes else z, h], axis=-1)

  def advance(self, carry, features, z, train=False):
    """The carry of the next frame."""
    if self.cell == 'none':
      return carry
    inputs = jnp.concatenate([features, self.code_trunk(z, train)], axis=-1)
    return self.memory(carry, inputs.astype(jnp.float32))[0]

  def step(self, carry, inputs, train=False, replay=False):
    """One frame, from inputs (features of x [B, F], noise [B, latents])."""
    features, noise = inputs
    q, prior = self.posterior(carry, features, train), self.prior(carry, train)
    z = reparameterise(prior if replay else q, noise)
    if self.is_initializing():
      self.decoder_input(z, self.state(carry))  # has parameters, also where no cell uses them
    return self.advance(carry, features, z, train), (q, prior, z, self.state(carry))

  def __call__(self, features, noise, train=False, replay=False):
    """The carry after the last frame, and q, prior, z [B, T, latents] and h [B, T, width] of every
    frame, from features [B, T, F] and noise [B, T, latents]. z is drawn with the noise from the
    posterior, or with `replay` from the prior."""

    def step(core, carry, inputs):
      return core.step(carry, inputs, train, replay)

    scan = nn.scan(
      step,
      variable_broadcast='params',
      split_rngs={'params': False},
      in_axes=1,
      out_axes=1,
    )
    return scan(self, self.start(features.shape[0]), (features, noise))


def make(model, example: Example) -> dict[str, nn.Module]:
  """The nets 'encoder' (frames [N, H, W, C] -> features [N, F]), 'core' and 'decoder' (the core's
  decoder_input [N, F] -> p(x|z, h)) of a config's `model`. Raises UserError."""
  choice('model.cell', model.cell, CELLS)
  # The default is for configs of runs from before the field existed.
  decoder_input = model.get('decoder_input', 'latents')
  choice('model.decoder_input', decoder_input, {'features', 'latents'})
  shape = example.fields['video'].shape[1:]
  dtype = choice('model.dtype', model.dtype, DTYPES)
  return {
    'encoder': trunk.to_vector(model, shape),
    'core': Core(
      model.latents, model.state, model.cell, model.activation, dtype, decoder_input == 'features'
    ),
    'decoder': autoencoder.decoder(model, example, shape),
  }
