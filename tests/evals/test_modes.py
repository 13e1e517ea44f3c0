"""Modes counted in samples that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from run_eval import example_of, with_errors

from vaejax.errors import UserError
from vaejax.evals import modes
from vaejax.evaluation.judges import Judge
from vaejax.types import Example, Method

CONFIG = ConfigDict(
  {
    'method': 'toy',
    'data': {'name': 'stacked_x', 'channels': 0},
    'eval': {'modes': {'workdir': '', 'samples': 4}},
  }
)
SHARES = np.array([0.5, 0.25, 0.25])


def classify(variables, batch, key):
  """The class of an image of one grey is its brightness, in thirds."""
  grey = batch['image'].mean((1, 2, 3))
  return {'logits': -jnp.abs(grey[:, None] - jnp.arange(3) / 2)}


@pytest.fixture(autouse=True)
def judge(monkeypatch):
  example = Example({'image': jax.ShapeDtypeStruct((2, 2, 1), jnp.float32)}, 3)
  method = Method(None, (), None, None, {'classify': classify})
  one = Judge('x', example, method, None, 0.9, 'c' * 64, 'it', None, None, SHARES)
  asked = []
  monkeypatch.setattr(modes.judges, 'find', lambda named, data: asked.append(data.name) or one)
  return asked


def test_modes_are_the_classes_of_all_channels(judge):
  """Of four samples the last is padding; two are of mode 012, one of 220."""
  digits = jnp.asarray([[0, 1, 2], [2, 2, 0], [0, 1, 2], [1, 1, 1]]) / 2
  image = jnp.broadcast_to(digits[:, None, None], (4, 2, 2, 3))
  made = modes.make(Method(None, (), lambda: 0, None, {}), CONFIG, example_of((2, 2, 3)))
  batch = {'image': image, 'mask': jnp.asarray([1.0, 1, 1, 0])}
  estimates = with_errors(made, samples=batch)
  found = {name: e.value for name, e in estimates.items()}
  _, rows = made.extract['samples'](None, batch, None, {})
  assert judge == ['x'] and found['modes_covered'] == 2 and made.protocol['modes'] == 27
  want = 2 / 3 * np.log((2 / 3) / (0.5 * 0.25**2)) + 1 / 3 * np.log((1 / 3) / (0.25**2 * 0.5))
  assert found['mode_kl'] == pytest.approx(want, rel=1e-6)
  assert rows['mode'][0] == 0 * 9 + 1 * 3 + 2
  assert estimates['mode_kl'].note == 'of 3 samples, not 4' and made.limit == 4


def test_what_it_cannot_take():
  other = ConfigDict({'method': 'toy', 'data': {'name': 'mnist'}, 'eval': {}})
  with pytest.raises(UserError, match='such as stacked_mnist, not mnist'):
    modes.make(Method(None, (), lambda: 0, None, {}), other, example_of((2, 2, 3)))
