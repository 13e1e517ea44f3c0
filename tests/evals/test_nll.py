"""The importance-sampled likelihood against a model whose marginal is known."""

import re
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy import stats

from vaejax.config import presets
from vaejax.config.load import load_config
from vaejax.errors import UserError
from vaejax.evals import nll
from vaejax.latent import log_likelihood
from vaejax.methods import vae
from vaejax.nets import autoencoder
from vaejax.nets.priors import standard
from vaejax.types import Example, Method, Variables

DIGITS = Example({'image': jax.ShapeDtypeStruct((8, 8, 1), jnp.float32)}, levels=2)

# p(z) = N(0, I), p(x|z) = N(zW + b, s²I): x has 2x3 pixels, z 2 dimensions.
SHAPE, LATENTS, S = (2, 3, 1), 2, 0.6
RANDOM = np.random.default_rng(0)
W, B = RANDOM.normal(0, 0.4, (LATENTS, 6)), RANDOM.normal(0, 1, 6)
X = RANDOM.normal(size=(64, LATENTS)) @ W + B + S * RANDOM.normal(size=(64, 6))
EXACT = -stats.multivariate_normal.logpdf(X, B, W.T @ W + S**2 * np.eye(6))


@cache
def linear_gaussian():
  """The model as a VAE of linear nets, with a posterior that is too wide, shrunk and diagonal."""
  fields = {'net': 'mlp', 'widths': (), 'latents': LATENTS, 'likelihood': 'gaussian', 'scale': S}
  example = Example({'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)})
  nets = autoencoder.make(ConfigDict(presets.AUTOENCODER | fields), example)
  method = vae.vae(nets, standard.make(None, (LATENTS,), example), LATENTS, example)
  covariance = np.linalg.inv(np.eye(LATENTS) + W @ W.T / S**2)
  to_mean = 0.8 * W.T @ covariance / S**2
  kernel = np.concatenate([to_mean, np.zeros((6, LATENTS))], 1)
  log_variance = 2 * np.log(1.3) + np.log(np.diag(covariance))
  params = {
    'encoder': {'head': {'Dense_0': {'kernel': kernel, 'bias': [*(-B @ to_mean), *log_variance]}}},
    'decoder': {'trunk': {'Dense_0': {'kernel': W, 'bias': B}}},
  }
  params = jax.tree.map(jnp.asarray, params, is_leaf=lambda v: isinstance(v, list))
  want = jax.eval_shape(method.init, jax.random.key(0), {'image': jnp.zeros((1, *SHAPE))}).params
  assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, want)
  return method, Variables(params, {})


@cache
def estimator(samples: int, full: bool = False):
  """(mask, key) -> nll of those examples of X, or with `full` all values, as Estimates."""
  method, variables = linear_gaussian()
  e = nll.make(
    method, ConfigDict({'eval': {'nll': {'samples': samples, 'images': 0}}, 'method': 'vae'}), None
  )
  image = jnp.asarray(X, jnp.float32).reshape(-1, *SHAPE)

  extract = jax.jit(
    lambda mask, key: e.extract['test'](variables, {'image': image, 'mask': mask}, key, {})
  )

  def estimate(mask, seed):
    _, rows = extract(jnp.asarray(mask, jnp.float32), jax.random.key(seed))
    rows = {name: np.asarray(value)[np.asarray(mask) > 0] for name, value in rows.items()}
    estimates = e.finish({}, {'test': rows})
    return estimates if full else estimates['nll'].value

  return estimate


ALL, LARGE = np.ones(64), np.greater(EXACT, EXACT.mean() + 0.5)


def test_it_agrees_with_the_analytic_marginal():
  assert abs(estimator(5000)(ALL, 0) - EXACT.mean()) < 0.01


def test_masked_rows_count_not():
  assert EXACT[LARGE].mean() - EXACT.mean() > 1
  assert abs(estimator(5000)(LARGE, 0) - EXACT[LARGE].mean()) < 0.01


def test_it_tightens_from_above_as_samples_grow():
  bias = {k: [estimator(k)(ALL, s) - EXACT.mean() for s in range(100)] for k in (1, 4, 100)}
  few, some, many = (np.mean(b) for b in bias.values())
  errors = [np.std(b) / 10 for b in bias.values()]
  assert few - some > 4 * errors[0] and some - many > 4 * errors[1]
  assert many > -4 * errors[2]


def weights(key):
  """Log weights of 3 examples, far from each other."""
  return 5 * jax.random.normal(key, (3,)) + jnp.asarray([0.0, -500.0, 300.0])


@pytest.mark.parametrize('samples', [1, 23])
def test_the_result_is_that_of_all_samples_whatever_is_worked_on_at_once(samples):
  key = jax.random.key(5)
  every = jax.vmap(lambda i: weights(jax.random.fold_in(key, i)))(jnp.arange(samples))
  want = jax.nn.logsumexp(every, axis=0) - np.log(samples)
  for at_once in (1, 7):
    got = log_likelihood(weights, samples, at_once, key)
    assert np.allclose(got.log_likelihood, want, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize('at_once', [1, 7])
def test_what_the_accuracy_is_judged_by_is_that_of_the_weights(at_once):
  key, samples = jax.random.key(5), 23
  every = jax.vmap(lambda i: weights(jax.random.fold_in(key, i)))(jnp.arange(samples))
  got = log_likelihood(weights, samples, at_once, key)
  half = jax.nn.logsumexp(every[: samples // 2], axis=0) - np.log(samples // 2)
  assert np.allclose(got.of_half, half, rtol=1e-6, atol=1e-5)
  shares = np.asarray(jax.nn.softmax(every, axis=0), np.float64)
  assert np.allclose(got.effective_samples, 1 / np.square(shares).sum(0), rtol=1e-5)


def test_the_error_of_draws_is_the_spread_over_seeds():
  estimates = [estimator(200, full=True)(ALL, seed) for seed in range(100)]
  spread = np.std([e['nll'].value for e in estimates], ddof=1)
  assert np.mean([e['nll'].draws_error for e in estimates]) == pytest.approx(spread, rel=0.25)
  assert all(e['nll'].error > e['nll'].draws_error for e in estimates)  # over examples as well


def test_a_value_that_more_draws_would_lower_has_a_note():
  few, many = estimator(4, full=True)(ALL, 0), estimator(5000, full=True)(ALL, 0)
  fall = few['nll_fall']
  assert fall.value > 2 * fall.error > 0
  assert few['nll'].note.startswith(f'still {fall.value:.2g} nats lower than with 2 draws')
  assert f'the median effective sample size is {few["nll_effective"].value:.1f} of 4' in (
    few['nll'].note
  )
  assert not many['nll'].note and many['nll_effective'].value > 1000


def test_memory_does_not_grow_with_the_samples():
  method, variables = linear_gaussian()
  batch = {'image': jnp.zeros((8, *SHAPE))}
  weight = lambda key: method.predict['log_weight'](variables, batch, key)['log_weight']

  def temporary(samples, at_once):
    run = jax.jit(lambda key: log_likelihood(weight, samples, at_once, key))
    return run.lower(jax.random.key(0)).compile().memory_analysis().temp_size_in_bytes

  assert temporary(100, 20) == temporary(10_000, 20) < temporary(10_000, 2000)


def test_a_method_without_a_likelihood_is_refused():
  config = ConfigDict({'eval': {'nll': {'samples': 5, 'images': 0}}, 'method': 'gan'})
  with pytest.raises(UserError, match="nll eval needs a likelihood, but the method 'gan' has none"):
    nll.make(Method(None, (), None, None, {}), config, None)


def test_the_protocol_has_the_number_of_samples():
  method, _ = linear_gaussian()
  config = ConfigDict({'eval': {'nll': {'samples': 7, 'images': 0}}, 'method': 'vae'})
  assert nll.make(method, config, None).protocol == {'samples': 7}


def test_batches_after_the_last_image_are_not_computed():
  """A batch without any image costs nothing: its weights would not be finite."""
  method, variables = linear_gaussian()
  config = ConfigDict({'eval': {'nll': {'samples': 7, 'images': 3}}, 'method': 'vae'})
  e = nll.make(method, config, None)
  assert e.limit == 3
  rows = {}
  for mask in (1.0, 0.0):
    batch = {'image': jnp.full((4, *SHAPE), jnp.nan), 'mask': jnp.asarray([mask, 0, 0, 0])}
    rows[mask] = jax.jit(e.extract['test'])(variables, batch, jax.random.key(0), {})[1]
  assert np.isnan(rows[1.0]['nll']).all() and not rows[0.0]['nll'].any()


def in_loops(program: str) -> set[str]:
  """The lines of a compiled program that are computed in the bodies of its loops."""
  computations, name = {}, ''
  for line in program.splitlines():
    if line and not line.startswith(' '):
      name = line.removeprefix('ENTRY ').split(' ')[0].lstrip('%')
    computations.setdefault(name, []).append(line)
  called = lambda lines, kind: re.findall(rf'\b(?:{kind})=%?([\w.-]+)', '\n'.join(lines))
  todo = [name for lines in computations.values() for name in called(lines, 'body')]
  done = set()
  while todo:
    if (name := todo.pop()) not in done:
      done.add(name)
      todo += called(computations[name], 'calls|to_apply|body|condition')
  return {line for name in done for line in computations[name]}


def test_the_posterior_is_computed_once_for_all_draws():
  """XLA moves the encoder's products out of the loop over draws, and not the decoder's."""
  method = vae.make(load_config('configs/iwae.py:smoke,likelihood=bernoulli'), DIGITS)
  image = jax.ShapeDtypeStruct((32, 8, 8, 1), jnp.float32)

  def estimate(variables, image, key):
    weight = lambda key: method.predict['log_weight'](variables, {'image': image}, key)
    return log_likelihood(lambda key: weight(key)['log_weight'], 100, 4, key)

  variables = jax.eval_shape(method.init, jax.random.key(0), {'image': jnp.zeros((1, 8, 8, 1))})
  program = jax.jit(estimate).lower(variables, image, jax.random.key(0)).compile().as_text()
  inside = in_loops(program)
  for net, loops in (('Encoder', False), ('Decoder', True)):
    products = [x for x in program.splitlines() if ' dot(' in x and f'{net})/' in x]
    assert products and all((line in inside) == loops for line in products), net
