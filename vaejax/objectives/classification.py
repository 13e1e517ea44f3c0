"""What a classifier says against the labels, per example."""

import jax
import jax.numpy as jnp
import optax


def classification(logits: jax.Array, label: jax.Array) -> dict[str, jax.Array]:
  """Of logits [B, classes] and label [B]: 'cross_entropy' in nats, and 'accuracy', 1 where the most
  probable class is the label, [B] each."""
  right = jnp.argmax(logits, axis=-1) == label
  cross_entropy = optax.softmax_cross_entropy_with_integer_labels(logits, label)
  return {'cross_entropy': cross_entropy, 'accuracy': right.astype(jnp.float32)}
