"""Cross-entropy and accuracy of a classifier, per example."""

import jax
import jax.numpy as jnp
import optax

from vaejax.types import Batch, Metrics

TERMS = 'cross_entropy', 'accuracy'


def classification(logits: jax.Array, label: jax.Array) -> dict[str, jax.Array]:
  """'cross_entropy' in nats, and 'accuracy', 1 where the most probable class is the label: [B]
  each, from logits [B, classes] and label [B]. Both are NaN where the label is negative."""
  labelled = label >= 0
  correct = (jnp.argmax(logits, axis=-1) == label).astype(jnp.float32)
  cross_entropy = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(label, 0))
  terms = zip(TERMS, (cross_entropy, correct), strict=True)
  return {name: jnp.where(labelled, x, jnp.nan) for name, x in terms}


def weighted(terms: Metrics, batch: Batch) -> tuple[Metrics, Metrics]:
  """The terms [B] of `classification`, such that their means over all rows are those of a loss, and
  the same to be logged.

  If some rows have no label, batch['label_weight'] [B] weighs the others (see data/labels.py): the
  mean, also over several parts of a batch, is then that over its labelled rows. What is logged is
  0 for a row without a label, with 'labelled', 1 for a row with one: the log divides means by it.
  """
  if 'label_weight' not in batch:
    return terms, terms
  weight = batch['label_weight']
  labelled = weight > 0
  # Replaced before the product, because 0 * NaN is NaN, in gradients too.
  logged = {name: jnp.where(labelled, x, 0.0) for name, x in terms.items()}
  for_loss = {name: weight * x for name, x in logged.items()}
  return for_loss, {**logged, 'labelled': labelled.astype(weight.dtype)}


def over_labelled(logged: dict[str, float]) -> dict[str, float]:
  """Means of what `weighted` logs, with those of classification over labelled rows. Without such
  rows they are left out."""
  labelled = logged.get('labelled')
  if labelled is None:
    return logged
  others = {name: value for name, value in logged.items() if name not in TERMS}
  means = {name: logged[name] / labelled for name in TERMS if name in logged and labelled}
  return others | means
