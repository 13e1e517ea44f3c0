"""Bodies and necks: what a place sees, sizes, gradients, and nets of one's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from vaejax.config import presets
from vaejax.errors import UserError
from vaejax.lookup import lookup
from vaejax.nets import lens, trunk
from vaejax.nets.adain import AdaIN, statistics
from vaejax.nets.blocks import Norm
from vaejax.nets.conv import ConvLayers

SMALL = {'channels': (4, 6), 'widths': (5,), 'activation': 'tanh'}
BODIES = ('conv', 'resnet')


def model(net, **fields):
  return ConfigDict(presets.TRUNK | SMALL | {'net': net} | fields)


def body(kind, net, shape, **fields):
  """The body that `kind`, 'encoder' or 'decoder', of a file of nets gives."""
  return getattr(lookup('nets', net, attribute=kind), kind)(model(net, **fields), shape)


def initial(net, x, seed=0):
  return jax.jit(net.init)(jax.random.key(seed), x)


def extent(of, x, place):
  """Rows and columns of x [1, H, W, C] that move what `of` gives at a place: (first, last) each."""
  slopes = jax.jit(jax.grad(lambda x: jnp.sum(of(x)[0, *place])))(x)
  rows, columns = np.nonzero(np.abs(slopes[0]).sum(-1))
  return (rows.min(), rows.max()), (columns.min(), columns.max())


@pytest.mark.parametrize('net', BODIES)
def test_a_place_of_an_encoder_sees_what_is_near_it_and_not_the_rest(net):
  encoder = body('encoder', net, (32, 40, 2))
  x = jax.random.uniform(jax.random.key(1), (1, 32, 40, 2))
  v = initial(encoder, x)
  see = lambda x: encoder.apply(v, x)
  assert see(x).shape == (1, 8, 10, 6)
  # By kernels of 3: a layer that shrinks sees 1 pixel more on each side, of those before it, and a
  # residual block 2. In pixels: 1 + 2 (1), and with blocks 1 + 2 (2 + 1) + 4 (2).
  far = {'conv': 3, 'resnet': 15}[net]
  for place in ((4, 5), (0, 0), (7, 9)):
    for (first, last), at, size in zip(extent(see, x, place), place, (32, 40), strict=True):
      assert max(0, 4 * at - far) <= first <= 4 * at <= last <= min(size - 1, 4 * at + 3 + far)


@pytest.mark.parametrize('net', BODIES)
def test_a_pixel_of_a_decoder_comes_from_the_places_near_it(net):
  decoder = body('decoder', net, (32, 40, 2))
  assert decoder.places == (8, 10, 6)
  x = jax.random.normal(jax.random.key(1), (1, *decoder.places))
  v = initial(decoder, x)
  draw = lambda x: decoder.apply(v, x)
  assert draw(x).shape == (1, 32, 40, 2)
  far = {'conv': 1, 'resnet': 4}[net]
  for pixel in ((16, 20), (0, 0), (31, 39)):
    for (first, last), at in zip(extent(draw, x, pixel), pixel, strict=True):
      assert at // 4 - far <= first <= at // 4 <= last <= at // 4 + far


@pytest.mark.parametrize('shape', [(9, 14, 1), (15, 15, 3), (7, 5, 2)])
@pytest.mark.parametrize('net', BODIES)
def test_a_decoder_grows_to_any_size_from_the_places_of_its_encoder(net, shape):
  for strides in ((), (1, 2), (3, 1)):
    fields = model(net, strides=strides)
    encoder, decoder = (body(kind, net, shape, strides=strides) for kind in ('encoder', 'decoder'))
    assert trunk.output_shape(encoder, shape) == decoder.places
    assert trunk.output_shape(decoder, decoder.places) == shape
    assert trunk.output_shape(trunk.to_vector(fields, shape), shape) == (5,)
    assert trunk.output_shape(trunk.from_vector(fields, shape), (3,)) == shape


def test_a_neck_flattens_the_places_in_their_order():
  shape = (8, 8, 1)
  net = trunk.to_vector(model('conv', widths=()), shape)
  x = jax.random.uniform(jax.random.key(1), (2, *shape))
  v = initial(net, x)
  assert set(v['params']) == {'body'}
  maps = net.body.apply({'params': v['params']['body']}, x)
  assert maps.shape == (2, 2, 2, 6)
  np.testing.assert_allclose(net.apply(v, x), maps.reshape(2, 24), atol=1e-6)


def test_widths_are_a_necks_and_a_decoders_in_reverse():
  shape = (8, 8, 1)
  down, up = (
    of(model('conv', widths=(7, 5)), shape) for of in (trunk.to_vector, trunk.from_vector)
  )
  widths = []
  for net, x in ((down, jnp.zeros((1, *shape))), (up, jnp.zeros((1, 3)))):
    neck = jax.eval_shape(lambda net=net, x=x: net.init(jax.random.key(0), x))['params']['neck']
    widths.append({leaf.shape for leaf in jax.tree.leaves(neck) if leaf.ndim == 2})
  assert widths == [{(24, 7), (7, 5)}, {(3, 5), (5, 7), (7, 24)}]


@pytest.mark.parametrize('net', ['conv', 'resnet', 'conv28', 'conv32'])
def test_both_halves_of_a_trunk_receive_gradients(net):
  side = {'conv28': 28, 'conv32': 32}.get(net, 8)
  shape = (side, side, 1)
  x = jax.random.uniform(jax.random.key(1), (2, *shape))
  z = jax.random.normal(jax.random.key(2), (2, 3))
  for of, given in ((trunk.to_vector, x), (trunk.from_vector, z)):
    of = of(model(net), shape)
    v = initial(of, given)

    def loss(params, of=of, v=v, given=given):
      y = of.apply({**v, 'params': params}, given)
      return jnp.sum(jnp.sin(jnp.arange(y.size)) * y.ravel())

    slopes = jax.jit(jax.grad(loss))(v['params'])
    assert set(slopes) == {'body', 'neck'}
    for path, slope in jax.tree.leaves_with_path(slopes):
      assert np.abs(slope).max() > 1e-5, jax.tree_util.keystr(path)


def test_a_net_without_places_is_a_trunk_by_itself():
  fields, shape = model('mlp', widths=(7, 5)), (6, 5, 2)
  assert trunk.to_vector(fields, shape) == body('encoder', 'mlp', shape, widths=(7, 5))
  assert trunk.from_vector(fields, shape) == body('decoder', 'mlp', shape, widths=(7, 5))


OWN = """
from flax import linen as nn

class Patches(nn.Module):
  channels: int

  @nn.compact
  def __call__(self, x, train=False):
    return nn.Conv(self.channels, (4, 4), 4)(x)

class Tiles(nn.Module):
  shape: tuple
  places: tuple

  @nn.compact
  def __call__(self, x, train=False):
    return nn.ConvTranspose(self.shape[-1], (4, 4), (4, 4))(x)

class Means(nn.Module):
  def __call__(self, x, train=False):
    return x.mean((1, 2))

def encoder(model, shape):
  return Patches(model.channels[0]) if model.channels else Means()

def decoder(model, shape):
  return Tiles(shape, (shape[0] // 4, shape[1] // 4, model.channels[0]))
"""


def test_a_net_of_ones_own_has_places_or_has_none(tmp_path, monkeypatch):
  (tmp_path / 'mynets').mkdir()
  (tmp_path / 'mynets' / 'patches.py').write_text(OWN)
  monkeypatch.syspath_prepend(tmp_path)
  shape = (12, 8, 3)
  fields = model('mynets.patches', channels=(6,))
  net = trunk.to_vector(fields, shape)
  assert trunk.output_shape(net, shape) == (5,)
  assert trunk.output_shape(net.body, shape) == (3, 2, 6)
  assert trunk.output_shape(trunk.from_vector(fields, shape), (4,)) == shape
  assert trunk.output_shape(trunk.to_vector(model(fields.net, channels=()), shape), shape) == (3,)


@pytest.mark.parametrize('of', [trunk.to_vector, trunk.from_vector])
@pytest.mark.parametrize(
  'fields, message',
  [
    ({'net': 'trunk'}, "unknown net 'trunk'"),
    ({'activation': 'rleu'}, "did you mean 'relu'"),
    ({'norm': 'instance'}, "model.norm='instance' is unknown"),
    ({'net': 'conv28', 'norm': 'layer'}, "model.norm='layer' is unknown"),
  ],
)
def test_what_a_neck_cannot_take_is_refused(of, fields, message):
  with pytest.raises(UserError, match=message):
    of(model(**{'net': 'conv'} | fields), (28, 28, 1))


def test_the_maps_of_layers_are_those_of_shorter_stacks():
  layers = ConvLayers((4, 6), (1, 2), norm='group')
  x = jax.random.uniform(jax.random.key(1), (2, 8, 8, 3))
  v = initial(layers, x)
  image, first, last = layers.apply(v, x, method='maps')
  shorter = layers.clone(channels=(4,), strides=(1,))
  part = {k: value for k, value in v['params'].items() if k.endswith('_0')}
  assert np.array_equal(image, x)
  np.testing.assert_allclose(first, shorter.apply({'params': part}, x), atol=1e-6)
  np.testing.assert_allclose(last, layers.apply(v, x), atol=1e-6)


def test_an_instance_is_normalised_by_itself():
  x = jax.random.normal(jax.random.key(0), (3, 7, 5, 4)) * 3 + jnp.arange(4)
  norm = {'norm': Norm('instance')}
  v = lens.init(norm, jax.random.key(0), {'norm': (x,)})
  y, _ = lens.apply(norm, 'norm', v, x, train=True)
  assert not jax.tree.leaves(v)
  mean, deviation = statistics(y)
  assert np.allclose(mean, 0, atol=1e-5) and np.allclose(deviation, 1, atol=1e-3)
  alone, _ = lens.apply(norm, 'norm', v, x[:1])
  np.testing.assert_allclose(y[:1], alone, atol=1e-5)


@pytest.mark.parametrize('norm, biased', [('none', 2), ('batch', 0), ('instance', 0), ('group', 2)])
def test_no_bias_stands_before_a_norm_that_takes_it_away(norm, biased):
  layers = ConvLayers((4, 6), (1, 2), norm=norm)
  v = jax.eval_shape(lambda: layers.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3))))
  found = [name for name, p in v['params'].items() if name.startswith('Conv') and 'bias' in p]
  assert len(found) == biased


def test_a_norm_may_take_a_condition():
  layers = ConvLayers((4, 6), (1, 2), norm=AdaIN)
  x = jax.random.uniform(jax.random.key(1), (2, 8, 8, 3))
  codes = jax.random.normal(jax.random.key(2), (2, 5))
  v = jax.jit(layers.init, static_argnums=2)(jax.random.key(0), x, False, codes)
  y = layers.apply(v, x, False, codes)
  assert not np.allclose(y, layers.apply(v, x, False, codes[::-1]), atol=1e-2)
  # One example's condition is no other's.
  half = layers.apply(v, x, False, codes.at[1].set(0.0))
  np.testing.assert_allclose(half[0], y[0], atol=1e-5)
