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
  """The terms [B] of `classification` for the loss, which is their mean over all rows, and for the
  log.

  If some rows have no label, those for the loss are multiplied by batch['label_weight'] [B] (see
  data/labels.py), so their mean is that over the labelled rows. Those for the log are 0 for a row
  without a label, and 'labelled' is 1 for a row with one: `over_labelled` divides by its mean.
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
  """The means of what `weighted` logs, where those of TERMS become means over the labelled rows.
  Without such rows they are left out."""
  labelled = logged.get('labelled')
  if labelled is None:
    return logged
  others = {name: value for name, value in logged.items() if name not in TERMS}
  means = {name: logged[name] / labelled for name in TERMS if name in logged and labelled}
  return others | means
