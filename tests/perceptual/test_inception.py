"""InceptionV3 against torch-fidelity's, with weights drawn by NumPy."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.perceptual import inception

SHAPES = Path(__file__).with_name('inception_shapes.json')  # of torch-fidelity's convolutions

# Every 256th feature by FeatureExtractorInceptionV3 of torch-fidelity 0.4.0 on PyTorch 2.14 with
# the weights and images below, and means and deviations over its 2048 features.
FEATURES = [
  [0.71443498, 0.0, 15.22323704, 0.005712, 4.90490818, 26.61169052, 13.94684982, 3.41820598],
  [0.54414499, 0.007261, 17.49862289, 0.0, 4.43123007, 28.94963074, 14.614, 3.78106809],
  [0.58996898, 0.020915, 18.3040962, 0.0, 5.32706022, 30.24296951, 15.4463892, 3.89058495],
  [0.61484098, 0.023351, 18.36807823, 0.01238, 4.35918808, 30.57583618, 15.00718307, 4.20258284],
]
MEANS = [5.68316650, 6.33313274, 6.53276348, 6.73300123]
DEVIATIONS = [7.92699862, 8.85137844, 9.11361027, 9.39965630]


def weights():
  """A state dict with every array drawn by the place of its name in alphabetical order."""
  shapes = {name: tuple(shape) for name, shape in json.loads(SHAPES.read_text()).items()}
  for name in list(shapes):
    for field in ('bias', 'running_mean', 'running_var', 'weight', 'num_batches_tracked'):
      shapes[name.replace('.conv.weight', f'.bn.{field}')] = shapes[name][:1]
  shapes |= {'fc.weight': (), 'fc.bias': ()}
  arrays = {}
  for number, name in enumerate(sorted(shapes)):
    random, shape = np.random.RandomState(number), shapes[name]
    if name.endswith('conv.weight'):
      arrays[name] = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    elif name.endswith(('running_var', 'bn.weight')):
      arrays[name] = random.uniform(0.5, 1.5, shape)
    elif name.endswith(('bn.bias', 'running_mean')):
      arrays[name] = random.uniform(-0.2, 0.2, shape)
  return {name: array.astype(np.float32) for name, array in arrays.items()}


def pictures():
  """Two waves and the same with noise, [4, 29, 37, 3] in 8 bits."""
  i, random = np.arange(37) / 37, np.random.RandomState(40)
  waves = np.add.outer(i, 2 * i)[None, :, :, None] * np.arange(1, 3)[:, None, None, None] / 2
  x = 0.5 + 0.5 * np.sin(6 * np.pi * waves + np.arange(3))
  y = np.clip(x + 0.3 * random.standard_normal(x.shape), 0, 1)
  both = np.concatenate([x, y]).astype(np.float32)
  return np.round(255 * both).astype(np.uint8)[:, :29]


def test_its_features_equal_torch_fidelitys():
  folded = inception.fold(weights())
  with jax.default_matmul_precision('highest'):
    extract = jax.jit(lambda image: inception.features(folded, image))
    got = np.asarray(extract(jnp.asarray(pictures(), jnp.float32) / 255))
  assert got.shape == (4, inception.WIDTH)
  np.testing.assert_allclose(got[:, ::256], FEATURES, rtol=1e-3, atol=1e-3)
  np.testing.assert_allclose(got.mean(1), MEANS, rtol=1e-4)
  np.testing.assert_allclose(got.std(1), DEVIATIONS, rtol=1e-4)


def test_images_are_enlarged_as_by_tensorflow_1():
  """From 2 to 4 pixels: the corners of output i lie at i / 2, and the last is repeated."""
  row = inception.resize(jnp.asarray([[0.0, 10.0], [0.0, 10.0]])[None, :, :, None], 4)
  np.testing.assert_allclose(row[0, 0, :, 0], [0, 5, 10, 10])
