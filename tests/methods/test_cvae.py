"""The conditional VAE: its prior's KL by quadrature, and that a label reaches every part of it."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chunks import averaged_chunk
from ml_collections import ConfigDict
from scipy import integrate, stats

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.load import load_config
from vaejax.core import factory
from vaejax.core.step import make_step
from vaejax.data import sources, splits
from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.methods import vae
from vaejax.nets import autoencoder, lens
from vaejax.types import Example

N, L, SHAPE, CLASSES = 4, 3, (4, 5, 1), 3
SMALL = {'widths': (5,), 'latents': L, 'likelihood': 'bernoulli', 'activation': 'tanh'}
HYPER = {'lr': 1e-3, 'beta': 1.0}
KEY = jax.random.key(7)


def example(classes=CLASSES):
  fields = {'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}
  return Example(fields | {'label': jax.ShapeDtypeStruct((), jnp.int32)}, classes, levels=2)


def config(conditional=True, **objective):
  found = base('vae', HYPER)
  found.data.name = 'digits'
  found.objective = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'} | objective
  prior = 'by_class' if conditional else 'standard'
  model = {**presets.AUTOENCODER, **SMALL, 'conditional': conditional, 'prior': prior}
  found.model = ConfigDict(model)
  return found


@cache
def data():
  image = jax.random.bernoulli(jax.random.key(1), 0.3, (N, *SHAPE)).astype(jnp.float32)
  return {'image': image, 'label': jnp.array([0, 2, 1, 2])}


def relabelled():
  return {**data(), 'label': (data()['label'] + 1) % CLASSES}


@cache
def made(**objective):
  return vae.make(config(**objective), example())


@cache
def variables():
  """Wide, the priors of the classes unlike each other."""
  v = jax.jit(made().init)(jax.random.key(0), data())
  noise = lambda i, x: 0.6 * jax.random.normal(jax.random.key(i), x.shape)
  leaves, tree = jax.tree.flatten(v)
  return jax.tree.unflatten(tree, [2 * x + noise(i, x) for i, x in enumerate(leaves)])


@cache
def posterior():
  nets = autoencoder.make(config().model, example(), CLASSES)
  apply = partial(lens.apply, nets)
  q, _ = apply('encoder', variables(), data()['image'], data()['label'])
  return apply, q


def prior_of(label):
  """Mean and standard deviation of p(z|y), as the parameters have them."""
  p = variables().params['prior']
  return np.float64(p['mean'])[label], np.exp(np.float64(p['log_scale']))[label]


def measure(batch, key=KEY, **objective):
  found = jax.jit(made(**objective).metrics)(variables(), batch, key, HYPER)
  return jax.tree.map(lambda x: np.asarray(x, np.float64), found)


@pytest.mark.slow
def test_the_kl_is_against_the_prior_of_the_class():
  _, q = posterior()
  mean, scale = prior_of(np.asarray(data()['label']))
  want = np.zeros(N)
  for i, j in np.ndindex(N, L):
    a = stats.norm(q.mean[i, j], np.exp(q.log_scale[i, j]))
    b = stats.norm(mean[i, j], scale[i, j])
    term = lambda z, a=a, b=b: a.pdf(z) * (a.logpdf(z) - b.logpdf(z))
    want[i] += integrate.quad(term, a.mean() - 12 * a.std(), a.mean() + 12 * a.std())[0]
  found = measure(data())
  assert np.allclose(found['kl'], want, rtol=1e-4)
  assert np.abs(measure(relabelled())['kl'] - want).min() > 0.01
  # Each of several draws keeps the label of its example.
  assert np.allclose(measure(data(), samples=3)['kl'], want, rtol=1e-4)


@pytest.mark.slow
def test_a_weight_is_of_the_joint_given_the_label():
  apply, q = posterior()
  z, label = q.sample(KEY), np.asarray(data()['label'])
  p, _ = apply('decoder', variables(), z, data()['label'])
  want = np.float64(per_example(p.log_prob(data()['image'])))
  want += stats.norm(*prior_of(label)).logpdf(z).sum(-1)
  want -= stats.norm(q.mean, np.exp(q.log_scale)).logpdf(z).sum(-1)
  found = made().predict['log_weight'](variables(), data(), KEY)['log_weight']
  assert np.allclose(found, want, rtol=1e-5)
  assert np.allclose(measure(data(), kl='sampled')['elbo'], want, rtol=1e-5)
  iwae = measure(data(), name='iwae')
  assert np.allclose(iwae['iwae'], want, rtol=1e-5)


def test_at_first_every_class_has_the_standard_prior():
  v = made().init(jax.random.key(0), data())
  assert all((leaf == 0).all() for leaf in jax.tree.leaves(v.params['prior']))
  assert all((leaf != 0).all() for leaf in jax.tree.leaves(variables().params['prior']))


@cache
def sampled(n):
  v = variables()  # outside of the jitted function, because it is cached
  return jax.jit(lambda given, key, t: made().sample(v, key, n, given, temperature=t))


def test_an_asked_label_decides_prior_and_decoder():
  cold = sampled(CLASSES)({'label': jnp.arange(CLASSES)}, KEY, 0.0)['image']
  apply, _ = posterior()
  for label in range(CLASSES):
    z = jnp.asarray(prior_of(label)[0], jnp.float32)[None]
    p, _ = apply('decoder', variables(), z, jnp.array([label]))
    assert np.allclose(cold[label], p.mean[0], atol=1e-5)
  other = sampled(CLASSES)({'label': jnp.arange(CLASSES)[::-1]}, KEY, 0.0)['image']
  assert np.allclose(other, cold[::-1], atol=1e-6)
  gaps = np.abs(cold[:, None] - cold[None]).mean((2, 3, 4))
  assert gaps[~np.eye(CLASSES, dtype=bool)].min() > 0.01


def test_where_none_is_asked_labels_are_even_and_not_tied_to_the_noise():
  n = 3000
  cold = sampled(CLASSES)({'label': jnp.arange(CLASSES)}, KEY, 0.0)['image']
  found = np.asarray(sampled(n)({}, jax.random.key(1), 0.0)['image'])
  gaps = np.abs(found[:, None] - cold[None]).mean((2, 3, 4))
  assert gaps.min(1).max() < 1e-5
  counts = np.bincount(gaps.argmin(1), minlength=CLASSES)
  assert np.abs(counts - n / CLASSES).max() < 5 * np.sqrt(n * 2 / 9)


def test_predictions_take_the_label():
  predict = lambda name, batch: made().predict[name](variables(), batch, KEY)
  code, other = predict('encode', data())['mean'], predict('encode', relabelled())['mean']
  assert np.abs(code - other).min() > 1e-3
  image = predict('reconstruct', data())['image']
  decode = lambda batch: predict('decode', {'latents': code, 'label': batch['label']})['image']
  assert np.array_equal(decode(data()), image)
  assert (np.abs(image - decode(relabelled())).max((1, 2, 3)) > 0.01).all()


def test_one_player_owns_all_three_nets():
  (player,) = made().players
  assert set(player.owns) == set(variables().params) == {'encoder', 'decoder', 'prior'}
  assert made().given == ('label',)


def test_without_the_word_it_is_the_vae():
  plain = vae.make(config(conditional=False), example())
  assert plain.given == () and set(plain.players[0].owns) == {'encoder', 'decoder'}
  plain.init(KEY, {'image': data()['image']})  # and asks for no label


def test_data_without_classes_is_refused():
  with pytest.raises(UserError, match=r'model\.conditional=True needs .* digits has no classes'):
    vae.make(config(), example(None))


@pytest.mark.slow
def test_after_training_another_label_costs_bits(project):
  config = load_config('configs/cvae.py:digits,smoke,lr=5e-3,batch_size=32')
  rows = splits.table(config.data, 'train', None)
  method = factory.make_method(config, sources.example(config.data, rows))
  source = sources.train(config.data, rows, config.batch_size, config.seed)
  state = jax.jit(lambda: factory.initial_state(method, config, source.example))()
  (buffer, _), *_ = source.buffers(0, 250)
  state, _ = jax.jit(averaged_chunk(make_step(method), source.draw))(state, buffer, np.int32(250))
  test = sources.test(config.data, splits.table(config.data, 'test', None))
  batch = test.rows(next(iter(test.blocks(297))), jnp.arange(297))
  elbo = jax.jit(lambda batch: method.metrics(state.variables, batch, KEY, state.hyper)['elbo'])
  right, wrong = elbo(batch), elbo({**batch, 'label': (batch['label'] + 1) % 10})
  assert right.mean() - wrong.mean() > 1 and (right > wrong).mean() > 0.8
  # And a class's samples are nearer to the mean of its own images than to those of the others.
  label = jnp.arange(200) % 10
  image = method.sample(state.variables, KEY, 200, {'label': label})['image']
  means = np.stack([np.asarray(batch['image'])[batch['label'] == k].mean(0) for k in range(10)])
  gaps = np.square(np.asarray(image)[:, None] - means[None]).sum((2, 3, 4))
  assert (gaps.argmin(1) == label).mean() > 0.5


def test_a_number_of_classes_that_memory_cannot_hold_is_refused():
  asked = config()
  assert vae.make(asked, example(10_000))  # 5 features
  asked.model.widths = (500,)
  with pytest.raises(UserError, match='10,000 classes with 500 features, which are 5,010,000'):
    vae.make(asked, example(10_000))
