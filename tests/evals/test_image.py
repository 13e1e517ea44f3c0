"""Sharpness against a sum by hand, and the values of a pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from run_eval import example_of, values

from vaejax.errors import UserError
from vaejax.evals import image
from vaejax.types import Method

CONFIG = ConfigDict({'method': 'none', 'data': {'scale': 'symmetric'}})


def test_sharpness_is_the_variance_of_the_laplacian():
  x = np.random.default_rng(0).random((2, 5, 6, 3))
  kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
  for n in range(2):
    each = []
    for c in range(3):
      at = lambda i, j, n=n, c=c: (x[n, i : i + 3, j : j + 3, c] * kernel).sum()
      each.append(np.var([[at(i, j) for j in range(4)] for i in range(3)]))
    assert float(image.sharpness(jnp.asarray(x))[n]) == pytest.approx(np.mean(each), rel=1e-5)


def test_blur_lowers_it_and_a_slope_has_none():
  x = jax.random.uniform(jax.random.key(0), (3, 9, 9, 1))
  blurred = (x[:, 1:] + x[:, :-1]) / 2
  assert (image.sharpness(blurred) < 0.7 * image.sharpness(x)).all()
  slope = jnp.broadcast_to(jnp.arange(9.0)[None, :, None, None] / 9, (1, 9, 9, 1))
  np.testing.assert_allclose(image.sharpness(slope), 0, atol=1e-10)


def method(**predict):
  """Samples are black; reconstructions are half as bright."""
  sample = lambda v, key, n, given: {'image': -jnp.ones((n, 4, 4, 1))}
  return Method(None, (), sample, None, predict)


def test_values_of_a_pass():
  """In [0, 1] whatever the scale of the data, and padding counts not."""
  x = jax.random.uniform(jax.random.key(1), (4, 4, 4, 1))
  batch = {'image': 2 * x - 1, 'mask': jnp.asarray([1.0, 1, 1, 0])}
  half = lambda v, batch, key: {'image': (batch['image'] + 1) / 2 - 1}
  found = {}
  for name, one in (('plain', method()), ('again', method(reconstruct=half))):
    made = image.make(one, CONFIG, example_of((4, 4, 1), -1.0))
    samples = {**one.sample({}, None, 4, {}), 'mask': batch['mask']}
    found[name] = values(made, test=batch, samples=samples)
  sharp = float(image.sharpness(x)[:3].mean())
  assert found['plain'] == pytest.approx({'sharpness': 0, 'sharpness_data': sharp}, rel=1e-5)


def test_what_it_cannot_take():
  with pytest.raises(UserError, match='needs samples'):
    image.make(method()._replace(sample=None), CONFIG, example_of((4, 4, 1)))
  for example in (example_of((3, 4, 4, 1), data='video'), example_of((2, 4, 1))):
    with pytest.raises(UserError, match='at least 3x3 pixels'):
      image.make(method(), CONFIG, example)
