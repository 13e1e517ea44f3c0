"""The losses of a generator and its critic, from logits [B]: per example. The critic gives logits,
so D(x) = sigmoid(logit) where a loss is written with probabilities."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vaejax.distributions import softplus

# minimax, non_saturating: Goodfellow et al. 2014 (arXiv:1406.2661), equation 1 and section 3;
# least_squares: Mao et al. 2017 (arXiv:1611.04076), equation 9; hinge: Lim & Ye 2017
# (arXiv:1705.02894); wasserstein: Arjovsky et al. 2017 (arXiv:1701.07875), algorithm 1.
LOSSES = ('minimax', 'non_saturating', 'least_squares', 'hinge', 'wasserstein')


def critic_loss(kind: str, real: jax.Array, fake: jax.Array) -> jax.Array:
  """What the critic minimises, [B], from its logits of data and of samples."""
  if kind in ('minimax', 'non_saturating'):
    return softplus(-real) + softplus(fake)  # -log D(x) - log(1 - D(G(z)))
  if kind == 'least_squares':
    return 0.5 * (jnp.square(real - 1) + jnp.square(fake))
  if kind == 'hinge':
    return jax.nn.relu(1 - real) + jax.nn.relu(1 + fake)
  return fake - real


def generator_loss(kind: str, fake: jax.Array) -> jax.Array:
  """What the generator minimises, [B], from the critic's logits of its samples."""
  if kind == 'minimax':
    return -softplus(fake)  # log(1 - D(G(z)))
  if kind == 'non_saturating':
    return softplus(-fake)  # -log D(G(z))
  if kind == 'least_squares':
    return 0.5 * jnp.square(fake - 1)
  return -fake


def squared_slope(critic: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
  """|d critic / dx|², [B], of a critic that maps each row of x [B, ...] by itself to a logit. Times
  half its weight it is the R1 penalty (Mescheder et al. 2018, arXiv:1801.04406, equation 9)."""
  slope = jax.grad(lambda x: jnp.sum(critic(x)))(x)
  return jnp.sum(jnp.square(slope.reshape(x.shape[0], -1)), axis=-1)


def gradient_penalty(critic, real: jax.Array, fake: jax.Array, key: jax.Array) -> jax.Array:
  """(|slope| - 1)² of the critic, [B], at a random place between each pair of a real and a fake
  example [B, ...] (Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1)."""
  mix = jax.random.uniform(key, (real.shape[0], *[1] * (real.ndim - 1)))
  slope = squared_slope(critic, mix * real + (1 - mix) * fake)
  return jnp.square(jnp.sqrt(slope + 1e-12) - 1)  # the root has no derivative at 0
