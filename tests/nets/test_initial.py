"""The first parameters: Glorot kernels, and biases from the means of the data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.config.load import load_config
from vaejax.data import means, sources, splits
from vaejax.errors import UserError
from vaejax.methods import vae
from vaejax.training.setup import set_up
from vaejax.types import Example

WORDS = 'configs/iwae.py:digits,paper,smoke,likelihood=bernoulli,data.binarise=dynamic,bias=data'
SHAPE = (6, 5, 1)
KEY = jax.random.key(1)


def example(levels=2):
  return Example({'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}, levels=levels)


def test_kernels_are_glorots():
  """Uniform within sqrt(6 / (inputs + outputs)); biases are 0."""
  method = vae.make(load_config(f'{WORDS},widths=300,latents=70'), example())
  v = jax.jit(method.init)(KEY, {'image': jnp.full((1, *SHAPE), 0.5)})
  leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(v.params)]
  kernels = [leaf for leaf in leaves if leaf.ndim == 2]
  assert len(kernels) == 4
  for kernel in kernels:
    bound = np.sqrt(6 / sum(kernel.shape))
    assert 0.98 * bound < np.abs(kernel).max() <= bound
    assert abs(kernel.std() / (bound / np.sqrt(3)) - 1) < 0.03
  assert all(not leaf.any() for leaf in leaves if leaf.ndim == 1)


def test_without_kernels_the_pixels_have_the_means_of_the_data():
  method = vae.make(load_config(WORDS), example())
  assert method.centred
  mean = np.linspace(0, 1, 30).reshape(1, *SHAPE).astype(np.float32)
  v = method.init(KEY, {'image': jnp.asarray(mean)})
  v = v.replace(params=jax.tree.map(jnp.zeros_like, v.params))
  x = method.predict['decode'](v, {'latents': jnp.ones((3, 4))}, KEY)['image']
  want = np.tile(np.clip(mean, 0.001, 0.999), (3, 1, 1, 1))
  np.testing.assert_allclose(x, want, rtol=1e-4)


def test_a_run_starts_from_the_mean_of_its_training_rows(project):
  config = load_config(WORDS)
  setup = set_up(config, None)
  variables = jax.jit(setup.create)().variables
  rows = splits.tables(config.data, None).train.load()['image'] / 255
  want = np.clip(rows.mean(0), 0.001, 0.999)
  logits = variables.extra['decoder']['data']['head']['logits']
  np.testing.assert_allclose(logits, np.log(want / (1 - want)), rtol=1e-3, atol=1e-4)


def test_the_mean_is_that_of_all_rows_in_blocks(project, monkeypatch):
  monkeypatch.setattr(means, 'BLOCK', 100)
  config = load_config('configs/vae.py:digits,smoke,data.scale=symmetric')
  rows = splits.tables(config.data, None).train
  first = means.first_batch(rows, sources.example(config.data, rows))
  want = 2 * rows.load()['image'].mean(0) / 255 - 1
  np.testing.assert_allclose(first['image'][0], want, atol=1e-5)
  assert first['label'].shape == (1,)


@pytest.mark.parametrize(
  'field, value, message',
  [
    ('bias', 'mean', "model.bias='mean'"),
    ('initial', 'he', "model.initial='he'"),
    ('likelihood', 'gaussian', 'model.bias=data needs model.likelihood=bernoulli'),
  ],
)
def test_what_does_not_exist_or_fit_is_refused(field, value, message):
  with pytest.raises(UserError, match=message):
    vae.make(load_config(WORDS, {f'model.{field}': value}.items()), example())


def test_a_config_from_before_the_fields_is_as_it_was():
  old = load_config('configs/vae.py:digits,smoke,likelihood=bernoulli')
  new = vae.make(old, example()).init(KEY, {'image': jnp.zeros((1, *SHAPE))})
  with old.unlocked():
    del old.model.bias, old.model.initial
  before = vae.make(old, example()).init(KEY, {'image': jnp.zeros((1, *SHAPE))})
  jax.tree.map(np.testing.assert_array_equal, new, before)
