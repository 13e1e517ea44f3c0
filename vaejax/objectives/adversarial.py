"""Per-example losses of a generator and its critic, from logits [B].

The critic returns logits, so D(x) = sigmoid(logit) in losses that are defined by probabilities.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vaejax.softplus import softplus

# minimax, non_saturating: Goodfellow et al. 2014 (arXiv:1406.2661), equation 1 and section 3;
# least_squares: Mao et al. 2017 (arXiv:1611.04076), equation 9; hinge: Lim & Ye 2017
# (arXiv:1705.02894); wasserstein: Arjovsky et al. 2017 (arXiv:1701.07875), algorithm 1.
LOSSES = ('minimax', 'non_saturating', 'least_squares', 'hinge', 'wasserstein')


def critic_loss(kind: str, real: jax.Array, fake: jax.Array) -> jax.Array:
  """The critic's loss [B], from its logits [B] of data and of samples."""
  return real_loss(kind, real) + fake_loss(kind, fake)


def real_loss(kind: str, real: jax.Array) -> jax.Array:
  """The terms [B] of the critic's loss that depend on its logits [B] of data."""
  if kind in ('minimax', 'non_saturating'):
    return softplus(-real)  # -log D(x)
  if kind == 'least_squares':
    return 0.5 * jnp.square(real - 1)
  return jax.nn.relu(1 - real) if kind == 'hinge' else -real


def fake_loss(kind: str, fake: jax.Array) -> jax.Array:
  """The terms [B] of the critic's loss that depend on its logits [B] of samples."""
  if kind in ('minimax', 'non_saturating'):
    return softplus(fake)  # -log(1 - D(G(z)))
  if kind == 'least_squares':
    return 0.5 * jnp.square(fake)
  return jax.nn.relu(1 + fake) if kind == 'hinge' else fake


def generator_loss(kind: str, fake: jax.Array) -> jax.Array:
  """The generator's loss [B], from the critic's logits [B] of its samples."""
  if kind == 'minimax':
    return -softplus(fake)  # log(1 - D(G(z)))
  if kind == 'non_saturating':
    return softplus(-fake)  # -log D(G(z))
  if kind == 'least_squares':
    return 0.5 * jnp.square(fake - 1)
  return -fake


def squared_gradient_norm(critic: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
  """The squared norm of the critic's gradient at each row of x, [B, ...] -> [B].

  The critic must map each row to its logit independently of the other rows. The R1 penalty is half
  of the result times a weight (Mescheder et al. 2018, arXiv:1801.04406, equation 9).
  """
  gradient = jax.grad(lambda x: jnp.sum(critic(x)))(x)
  return jnp.sum(jnp.square(gradient.reshape(x.shape[0], -1)), axis=-1)


def gradient_penalty(critic, real: jax.Array, fake: jax.Array, key: jax.Array) -> jax.Array:
  """(|gradient of the critic| - 1)², [B], at a random point between each real and fake example
  [B, ...] (Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1)."""
  mix = jax.random.uniform(key, (real.shape[0], *[1] * (real.ndim - 1)))
  squared_norm = squared_gradient_norm(critic, mix * real + (1 - mix) * fake)
  # The square root has no derivative at 0.
  return jnp.square(jnp.sqrt(squared_norm + 1e-12) - 1)
