"""The classifier's cross-entropy, its augmentation, and what it says of itself."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict
from scipy import ndimage, special

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.core.step import create_state, make_step
from vaejax.data.labels import weighted
from vaejax.errors import UserError
from vaejax.methods import classifier
from vaejax.methods.classifier import shifted, softened
from vaejax.objectives.classification import over_labelled
from vaejax.types import Example

N, SHAPE, CLASSES = 5, (4, 6, 1), 3
KEY = jax.random.key(0)


def config(shift=0, soften=0.0, target='label', **model):
  found = base('classifier', {'lr': 1e-3})
  found.data.name = 'digits'
  found.objective = {'shift': shift, 'soften': soften, 'target': target}
  found.model = ConfigDict(presets.TRUNK | {'widths': (7,)} | model)
  return found


def example(classes=CLASSES):
  fields = {'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}
  return Example(fields | {'label': jax.ShapeDtypeStruct((), jnp.int32)}, classes)


def batch():
  image = jax.random.uniform(jax.random.key(1), (N, *SHAPE))
  return {'image': image, 'label': jnp.arange(N) % CLASSES}


def test_metrics_and_loss_are_those_of_the_logits():
  method = classifier.make(config(), example())
  v = jax.tree.map(lambda x: 3 * x + 0.1, method.init(KEY, batch()))
  prediction = method.predict['classify'](v, batch(), KEY)
  logits, label = np.float64(prediction['logits']), np.arange(N) % CLASSES
  assert logits.shape == (N, CLASSES) and prediction['features'].shape == (N, 7)
  assert np.allclose(prediction['probability'], special.softmax(logits, -1), rtol=1e-5)
  want = -special.log_softmax(logits, -1)[np.arange(N), label]
  found = method.metrics(v, batch(), KEY, {})
  assert np.allclose(found['cross_entropy'], want, rtol=1e-5)
  assert np.array_equal(found['accuracy'], logits.argmax(-1) == label)
  assert 0 < found['accuracy'].mean() < 1
  loss, (metrics, extra) = method.players[0].loss(v, batch(), KEY, {})
  assert np.isclose(loss, want.mean(), rtol=1e-5) and extra == {}
  assert np.isclose(metrics['accuracy'], found['accuracy'].mean())


def test_features_are_what_the_last_layer_takes():
  method = classifier.make(config(norm='batch', net='conv', channels=(4,)), example())
  v = method.init(KEY, batch())
  prediction = method.predict['classify'](v, batch(), KEY)
  head = v.params['classifier']['head']
  assert np.allclose(
    prediction['features'] @ head['kernel'] + head['bias'], prediction['logits'], atol=1e-5
  )


def test_training_moves_statistics_and_evaluation_does_not():
  method = classifier.make(config(norm='batch', net='conv', channels=(4,)), example())
  v = method.init(KEY, batch())
  _, (_, extra) = method.players[0].loss(v, batch(), KEY, {})
  moved = jax.tree.map(lambda a, b: bool((a != b).any()), v.extra, extra)
  assert all(jax.tree.leaves(moved))
  one = {name: value[:1] for name, value in batch().items()}
  whole = method.predict['classify'](v, batch(), KEY)['logits']
  assert np.allclose(method.predict['classify'](v, one, KEY)['logits'], whole[:1], atol=1e-6)


def test_a_shift_moves_each_image_by_itself_and_evenly():
  image = jnp.zeros((4000, 9, 9, 2)).at[:, 4, 4].set(1.0)
  found = np.asarray(jax.jit(shifted, static_argnums=1)(image, 2, KEY))
  assert (found.sum((1, 2)) == 1).all()  # none is lost, none doubled
  where = np.argwhere(found[..., 0])[:, 1:] - 4
  pairs, counts = np.unique(where, axis=0, return_counts=True)
  assert len(pairs) == 25 and np.abs(pairs).max() == 2
  assert np.abs(counts - 160).max() < 6 * np.sqrt(160)


def test_a_shift_repeats_the_edge():
  image = jnp.broadcast_to(jnp.arange(6.0)[None, None, :, None], (50, *SHAPE))
  found = np.asarray(shifted(image, 2, KEY))[..., 0]
  rows = {tuple(row) for row in found.reshape(-1, 6)}
  assert rows == {tuple(np.clip(np.arange(6) + s, 0, 5)) for s in range(-2, 3)}


def test_softened_is_between_an_image_and_its_blur():
  image = np.float32(jax.random.uniform(jax.random.key(2), (300, *SHAPE)))
  kernel = np.outer(*[np.array([1, 4, 6, 4, 1]) / 16] * 2)[..., None]
  blur = np.stack([ndimage.convolve(one, kernel, mode='nearest') for one in image])
  found = np.asarray(softened(image, 0.6, KEY))
  share = ((found - image) * (blur - image)).sum((1, 2, 3)) / np.square(blur - image).sum((1, 2, 3))
  want = image + share[:, None, None, None] * (blur - image)
  assert np.allclose(found, want, atol=1e-5)
  assert 0 <= share.min() < 0.02 and 0.58 < share.max() <= 0.6 + 1e-5


def test_another_field_can_be_read():
  styled = example()._replace(styles=2)
  method = classifier.make(config(target='style'), styled)
  rows = {**batch(), 'style': jnp.array([0, 1, 1, 0, 1])}
  v = method.init(KEY, rows)
  logits = method.predict['classify'](v, rows, KEY)['logits']
  assert logits.shape == (N, 2)
  right = np.argmax(logits, -1) == rows['style']
  assert np.array_equal(method.metrics(v, rows, KEY, {})['accuracy'], right)
  with pytest.raises(UserError, match=r'objective\.target=style needs .* digits has none'):
    classifier.make(config(target='style'), example())


@pytest.mark.parametrize('settings', [{'shift': 2}, {'soften': 1.0}])
def test_only_training_shifts_and_softens(settings):
  method = classifier.make(config(**settings), example())
  v = method.init(KEY, batch())
  loss = lambda key: method.players[0].loss(v, batch(), key, {})[0]
  assert loss(KEY) != loss(jax.random.key(5))
  one, two = (method.metrics(v, batch(), jax.random.key(k), {}) for k in (0, 5))
  assert np.array_equal(one['cross_entropy'], two['cross_entropy'])


def test_what_it_cannot_learn_is_refused():
  with pytest.raises(UserError, match='images with classes, but digits has none'):
    classifier.make(config(), example(None))
  with pytest.raises(UserError, match=r'objective\.shift=4 is too large .* a side of 4'):
    classifier.make(config(shift=4), example())


@pytest.mark.parametrize('microbatches', [1, 2, 4])
def test_a_step_is_that_of_the_labelled_rows(microbatches):
  image = jax.random.uniform(jax.random.key(1), (8, *SHAPE))
  label = jnp.array([-1, 0, 2, -1, 1, -1, -1, -1])
  method = classifier.make(config(), example())
  method = method._replace(players=(method.players[0]._replace(tx=optax.scale(-1.0)),))
  state = create_state(method, KEY, {'lr': 0.5}, example())
  draw = weighted(lambda: {'image': image, 'label': label})
  found, metrics = jax.jit(make_step(method, microbatches=microbatches))(state, draw())
  kept = np.flatnonzero(label >= 0)
  rows = {'image': image[kept], 'label': label[kept]}
  want, want_metrics = jax.jit(make_step(method))(state, rows)
  for a, b in zip(*map(jax.tree.leaves, (found.variables, want.variables)), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-6)
  assert metrics['loss'] == pytest.approx(float(want_metrics['loss']), rel=1e-5)
  logged = over_labelled({name: float(x) for name, x in metrics.items()})
  assert logged['accuracy'] == pytest.approx(float(want_metrics['accuracy']))
  assert logged['labelled'] == pytest.approx(3 / 8)


def test_one_class_is_nothing_to_learn():
  with pytest.raises(UserError, match='two classes or more, but digits has one'):
    classifier.make(config(), example(1))


def test_styles_are_learned_from_rows_without_a_label():
  fields = {'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}
  scalar = jax.ShapeDtypeStruct((), jnp.int32)
  styled = Example(fields | {'label': scalar, 'style': scalar}, 3, styles=2)
  method = classifier.make(config(target='style'), styled)
  rows = batch() | {'style': jnp.arange(N) % 2}
  v = method.init(KEY, rows)
  want, _ = method.players[0].loss(v, rows, KEY, {})
  hidden = weighted(lambda: rows | {'label': jnp.full(N, -1)})()
  assert method.players[0].loss(v, hidden, KEY, {})[0] == want
