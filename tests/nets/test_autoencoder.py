"""Encoders and decoders of every kind: shapes, parameters, statistics, precision, mistakes."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from vaejax.config import presets
from vaejax.distributions import (
  Bernoulli,
  Categorical,
  DiscretisedLogistic,
  Gaussian,
  Laplace,
  per_example,
)
from vaejax.errors import UserError
from vaejax.nets import autoencoder, lens
from vaejax.nets.blocks import ACTIVATIONS, Norm
from vaejax.nets.heads import LIKELIHOODS, GaussianHead, LikelihoodHead
from vaejax.types import Example

L = 3
SMALL = {'widths': (6,), 'channels': (4, 6), 'latents': L, 'likelihood': 'bernoulli'}


def example(size, channels=1, low=0.0, high=1.0, levels=256):
  image = jax.ShapeDtypeStruct((size, size, channels), jnp.float32)
  return Example({'image': image}, None, low, high, levels)


def make(data, **fields):
  return autoencoder.make(ConfigDict(presets.AUTOENCODER | SMALL | fields), data)


def initial(nets, data, key=0):
  image = jnp.zeros((1, *data.fields['image'].shape))
  inputs = {'encoder': (image,), 'decoder': (jnp.zeros((1, L)),)}
  return lens.init(nets, jax.random.key(key), inputs)


def filled(nets, data):
  """Variables as `initial` would give them, from numpy: to compile an initialiser takes seconds."""
  random = np.random.default_rng(0)

  def fill(path, x):
    if x.ndim > 1:
      return jnp.asarray(random.normal(0, np.prod(x.shape[:-1]) ** -0.5, x.shape), x.dtype)
    return jnp.full(x.shape, path[-1].key in ('scale', 'var', 'variance'), x.dtype)

  return jax.tree.map_with_path(fill, jax.eval_shape(lambda: initial(nets, data)))


def shapes(nets, data, n=2):
  """Shapes and dtypes of q(z|x), p(x|z) and the variables; nothing is computed."""

  def run(image, z):
    v = initial(nets, data)
    q, _ = lens.apply(nets, 'encoder', v, image)
    p, _ = lens.apply(nets, 'decoder', v, z)
    return q, p, p.log_prob(image), p.mean, v

  image = jax.ShapeDtypeStruct((n, *data.fields['image'].shape), jnp.float32)
  return jax.eval_shape(run, image, jax.ShapeDtypeStruct((n, L), jnp.float32))


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize(
  'size', [8, 15, 256, *(pytest.param(n, marks=pytest.mark.slow) for n in (28, 32, 64))]
)
@pytest.mark.parametrize('net', ['mlp', 'conv', 'resnet'])
def test_any_size_comes_back_in_its_shape(net, size, channels):
  data = example(size, channels)
  for kernel in (3, 4) if net == 'conv' and size == 15 else (3,):
    q, p, log_prob, _, _ = shapes(make(data, net=net, kernel=kernel), data)
    assert q.mean.shape == q.log_scale.shape == (2, L)
    assert p.logits.shape == log_prob.shape == (2, size, size, channels)


@pytest.mark.parametrize('net', ['conv', 'resnet'])
def test_strides_and_an_image_that_is_not_square(net):
  image = jax.ShapeDtypeStruct((9, 14, 1), jnp.float32)
  data = Example({'image': image})
  nets = make(data, net=net, channels=(4, 5, 6), strides=(1, 2, 2), norm='group')
  q, p, _, _, v = shapes(nets, data)
  assert q.mean.shape == (2, L) and p.logits.shape == (2, 9, 14, 1)
  kernels = [w.shape for w in jax.tree.leaves(v.params['encoder']) if w.ndim == 2]
  # 9x14 by strides 1, 2, 2 is 3x4, of 6 channels.
  assert (3 * 4 * 6, 6) in kernels


KINDS = {
  'bernoulli': Bernoulli,
  'gaussian': Gaussian,
  'gaussian_scalar': Gaussian,
  'gaussian_pixel': Gaussian,
  'sigma_vae': Gaussian,
  'laplace': Laplace,
  'logistic': DiscretisedLogistic,
  'categorical': Categorical,
}


@pytest.mark.parametrize('net', ['mlp', 'conv'])
@pytest.mark.parametrize('likelihood', LIKELIHOODS)
def test_every_likelihood_has_the_images_shape(likelihood, net):
  data = example(8, 3)
  _, p, log_prob, mean, v = shapes(make(data, net=net, likelihood=likelihood), data)
  assert type(p) is KINDS[likelihood]
  assert log_prob.shape == mean.shape == (2, 8, 8, 3) and log_prob.dtype == jnp.float32
  assert bool(v.extra) == (likelihood == 'sigma_vae')
  assert ('head' in v.params['decoder']) == (likelihood in ('gaussian_scalar', 'laplace'))


def count(params) -> int:
  return sum(x.size for x in jax.tree.leaves(params))


def test_parameters_of_an_mlp_by_hand():
  data = example(8)
  v = shapes(make(data, net='mlp', widths=(20, 10)), data)[-1]
  assert count(v.params['encoder']) == (64 * 20 + 20) + (20 * 10 + 10) + (10 * 6 + 6)
  assert count(v.params['decoder']) == (3 * 10 + 10) + (10 * 20 + 20) + (20 * 64 + 64)


def test_parameters_of_a_conv_by_hand():
  data = example(8, 3)
  v = shapes(make(data, net='conv', widths=(10,), norm='batch', likelihood='logistic'), data)[-1]
  dense = (2 * 2 * 6 * 10 + 10) + (10 * 6 + 6)
  # BatchNorm has a scale and a bias; the convolution before it has none.
  assert count(v.params['encoder']) == (9 * 3 * 4 + 8) + (9 * 4 * 6 + 12) + dense
  dense = (3 * 10 + 10) + (10 * 24 + 24)
  assert count(v.params['decoder']) == dense + (9 * 6 * 4 + 8) + (9 * 4 * 6 + 6)
  assert count(v.extra['encoder']) == 2 * 4 + 2 * 6 and count(v.extra['decoder']) == 2 * 4


@cache
def trained(net):
  """Variables of nets with BatchNorm, the gradient of every parameter, and the variables after a
  step of training and after none."""
  data = example(8)
  nets = make(data, net=net, norm='batch', channels=(4, 6) if net == 'conv' else (4,))
  image = jax.random.uniform(jax.random.key(1), (6, 8, 8, 1))
  z = jax.random.normal(jax.random.key(2), (6, L))

  @jax.jit
  def run(v):
    def loss(params):
      w = v.replace(params=params)
      q, w = lens.apply(nets, 'encoder', w, image, train=True)
      p, w = lens.apply(nets, 'decoder', w, z, train=True)
      mixed = jnp.sin(jnp.arange(q.mean.size)).reshape(q.mean.shape)
      return jnp.sum(mixed * q.mean * (1 + q.log_scale)) - jnp.sum(p.log_prob(image)), w

    gradients, moved = jax.grad(loss, has_aux=True)(v.params)
    still = [lens.apply(nets, n, v, x)[1] for n, x in (('encoder', image), ('decoder', z))]
    return gradients, moved, still

  v = filled(nets, data)
  return v, *run(v)


def same(a, b) -> bool:
  a, b = jax.tree.leaves_with_path(a), jax.tree.leaves_with_path(b)
  return [k for k, _ in a] == [k for k, _ in b] and all(
    np.array_equal(x, y) for (_, x), (_, y) in zip(a, b, strict=True)
  )


@pytest.mark.parametrize('net', ['conv', 'resnet'])
def test_statistics_move_only_in_training(net):
  v, _, moved, still = trained(net)
  assert set(v.extra) == {'encoder', 'decoder'}
  for name in v.extra:
    before, after = (jax.tree.leaves(w.extra[name]) for w in (v, moved))
    assert len(before) == len(after)
    assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
  assert all(same(w.extra, v.extra) for w in still)
  assert same(moved.params, v.params)


@pytest.mark.parametrize('net', ['conv', 'resnet'])
def test_no_parameter_is_without_a_gradient(net):
  _, gradients, _, _ = trained(net)
  for path, g in jax.tree.leaves_with_path(gradients):
    # A bias that a norm takes away again has a gradient of rounding errors: 1e-6.
    assert np.abs(g).max() > 1e-4, jax.tree_util.keystr(path)


def test_batch_norm_keeps_a_tenth_of_each_batch():
  x = jax.random.normal(jax.random.key(0), (50, 3)) * 2 + 5
  norm = {'norm': Norm('batch')}
  v = lens.init(norm, jax.random.key(0), {'norm': (x,)})
  y, moved = lens.apply(norm, 'norm', v, x, train=True)
  (stats,) = moved.extra['norm']['batch_stats'].values()
  assert np.allclose(stats['mean'], 0.1 * x.mean(0), rtol=1e-5)
  assert np.allclose(stats['var'], 0.9 + 0.1 * x.var(0), rtol=1e-5)
  assert np.allclose(y.mean(0), 0, atol=1e-5) and np.allclose(y.std(0), 1, rtol=1e-4)
  z, kept = lens.apply(norm, 'norm', moved, x)
  assert kept is moved
  want = (x - stats['mean']) / np.sqrt(stats['var'] + 1e-5)
  assert np.allclose(z, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('channels, groups', [(20, 2)])
def test_group_norm_has_groups_that_divide_the_channels(channels, groups):
  x = jax.random.normal(jax.random.key(0), (2, 5, 5, channels)) + jnp.arange(channels)
  y = Norm('group').apply({'params': {'GroupNorm_0': {
    'scale': jnp.ones(channels), 'bias': jnp.zeros(channels)}}}, x)  # fmt: skip
  parts = np.asarray(y).reshape(2, 25, groups, -1).transpose(0, 2, 1, 3).reshape(2, groups, -1)
  assert np.allclose(parts.mean(-1), 0, atol=1e-5) and np.allclose(parts.std(-1), 1, atol=1e-3)


def test_the_lens_moves_one_net_and_leaves_the_others():
  nets = {'a': Norm('batch'), 'b': Norm('batch')}
  x = jnp.arange(6.0).reshape(3, 2)
  v = lens.init(nets, jax.random.key(0), {'a': (x,), 'b': (x,)})
  _, moved = lens.apply(nets, 'a', v, x, train=True)
  assert moved.extra['b'] is v.extra['b'] and not same(moved.extra['a'], v.extra['a'])
  assert moved.params is v.params
  # A second application starts from what the first left.
  _, twice = lens.apply(nets, 'a', moved, x, train=True)
  (stats,) = twice.extra['a']['batch_stats'].values()
  assert np.allclose(stats['mean'], 0.19 * x.mean(0), rtol=1e-5)


def test_nets_do_not_share_their_first_draw():
  data = example(8)
  nets = {'encoder': make(data)['encoder'], 'other': make(data)['encoder']}
  image = jnp.zeros((1, 8, 8, 1))
  v = lens.init(nets, jax.random.key(0), {'encoder': (image,), 'other': (image,)})
  kernels = [w for w in zip(*map(jax.tree.leaves, v.params.values()), strict=True) if w[0].ndim > 1]
  assert kernels and all(not np.array_equal(a, b) for a, b in kernels)


@pytest.mark.parametrize('net', ['mlp', 'conv', 'resnet'])
def test_bfloat16_computes_beside_float32(net):
  data = example(8)
  norm = {'mlp': 'none', 'conv': 'batch', 'resnet': 'group'}[net]
  settings = {'net': net, 'norm': norm, 'likelihood': 'logistic', 'channels': (4,)}
  image = jax.random.uniform(jax.random.key(1), (4, 8, 8, 1))
  z = jax.random.normal(jax.random.key(2), (4, L))
  found = {}
  for dtype in ('float32', 'bfloat16'):
    nets = make(data, dtype=dtype, **settings)

    @jax.jit
    def run(v, nets=nets):
      q, _ = lens.apply(nets, 'encoder', v, image)
      return q, lens.apply(nets, 'decoder', v, z)[0]

    v = filled(nets, data)
    assert {x.dtype for x in jax.tree.leaves(v)} == {jnp.dtype('float32')}
    found[dtype] = run(v)
  for a, b in zip(*map(jax.tree.leaves, found.values()), strict=True):
    assert a.dtype == b.dtype == jnp.float32
    # bfloat16 has 8 bits: 0.4 % at each of a few layers.
    assert np.abs(a - b).max() < 0.05 * max(1, np.abs(a).max())
  q, q16 = (found[dtype][0].mean for dtype in found)
  assert not np.array_equal(q, q16)


def head(kind, x, target=None, train=False, **fields):
  module = {'head': LikelihoodHead(kind, **fields)}
  v = lens.init(module, jax.random.key(0), {'head': (x,)})
  p, moved = lens.apply(module, 'head', v, x, target=target, train=train)
  return p, v, moved


def test_the_sigma_vae_trains_with_the_optimal_sigma():
  x, target = jax.random.normal(jax.random.key(0), (2, 5, 4, 4, 3))
  p, v, moved = head('sigma_vae', x, target, train=True)
  variance = np.mean(np.square(target - x))
  assert np.allclose(p.log_scale, 0.5 * np.log(variance), rtol=1e-5)
  assert np.isclose(v.extra['head']['batch_stats']['variance'], 1)
  running = moved.extra['head']['batch_stats']['variance']
  assert np.isclose(running, 0.95 + 0.05 * variance, rtol=1e-6)
  q, _, kept = head('sigma_vae', x, target)
  assert q.log_scale == 0 and kept.extra['head']['batch_stats']['variance'] == 1

  def loss(x):
    return -per_example(head('sigma_vae', x, target, train=True)[0].log_prob(target)).mean()

  dims = 4 * 4 * 3
  got = jax.grad(loss)(x)
  want = jax.grad(lambda x: dims / 2 * jnp.log(jnp.mean(jnp.square(target - x))))(x)
  assert np.allclose(got, want, rtol=1e-4, atol=1e-6)


def test_the_sigma_vae_has_a_floor():
  x = jnp.ones((2, 4, 4, 1))
  p, _, _ = head('sigma_vae', x, x, train=True, floor=0.02)
  assert np.isclose(p.log_scale, np.log(0.02))
  # Also where the running mean, and so the test, would have gone below it.
  got = jax.grad(lambda x: head('sigma_vae', x, jnp.ones_like(x), True)[0].log_prob(1.0).sum())(x)
  assert np.isfinite(got).all()


@pytest.mark.parametrize('kind', ['gaussian_scalar', 'laplace'])
def test_a_learned_scale_has_a_floor_that_it_can_leave_again(kind):
  x = jnp.zeros((2, 4, 4, 1))
  module = {'head': LikelihoodHead(kind, floor=0.05)}
  v = lens.init(module, jax.random.key(0), {'head': (x,)})

  def log_prob(log_scale):
    w = v.replace(params={'head': {'log_scale': log_scale}})
    p, _ = lens.apply(module, 'head', w, x)
    return p.log_prob(jnp.ones_like(x)).sum(), jnp.exp(p.log_scale)

  slope, scale = jax.grad(log_prob, has_aux=True)(jnp.asarray(-6.0))
  assert np.isclose(scale, 0.05 + np.exp(-6), rtol=1e-4)
  assert slope > 1
  assert np.isclose(log_prob(jnp.asarray(1.0))[1], 0.05 + np.e, rtol=1e-5)


@pytest.mark.parametrize('kind', ['gaussian_scalar', 'laplace'])
def test_a_learned_scale_begins_where_it_was_told_to(kind):
  p, _, v = head(kind, jnp.zeros((2, 4, 4, 1)), scale=0.3, floor=0.01)
  assert np.isclose(jnp.exp(p.log_scale), 0.31)
  assert np.isclose(v.params['head']['log_scale'], np.log(0.3))


def test_heads_keep_their_scales_in_bounds():
  x = jnp.asarray([[[[0.3, -1000.0]]], [[[0.3, 1000.0]]]])
  p, _, _ = head('gaussian_pixel', x, floor=0.02)
  assert np.allclose(p.mean, 0.3) and np.allclose(np.exp(p.log_scale).ravel(), [0.02, 1000.02])
  p, _, _ = head('logistic', x, low=-1.0, levels=5)
  assert np.array_equal(p.log_scale.ravel(), [-7, 7]) and (p.low, p.high, p.levels) == (-1, 1, 5)
  p, _, _ = head('gaussian', x, scale=0.3)
  assert np.allclose(p.log_scale, np.log(0.3)) and np.array_equal(p.mean, x)
  encoder = GaussianHead(1)
  kernel = jnp.asarray([[0.0, 1e4]])
  params = {'Dense_0': {'kernel': kernel, 'bias': jnp.zeros(2)}}
  q = encoder.apply({'params': params}, jnp.asarray([[1.0], [-1.0]]))
  assert np.array_equal(q.log_scale.ravel(), [7, -7])


def test_the_posteriors_layer_gives_the_log_variance():
  params = {'Dense_0': {'kernel': jnp.zeros((1, 2)), 'bias': jnp.asarray([0.7, -3.0])}}
  q = GaussianHead(1).apply({'params': params}, jnp.ones((1, 1)))
  assert np.allclose(q.mean, 0.7) and np.allclose(q.log_scale, -1.5)


def test_activations_are_what_their_names_say():
  x = jnp.asarray([-2.0, 0.0, 3.0])
  assert np.allclose(ACTIVATIONS['leaky_relu'](x), [-0.4, 0, 3])
  assert np.allclose(ACTIVATIONS['tanh'](x), np.tanh(x), rtol=1e-6)
  assert np.allclose(ACTIVATIONS['relu'](x), [0, 0, 3])
  data = example(8)
  z = jnp.ones((1, L))
  means = []
  for activation in ACTIVATIONS:
    nets = make(data, activation=activation)
    means.append(np.asarray(lens.apply(nets, 'decoder', filled(nets, data), z)[0].logits))
  assert len({m.tobytes() for m in means}) == len(ACTIVATIONS)


MISTAKES = {
  'net': (
    {'net': 'cnv'},
    "unknown net 'cnv' (did you mean 'conv'?). Choose one of conv, conv28, conv32, conv64",
  ),
  'activation': (
    {'activation': 'rleu'},
    "model.activation='rleu' is unknown (did you mean 'relu'?)",
  ),
  'norm': ({'net': 'conv', 'norm': 'layer'}, 'Choose one of batch, group, none'),
  'dtype': ({'dtype': 'float16'}, 'Choose one of bfloat16, float32'),
  'likelihood': ({'likelihood': 'poisson'}, 'Choose one of bernoulli, categorical, gaussian,'),
  'channels': ({'net': 'conv', 'channels': (4,) * 4}, 'images of 8x8 are too small for'),
  'no channels': ({'net': 'resnet', 'channels': ()}, 'at least one'),
  'strides': ({'net': 'conv', 'strides': (2,)}, 'one stride for each entry of channels'),
}


@pytest.mark.parametrize('case', MISTAKES)
def test_mistakes_are_named_in_one_line(case):
  fields, message = MISTAKES[case]
  with pytest.raises(UserError) as error:
    make(example(8), **fields)
  assert message in str(error.value) and '\n' not in str(error.value)


def test_as_many_stages_as_the_image_can_take():
  data = example(8)
  q, p, _, _, _ = shapes(make(data, net='conv', channels=(4, 4, 4)), data)
  assert q.mean.shape == (2, L) and p.logits.shape == (2, 8, 8, 1)


def test_a_bernoulli_wants_data_between_zero_and_one():
  with pytest.raises(UserError, match=r'data from 0 to 1, .* from -1 to 1\. Set data\.scale=unit'):
    make(example(8, low=-1.0))
