"""AdaIN against its formula, and what the two encoders can and cannot see."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.config.load import load_config
from vaejax.nets import adain, style
from vaejax.nets.tones import histogram
from vaejax.types import Example

CONFIG = Path(__file__).parents[2] / 'configs' / 'style.py'
KEY = jax.random.key(0)
X = np.random.default_rng(0).uniform(size=(3, 9, 8, 3)).astype(np.float32)


def make(shape=(9, 8, 3), **fields):
  """The nets of style transfer on images of `shape` from -1 to 1, with widths of 16."""
  layers = {'channels': (8, 8), 'strides': (2, 1), 'widths': (16,)}
  model = load_config(str(CONFIG)).model
  model.unlock()
  model.style.update(layers | {'latents': 4})
  model.update(layers | {'latents': 5, 'invariant': False} | fields)
  return style.make(model, Example({'image': jax.ShapeDtypeStruct(shape, jnp.float32)}, low=-1.0))


def test_adain_is_its_formula():
  mean, deviation = np.random.default_rng(1).normal(size=(2, 3, 3))
  found = adain.adain(jnp.asarray(X), jnp.asarray(mean), jnp.asarray(deviation))
  x = np.float64(X)
  for i, c in np.ndindex(3, 3):
    channel = x[i, :, :, c]
    want = (channel - channel.mean()) / np.sqrt(channel.var() + 1e-4) * deviation[i, c] + mean[i, c]
    assert np.allclose(found[i, :, :, c], want, atol=1e-4)


def test_adain_leaves_the_statistics_that_were_asked_for():
  mean, deviation = jnp.full((3, 3), 0.7), jnp.full((3, 3), 2.0)
  found = adain.statistics(adain.adain(jnp.asarray(X), mean, deviation))
  assert np.allclose(found[0], 0.7, atol=1e-4) and np.allclose(found[1], 2.0, atol=0.02)


def test_the_decoder_takes_its_statistics_from_the_style():
  net = adain.AdaIN()
  code = jnp.asarray(np.random.default_rng(2).normal(size=(3, 4)).astype(np.float32))
  v = net.init(KEY, jnp.asarray(X), False, code)
  found = adain.statistics(net.apply(v, jnp.asarray(X), False, code))
  dense = v['params']['Dense_0']
  mean, scale = np.split(code @ dense['kernel'] + dense['bias'], 2, axis=-1)
  assert np.allclose(found[0], mean, atol=1e-4)
  assert np.allclose(found[1], np.abs(1 + scale), rtol=0.01)


def content(**settings):
  net = make(**settings)['content']
  v = jax.jit(net.init)(KEY, jnp.asarray(X))
  return jax.jit(lambda x: net.apply(v, jnp.asarray(x, jnp.float32)).mean)


def test_to_the_invariant_one_tint_contrast_and_sign_are_no_content():
  blind, open_eyed = content(invariant=True), content()
  seen, plain = blind(X), open_eyed(X)
  tinted = 0.1 + X * np.array([0.9, 0.5, 0.7])
  for other, near in ((tinted, 0.03), (1 - X, 1e-4)):
    assert np.allclose(blind(other), seen, atol=near), np.abs(blind(other) - seen).max()
    assert np.abs(open_eyed(other) - plain).max() > 0.03
  assert np.abs(blind(X[::-1]) - seen).max() > 0.1


def test_content_has_places_where_asked():
  assert content()(X).shape == (3, 5) and content(spatial=True)(X).shape == (3, 5, 4, 5)


def reach(spatial, places=4):
  """Which of the codes of a row of `places` a change of the image's left end moves."""
  net = make((8, 32, 3), spatial=spatial)['content']
  image = jnp.asarray(np.random.default_rng(3).uniform(size=(1, 8, 32, 3)), jnp.float32)
  v = jax.jit(net.init)(KEY, image)
  see = jax.jit(lambda x: net.apply(v, x).mean)
  return np.abs(see(image) - see(image.at[:, :, 0].set(1.0))).max((0, 1, 3))


def test_a_code_with_places_knows_the_style_of_the_whole_image():
  moved = reach(spatial=True)
  assert moved.shape == (16,) and (moved > 1e-5).all() and moved[0] > 3 * moved[-1]


def test_style_sees_no_places():
  """Statistics of what has no edges at the border stay when it moves by whole strides."""
  net = make((32, 32, 3))['style']
  image = np.zeros((1, 32, 32, 3), np.float32)
  image[0, 8:17, 8:16] = X[0]
  v = jax.jit(net.init)(KEY, jnp.asarray(image))
  see = jax.jit(net.apply)
  (q, found), (moved, after) = (see(v, jnp.roll(image, by, (1, 2))) for by in (0, 8))
  assert np.allclose(found, after, atol=1e-4) and np.allclose(q.mean, moved.mean, atol=1e-3)
  assert found.shape == (1, 2 * (3 + 8 + 8))
  assert np.allclose(found[0, :3], image.mean((0, 1, 2)), atol=1e-5)


def test_style_sees_steps_of_tones_that_means_and_deviations_do_not_tell():
  net = make(tones=5)['style']
  x = jnp.asarray(2 * X - 1)
  v = jax.jit(net.init)(KEY, x)
  _, found = jax.jit(net.apply)(v, x)
  assert found.shape == (3, 2 * (3 + 8 + 8) + 3 * 5)
  assert np.allclose(found[:, 6:21], histogram(x, 5, -1.0, 1.0).reshape(3, 15))


@pytest.mark.slow
def test_the_decoder_draws_the_steps_that_a_style_asks_for():
  codes = jnp.ones((2, 5, 4, 5)), jnp.asarray([[1.0], [-1.0]])
  codes = codes[0] * jnp.linspace(-3, 3, 20).reshape(1, 5, 4, 1), codes[1]
  nets = [make(channels=(4, 8), widths=(), spatial=True, tones=n)['decoder'] for n in (0, 5)]
  plain, stepped = (jax.jit(net.init)(KEY, *codes) for net in nets)
  draw = lambda net, v: np.asarray(jax.jit(net.apply)(v, *codes).mean)
  before = draw(nets[1], stepped)
  # A curve is nothing at first, and all else is as without one.
  assert set(stepped['params']) - set(plain['params']) == {'curve'}
  assert not any(np.any(x) for x in jax.tree.leaves(stepped['params']['curve']))
  assert np.allclose(before, draw(nets[0], plain), atol=1e-6)
  values = np.random.default_rng(4).normal(size=(3, 5)).astype(np.float32)
  kernel = stepped['params']['curve']['kernel']
  stepped['params']['curve']['kernel'] = jnp.zeros_like(kernel).at[0].set(values.ravel())
  after = draw(nets[1], stepped)
  for i, c in np.ndindex(2, 3):
    tone, given = before[i, :, :, c], float(codes[1][i, 0]) * values[c]
    want = tone + np.interp(tone, np.linspace(-1, 1, 5), given)
    assert np.allclose(after[i, :, :, c], want, atol=1e-4)


def test_the_decoder_has_the_size_of_the_image_whatever_its_strides():
  for spatial, code in ((False, (2, 5)), (True, (2, 5, 4, 5))):
    net = make(channels=(4, 8), spatial=spatial)['decoder']
    codes = jnp.ones(code), jnp.ones((2, 4))
    p, _ = jax.eval_shape(lambda net=net, codes=codes: net.init_with_output(KEY, *codes))
    assert p.mean.shape == (2, 9, 8, 3)
