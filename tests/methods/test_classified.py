"""A layer that encoder and decoder share, and a class head on the latents."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy import special

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.load import load_config
from vaejax.data.labels import weighted
from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.lookup import lookup
from vaejax.methods import classified
from vaejax.types import Example

N, L, SHAPE, CLASSES = 4, 3, (4, 5, 1), 3
SMALL = {'widths': (5,), 'latents': L, 'likelihood': 'gaussian_pixel', 'activation': 'tanh'}
KEY = jax.random.key(7)


def example(classes=CLASSES):
  fields = {'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}
  return Example(fields | {'label': jax.ShapeDtypeStruct((), jnp.int32)}, classes)


def config(shared=True, weight=0.0, **objective):
  hyper = {'lr': 1e-3, 'beta': 1.0, 'classification': weight}
  found = base('classified', hyper)
  found.objective = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'} | objective
  found.model = ConfigDict({**presets.AUTOENCODER, **SMALL, 'shared': shared})
  return found


def hyper(weight=0.0):
  return dict(config(weight=weight).hyper)


@cache
def data():
  image = np.random.default_rng(1).uniform(size=(N, *SHAPE)).astype(np.float32)
  return {'image': image, 'label': np.array([0, 2, 1, 2])}


@cache
def made(**asked):
  return classified.make(config(**asked), example())


@cache
def variables(**asked):
  """Initial ones, none of them zero."""
  first = jax.device_get(jax.jit(made(**asked).init)(jax.random.key(0), data()))
  return jax.tree.map(lambda x: x + np.float32(0.1), first)


def test_the_layer_is_a_net_once_and_of_the_one_player():
  v = variables()
  assert set(v.params) == {'encoder', 'decoder', 'shared', 'classifier'}
  assert [x.shape for x in jax.tree.leaves(v.params['shared'])] == [(5, L)]
  (player,) = made().players
  assert sorted(player.owns) == ['classifier', 'decoder', 'encoder', 'shared']


def test_without_it_the_nets_are_as_they_were():
  plain = variables(shared=False).params
  assert set(plain) == {'encoder', 'decoder', 'classifier'}
  count = lambda tree: sum(x.size for x in jax.tree.leaves(tree))
  # The head takes 5 features, or the 3 of the shared layer; the decoder 3 latents, or 5 features.
  less = count(plain['encoder']) - count(variables().params['encoder'])
  assert less == (5 - 3) * 2 * L
  assert count(variables().params['decoder']) - count(plain['decoder']) == (5 - 3) * 5


def by_hand(params, encoding, decoding):
  """The loss of the batch, with a kernel of its own for each of the two uses of the layer."""
  x, dense = data()['image'], lambda tree, x: x @ tree['kernel'] + tree['bias']
  encoder, decoder = params['encoder'], params['decoder']
  features = jnp.tanh(dense(encoder['trunk']['Dense_0'], x.reshape(N, -1))) @ encoding
  mean, log_variance = jnp.split(dense(encoder['head']['Dense_0'], features), 2, -1)
  z = mean + jnp.exp(log_variance / 2) * jax.random.normal(KEY, mean.shape)
  hidden = jnp.tanh(dense(decoder['trunk']['Mlp_0']['Dense_0'], z @ decoding.T))
  pixels = dense(decoder['trunk']['Dense_0'], hidden).reshape(N, 4, 5, 2)
  scale = presets.AUTOENCODER['floor'] + jax.nn.softplus(pixels[..., 1:])
  log_p = jax.scipy.stats.norm.logpdf(x, pixels[..., :1], scale)
  kl = 0.5 * (mean**2 + jnp.exp(log_variance) - 1 - log_variance)
  return jnp.mean(per_example(kl) - per_example(log_p))


@cache
def slopes():
  """Of params: the two gradients by hand, and that of the layer; compiled once."""

  def loss(params):
    return made().players[0].loss(variables().replace(params=params), data(), KEY, hyper())[0]

  def both(params):
    kernel = params['shared']['kernel']
    return jax.grad(by_hand, (1, 2))(params, kernel, kernel), jax.grad(loss)(params)['shared']

  return jax.jit(both)


def without(net, *path):
  """The params, with a layer cut off."""
  params = jax.tree.map(lambda x: x, dict(variables().params))
  cut = lambda at, x: (
    0 * x if jax.tree_util.keystr(at, simple=True, separator='/').startswith('/'.join(path)) else x
  )
  return params | {net: jax.tree_util.tree_map_with_path(cut, params[net])}


def test_its_gradient_is_the_sum_of_both_paths():
  (encoding, decoding), whole = slopes()(variables().params)
  sizes = [np.abs(x).max() for x in (encoding, decoding, encoding - decoding)]
  assert min(sizes) > 0.01 * max(sizes) > 0
  np.testing.assert_allclose(whole['kernel'], encoding + decoding, rtol=1e-3, atol=1e-4)


def test_where_one_path_is_cut_the_other_remains():
  # What the layer gives the encoder goes through its head, the decoder's through its first layer.
  for cut, gone, left in (
    (without('encoder', 'head'), 0, 1),
    (without('decoder', 'trunk', 'Mlp_0'), 1, 0),
  ):
    parts, whole = slopes()(cut)
    assert np.abs(parts[gone]).max() == 0 and np.abs(parts[left]).max() > 1e-3
    np.testing.assert_allclose(whole['kernel'], parts[left], rtol=1e-3, atol=1e-4)


def test_predictions_go_through_it():
  v = variables()
  other = v.replace(params=v.params | {'shared': jax.tree.map(lambda x: -x, v.params['shared'])})
  for name, batch in (('encode', data()), ('decode', {'latents': jnp.ones((N, L))})):
    predict = jax.jit(made().predict[name])
    one, two = (jax.tree.leaves(predict(of, batch, KEY))[-1] for of in (v, other))
    assert np.abs(one - two).max() > 1e-3


@pytest.mark.parametrize('samples, name', [(1, 'elbo'), (3, 'iwae')])
def test_a_class_head_adds_its_cross_entropy(samples, name):
  asked = {'weight': 2.5, 'samples': samples, 'name': name}
  method, v = made(**asked), variables(**asked)
  assert set(v.params) == {'encoder', 'decoder', 'shared', 'classifier'}
  assert 'classifier' in method.players[0].owns
  loss = jax.jit(
    lambda weight: method.players[0].loss(v, data(), KEY, hyper() | {'classification': weight})
  )
  (none, _), (value, (found, _)) = loss(0.0), loss(2.5)
  assert float(value - none) == pytest.approx(2.5 * float(found['cross_entropy']), rel=1e-3)
  predict = lambda name: method.predict[name](v, data(), KEY)
  seen, q, message = jax.jit(
    lambda: (method.metrics(v, data(), KEY, hyper(2.5)), predict('encode'), predict('classify'))
  )()
  # In training of the draws of z, the same that the decoder sees.
  mean, scale = (np.tile(q[k], (samples, 1)) for k in ('mean', 'scale'))
  keys = [KEY] if samples == 1 else jax.random.split(KEY, samples)
  z = mean + scale * np.concatenate([jax.random.normal(key, (N, L)) for key in keys])
  head = v.params['classifier']['head']
  logits, label = z @ head['kernel'] + head['bias'], np.tile(data()['label'], samples)
  want = -special.log_softmax(logits, axis=-1)[np.arange(samples * N), label].mean()
  assert float(found['cross_entropy']) == pytest.approx(want, rel=1e-4)
  # And in tests of their mean.
  np.testing.assert_allclose(
    message['logits'], q['mean'] @ head['kernel'] + head['bias'], rtol=1e-4
  )
  np.testing.assert_array_equal(seen['accuracy'], message['logits'].argmax(-1) == data()['label'])
  assert seen['cross_entropy'].shape == (N,)


def test_a_word_asks_for_the_head(project):
  for words, asked in (('smoke', False), ('smoke,classify', True)):
    found = load_config(f'configs/vae.py:{words}')
    method = lookup('methods', found.method).make(found, example())
    assert ('classification' in found.hyper) == ('classify' in method.predict) == asked


def test_it_wants_classes():
  with pytest.raises(UserError, match='has no classes'):
    classified.make(config(), example(None))


def test_the_class_head_learns_from_labelled_rows_alone():
  loss, v = made(weight=2.0).players[0].loss, variables(weight=2.0)
  losses = lambda batch: jax.value_and_grad(lambda v: loss(v, batch, KEY, hyper(2.0))[0])(v)

  def of(rows):
    label = np.where(np.isin(np.arange(N), rows), data()['label'], -1)
    return losses(weighted(lambda: {'image': data()['image'], 'label': jnp.asarray(label)})())

  # The bound is of all rows, the cross-entropy is the mean over those with a label.
  single = [of([i]) for i in range(N)]
  for rows in ([0, 2], [1, 2, 3], range(N)):
    want = jax.tree.map(lambda *x: np.mean(x, 0), *(single[i] for i in rows))
    for a, b in zip(jax.tree.leaves(of(rows)), jax.tree.leaves(want), strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
  for a, b in zip(jax.tree.leaves(of(range(N))), jax.tree.leaves(losses(data())), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
  assert abs(single[0][0] - single[1][0]) > 0.01


def test_test_values_of_a_row_without_a_label_are_those_of_the_bound():
  method, v = made(weight=2.0), variables(weight=2.0)
  hidden = {**data(), 'label': np.array([0, -1, -1, 2])}
  measure = lambda rows: jax.device_get(method.metrics(v, rows, KEY, hyper(2.0)))
  found, full, without = map(measure, (hidden, data(), {'image': data()['image']}))
  for name in ('cross_entropy', 'accuracy', 'loss'):
    assert np.isnan(found[name]).tolist() == [False, True, True, False] and name not in without
    np.testing.assert_allclose(found[name][[0, 3]], full[name][[0, 3]], rtol=1e-5)
  for name in ('elbo', 'kl', 'recon'):
    np.testing.assert_allclose(found[name], full[name], rtol=1e-6)
    np.testing.assert_allclose(without[name], full[name], rtol=1e-6)
