"""M2: its bounds by sums over classes and by quadrature, and that hidden labels stay hidden."""

import math
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy import special, stats

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.load import load_config
from vaejax.errors import UserError
from vaejax.methods import m2
from vaejax.nets import labelled, lens
from vaejax.types import Example

N, FEW, L, SHAPE, CLASSES = 4, 6, 1, (3, 2, 1), 3
SMALL = {'widths': (5,), 'latents': L, 'likelihood': 'bernoulli', 'activation': 'tanh'}
HYPER = {'lr': 1e-3, 'classification': 3.0}
KEY = jax.random.key(7)


def example(classes=CLASSES):
  fields = {'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}
  return Example(fields | {'label': jax.ShapeDtypeStruct((), jnp.int32)}, classes, levels=2)


def config():
  found = base('m2', HYPER)
  found.model = ConfigDict({**presets.AUTOENCODER, **SMALL})
  return found


@cache
def made():
  return m2.make(config(), example())


RNG = np.random.default_rng(4)


@cache
def data():
  draw = lambda n: (RNG.uniform(size=(n, *SHAPE)) < 0.4).astype(np.float32)
  few = {'labelled_image': draw(FEW), 'labelled_label': np.array([2, 0, 1, 1, 0, 2])}
  return few | {'image': draw(N), 'label': np.array([0, 2, 1, 2])}


@cache
def variables():
  """Wide, every class unlike the others; less so the encoder, for importance weights that vary."""
  v = jax.device_get(jax.jit(made().init)(jax.random.key(0), data()))
  wide = {'classifier': 1.0, 'decoder': 0.7, 'encoder': 0.2}
  moved = lambda net: lambda x: x + np.float32(wide[net] * RNG.normal(size=x.shape))
  return v.replace(params={net: jax.tree.map(moved(net), v.params[net]) for net in sorted(wide)})


@cache
def net(name):
  nets, v = labelled.make(config().model, example()), variables()
  return jax.jit(lambda *args: lens.apply(nets, name, v, *args)[0])


def classes_of(x):
  """q(y|x), float64 [n, classes]."""
  return special.softmax(np.float64(net('classifier')(x)[0]), axis=-1)


def posterior(x):
  """Mean and standard deviation of q(z|x, y), float64 [n, classes, L]."""
  q = net('encoder')(x)
  of_each = lambda a: np.float64(a).reshape(-1, CLASSES, L)
  return of_each(q.mean), np.exp(of_each(q.log_scale))


def log_likelihood(x, z, label):
  """log p(x|y, z) in float64, of rows of each."""
  p = np.float64(net('decoder')(jnp.asarray(z, jnp.float32), jnp.asarray(label)).mean)
  return stats.bernoulli(p).logpmf(np.asarray(x)).reshape(len(x), -1).sum(-1)


NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def labelled_bound(x, label):
  """-L(x, y), equation 6, its mean over z by quadrature."""
  mean, scale = (a[np.arange(len(x)), label] for a in posterior(x))
  pairs = zip(NODES, WEIGHTS, strict=True)
  inner = sum(w * log_likelihood(x, mean + scale * e, label) for e, w in pairs)
  kl = 0.5 * (mean**2 + scale**2 - 1) - np.log(scale)
  return inner - kl.sum(-1) + math.log(1 / CLASSES)


def unlabelled_bound(x):
  """-U(x), equation 7: every class's bound under q(y|x), and its entropy."""
  q = classes_of(x)
  each = [labelled_bound(x, np.full(len(x), y)) for y in range(CLASSES)]
  return (q * np.stack(each, axis=1)).sum(1) + stats.entropy(q, axis=1)


def evidence(x):
  """log p(x): over the classes, and over z in steps."""
  z, found = np.linspace(-8, 8, 401), []
  for row in np.asarray(x):
    rows = np.repeat(row[None], len(z), 0)
    each = [log_likelihood(rows, z[:, None], np.full(len(z), y)) for y in range(CLASSES)]
    joint = np.stack(each) + stats.norm.logpdf(z) - math.log(CLASSES)
    found.append(special.logsumexp(joint) + math.log(z[1] - z[0]))
  return np.array(found)


DRAWS = 4000


@cache
def measured():
  """What the method gives of the same rows, the mean over many draws of z."""
  v = variables()
  metrics = lambda key: made().metrics(v, data(), key, HYPER)
  found = jax.jit(jax.vmap(metrics))(jax.random.split(KEY, DRAWS))
  return {name: np.float64(value).mean(0) for name, value in found.items()}


def test_the_unlabelled_bound_is_the_sum_over_classes_and_the_entropy():
  want = unlabelled_bound(data()['image'])
  found = measured()
  # Of 4000 draws of a likelihood that varies by about a nat.
  np.testing.assert_allclose(found['elbo'], want, atol=0.05)
  np.testing.assert_allclose(found['recon'] + found['kl'] + found['label_kl'], -want, atol=0.05)
  q = classes_of(data()['image'])
  entropy = math.log(CLASSES) - stats.entropy(q, axis=1)
  np.testing.assert_allclose(found['label_kl'], entropy, atol=1e-5)
  assert entropy.min() < 0.8 * entropy.max()  # the rows differ in what is known of them


def test_the_bounds_are_below_the_evidence():
  x = data()['image']
  truth = evidence(x)
  assert (unlabelled_bound(x) < truth - 0.01).all()
  # And importance sampling, which sums over the classes, finds it.
  v = variables()
  draw = lambda key: made().predict['log_weight'](v, data(), key)['log_weight']
  weights = np.float64(jax.jit(jax.vmap(draw))(jax.random.split(KEY, DRAWS)))
  assert weights.shape == (DRAWS, N)
  found = special.logsumexp(weights, axis=0) - math.log(DRAWS)
  np.testing.assert_allclose(found, truth, atol=0.05)


def test_the_loss_is_of_both_bounds_and_of_the_labels():
  loss, v, keys = made().players[0].loss, variables(), jax.random.split(KEY, DRAWS)
  values = jax.jit(jax.vmap(lambda key: loss(v, data(), key, HYPER)[0]))(keys)
  x, label = data()['labelled_image'], np.asarray(data()['labelled_label'])
  bound = labelled_bound(x, label).mean()
  cross_entropy = -np.log(classes_of(x)[np.arange(FEW), label]).mean()
  want = HYPER['classification'] * cross_entropy - FEW / N * bound
  want -= unlabelled_bound(data()['image']).mean()
  assert np.float64(values).mean() == pytest.approx(want, abs=0.05)


@cache
def slope():
  """Loss and gradients of a batch; compiled once."""
  v, loss = variables(), made().players[0].loss
  of = lambda params, batch: loss(v.replace(params=params), batch, KEY, HYPER)[0]
  return jax.jit(jax.value_and_grad(of))


def test_the_papers_weights_are_those_of_its_equation_9():
  """For N rows of which n have a label, in the notation of the paper and divided by N: the sum of U
  over N rows, that of L over n, and alpha = 0.1 N times the mean cross-entropy."""
  rows, labels, alpha = 50_000, 100, 0.1 * 50_000
  settings = config()
  settings.objective = {'rows': rows}
  settings.data.labels = labels
  paper = m2.make(settings, example())
  loss = lambda method, weight: jax.jit(method.players[0].loss)(
    variables(), data(), KEY, {'classification': jnp.float32(weight)}
  )
  total, (terms, _) = loss(paper, alpha / rows)
  terms = jax.tree.map(float, terms)
  want = -rows * terms['elbo'] - labels * terms['labelled_elbo'] + alpha * terms['cross_entropy']
  assert float(total) == pytest.approx(want / rows, rel=1e-5)
  assert abs(float(loss(made(), 0.1)[0]) - float(total)) > 1  # the default has other weights
  settings.data.labels = rows + 1
  with pytest.raises(UserError, match='rows=50000 is the number of training rows'):
    m2.make(settings, example())


def test_the_word_paper_takes_the_papers_protocol(project):
  found = load_config('configs/m2.py:mnist,paper,labels=600')
  model = found.model
  assert (model.net, model.widths, model.activation, model.latents) == (
    'mlp',
    (500,),
    'softplus',
    50,
  )
  assert found.hyper.classification == 0.1 and found.hyper.lr == 3e-4
  assert found.objective.rows == 60_000 - found.data.validation == 50_000
  assert load_config('configs/m2.py:mnist').objective.rows == 0


def test_no_label_of_the_unlabelled_is_looked_at():
  params = variables().params
  right, wrong = data(), {**data(), 'label': (data()['label'] + 1) % CLASSES}
  without = {k: v for k, v in data().items() if k != 'label'}
  for other in (wrong, without):
    one, two = slope()(params, right), slope()(params, other)
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (one, two)), strict=True))
  moved = {**data(), 'labelled_label': (data()['labelled_label'] + 1) % CLASSES}
  assert abs(slope()(params, right)[0] - slope()(params, moved)[0]) > 0.1


def test_what_is_predicted_comes_from_the_image_alone():
  predict = {name: jax.jit(partial(f, variables())) for name, f in made().predict.items()}
  image = {'image': data()['image']}
  top = classes_of(image['image']).argmax(1)
  prediction = predict['classify'](image, KEY)
  np.testing.assert_allclose(prediction['probability'], classes_of(image['image']), rtol=1e-4)
  label, code = predict['encode'](image, KEY)['mean']
  assert np.array_equal(label, top) and len(set(top)) > 1
  np.testing.assert_allclose(code, posterior(image['image'])[0][np.arange(N), top], rtol=1e-4)
  want = net('decoder')(code, label).mean
  np.testing.assert_allclose(predict['reconstruct'](image, KEY)['image'], want, atol=1e-6)
  given = {'latents': ((label + 1) % CLASSES, code)}
  assert np.abs(predict['decode'](given, KEY)['image'] - want).max() > 0.01
  right = measured()['accuracy']
  assert np.array_equal(right, top == np.asarray(data()['label']))


def test_samples_are_of_the_class_that_was_asked_for():
  v, n = variables(), CLASSES
  sample = jax.jit(lambda given, key, t: made().sample(v, key, n, given, temperature=t))
  cold = sample({'label': jnp.arange(CLASSES)}, KEY, 0.0)['image']
  want = net('decoder')(jnp.zeros((CLASSES, L)), jnp.arange(CLASSES)).mean
  np.testing.assert_allclose(cold, want, atol=1e-6)
  assert made().given == ('label',)
  any_of_them = sample({}, jax.random.key(1), 0.0)['image']
  gaps = np.abs(np.asarray(any_of_them)[:, None] - cold[None]).max((2, 3, 4))
  assert (gaps.min(1) < 1e-5).all()


def test_an_optimal_variance_is_refused(project):
  settings = load_config('configs/m2.py:smoke,likelihood=sigma_vae')
  with pytest.raises(UserError, match='Set it to gaussian_scalar'):
    m2.make(settings, example(10))


def test_data_without_classes_is_refused():
  with pytest.raises(UserError, match='has no classes'):
    m2.make(config(), example(None))


def test_a_number_of_classes_that_memory_cannot_hold_is_refused():
  few = config()
  few.batch_size = 50
  assert m2.make(few, example(100))
  with pytest.raises(UserError, match='each of batch_size=50 images as each of 10,000 classes'):
    m2.make(few, example(10_000))
  with pytest.raises(UserError, match='two classes or more'):
    m2.make(few, example(1))
