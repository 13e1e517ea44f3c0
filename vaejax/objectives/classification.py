"""Cross-entropy and accuracy of a classifier, per example."""

import jax
import jax.numpy as jnp
import optax


def classification(logits: jax.Array, label: jax.Array) -> dict[str, jax.Array]:
  """'cross_entropy' in nats, and 'accuracy', 1 where the most probable class is the label: [B]
  each, from logits [B, classes] and label [B]."""
  correct = jnp.argmax(logits, axis=-1) == label
  cross_entropy = optax.softmax_cross_entropy_with_integer_labels(logits, label)
  return {'cross_entropy': cross_entropy, 'accuracy': correct.astype(jnp.float32)}
