"""Cross-entropy and accuracy are of rows with a label only, in parts of a batch too."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from vaejax.data.labels import weighted as with_weights
from vaejax.objectives.classification import classification, over_labelled, weighted

LABEL = np.array([-1, 0, 2, -1, 1, 2, -1, -1])
LOGITS = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
LABELLED = LABEL >= 0


def batch(label=LABEL):
  return with_weights(lambda: {'label': jnp.asarray(label)})()


def test_rows_without_a_label_have_no_value():
  found = classification(jnp.asarray(LOGITS), jnp.asarray(LABEL))
  want = -special.log_softmax(LOGITS, -1)[np.arange(8), LABEL]
  np.testing.assert_allclose(found['cross_entropy'][LABELLED], want[LABELLED], rtol=1e-6)
  np.testing.assert_array_equal(found['accuracy'][LABELLED], (LOGITS.argmax(-1) == LABEL)[LABELLED])
  assert np.isnan(found['cross_entropy'][~LABELLED]).all()
  assert np.isnan(found['accuracy'][~LABELLED]).all()


def test_the_mean_over_any_parts_of_a_batch_is_that_of_its_labelled_rows():
  full = batch()

  def loss(logits, parts):
    def part(i):
      rows = {k: x.reshape(-1, parts)[:, i] for k, x in full.items()}
      terms = classification(logits.reshape(-1, parts, 3)[:, i], rows['label'])
      return jnp.mean(weighted(terms, rows)[0]['cross_entropy'])

    return jnp.mean(jnp.stack([part(i) for i in range(parts)]))

  def of_subset(logits):
    terms = classification(logits[LABELLED], jnp.asarray(LABEL[LABELLED]))
    return jnp.mean(terms['cross_entropy'])

  want, gradient = jax.value_and_grad(of_subset)(jnp.asarray(LOGITS))
  for parts in (1, 2, 4, 8):  # some parts have no label at all
    found = jax.value_and_grad(loss)(jnp.asarray(LOGITS), parts)
    np.testing.assert_allclose(found[0], want, rtol=1e-6)
    np.testing.assert_allclose(found[1], gradient, atol=1e-7)


def test_what_is_logged_over_steps_is_the_mean_over_all_labelled_rows():
  labels = [LABEL, np.full(8, -1), np.roll(LABEL, 1) * 0]
  steps = []
  for label in labels:
    rows = batch(label)
    logged = weighted(classification(jnp.asarray(LOGITS), rows['label']), rows)[1]
    steps.append({name: float(jnp.mean(x)) for name, x in logged.items()})
  means = {name: np.mean([step[name] for step in steps]) for name in steps[0]}
  found = over_labelled(means | {'kl': 3.0})
  correct = np.concatenate([(LOGITS.argmax(-1) == x)[x >= 0] for x in labels])
  assert np.isclose(found['accuracy'], correct.mean(), rtol=1e-6)
  assert np.isclose(found['labelled'], sum((x >= 0).sum() for x in labels) / 24)
  assert found['kl'] == 3.0
  # Nothing is claimed of steps without a label, and nothing changes where all rows have one.
  assert set(over_labelled(steps[1])) == {'labelled'}
  assert over_labelled({'accuracy': 0.5}) == {'accuracy': 0.5}


def test_a_batch_with_all_labels_weighs_them_equally():
  assert batch(np.arange(8) % 3)['label_weight'].tolist() == [1.0] * 8
  assert batch(np.full(8, -1))['label_weight'].tolist() == [0.0] * 8
  # In a stack of members, each has its own batch.
  stacked = batch(np.stack([LABEL, np.arange(8) % 3]))['label_weight']
  np.testing.assert_allclose(stacked.mean(-1), 1)
