"""The disentangle eval: codes with known scores, errors, notes, and what it is skipped for."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from run_eval import with_errors

from vaejax import latent
from vaejax.distributions import Gaussian, standard
from vaejax.errors import UserError
from vaejax.evals import disentangle
from vaejax.types import Example, Latent, Method

pytest.importorskip('sklearn', reason='pip install .[probe]')

COUNTS = {'shape': 3, 'column': 4, 'row': 5}
SCALE = 0.05


def example(factors=COUNTS):
  fields = {
    'image': jax.ShapeDtypeStruct((len(COUNTS), 1, 1), jnp.float32),
    'factors': jax.ShapeDtypeStruct((len(factors),), jnp.int32),
  }
  return Example(fields, factors=tuple(factors.items()))


SIZE = len(COUNTS)


def method():
  """Posteriors with the mean x @ variables and the scale SCALE."""

  def posterior(v, batch, train=False):
    mean = batch['image'].reshape(-1, SIZE) @ v
    return Gaussian(mean, jnp.full_like(mean, np.log(SCALE))), v

  prior = lambda v, n, given: (standard((n, SIZE)), v)
  model = Latent(prior, posterior, None)
  init = lambda key, batch: jnp.zeros((SIZE, SIZE))
  return latent.complete(Method(init, (), None, None, {}, latent=model), example())


def config(**fields):
  settings = disentangle.SETTINGS | {'votes': 300, 'trees': 5, 'draws': 400} | fields
  return ConfigDict(
    {'method': 'toy', 'data': {'name': 'blocks'}, 'eval': {'disentangle': settings}}
  )


def rows(n=2400, counts=COUNTS, seed=0):
  random = np.random.default_rng(seed)
  factors = np.stack([random.integers(k, size=n) for k in counts.values()], axis=1)
  image = np.float32(factors - factors.mean(0))[..., None, None]
  return {'image': image, 'factors': np.int32(factors), 'mask': np.ones(n, np.float32)}


def scores(turn, batch=None, **fields):
  e = disentangle.make(method(), config(**fields), example())
  return with_errors(e, jnp.float32(turn), test=batch or rows())


def test_a_perfect_code_scores_one():
  values = scores(np.eye(3)[::-1])
  for name, estimate in values.items():
    if name.startswith('sap'):  # chance is 1/3, 1/4 and 1/5
      assert estimate.value == pytest.approx(np.mean([2 / 3, 3 / 4, 4 / 5]), abs=0.06), name
    elif name.startswith('explicitness'):  # values in the middle are not linearly separable
      assert 0.6 < estimate.value < 1, name
    elif name == 'mig_sample':  # bins cut the noise of a draw
      assert estimate.value > 0.9
    else:
      assert estimate.value > 0.97, name
    assert 0 <= estimate.error < 0.05 and not estimate.note, name
  assert len(values) == 1 + 2 * 9


def test_scores_do_not_depend_on_the_order_of_rows():
  """In a grid's order, each second row has an even value of the last factor, and the first rows
  have few values of the first one."""
  factors = np.indices((3, 4, 33, 6)).reshape(4, -1).T[:, [0, 1, 3]]
  image = np.float32(factors - factors.mean(0))[..., None, None]
  grid = {'image': image, 'factors': np.int32(factors), 'mask': np.ones(2376, np.float32)}
  order = np.random.default_rng(1).permutation(2376)
  turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
  values, want = (scores(turn, {k: x[i] for k, x in grid.items()}) for i in (slice(None), order))
  for name, estimate in values.items():
    assert estimate.value == pytest.approx(want[name].value, abs=0.06), name


def test_a_rotated_code_scores_less():
  perfect = scores(np.eye(3))
  turned = scores(np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0])
  for name in ('mig_chen', 'mig_mean', 'dci_disentanglement_mean', 'modularity_mean', 'sap_sample'):
    assert turned[name].value < perfect[name].value - 0.2, name
  # What a linear map keeps.
  gap = turned['explicitness_mean'].value - perfect['explicitness_mean'].value
  assert abs(gap) < 0.05


def test_draws_of_a_wide_posterior_say_less_than_its_mean(monkeypatch):
  monkeypatch.setitem(globals(), 'SCALE', 2.0)
  values = scores(np.eye(3))
  assert values['mig_mean'].value > 0.97
  for name in ('mig_chen', 'mig_sample'):
    assert values[name].value < 0.4
  assert values['mig_chen'].value == pytest.approx(values['mig_sample'].value, abs=0.12)


@pytest.mark.slow
def test_the_error_is_the_deviation_over_data():

  def blurred(seed):
    batch = rows(600, seed=seed)
    noise = np.random.default_rng(seed).normal(size=batch['image'].shape)
    return {**batch, 'image': np.float32(batch['image'] + 0.7 * noise)}

  runs = [scores(np.eye(3), blurred(seed), resamples=8) for seed in range(8)]
  for name in ('mig_mean', 'modularity_mean', 'dci_informativeness_mean', 'explicitness_mean'):
    spread = np.std([values[name].value for values in runs], ddof=1)
    error = np.mean([values[name].error for values in runs])
    # Too large where a value is near its limit, as modularity is.
    assert spread / 3 < error < 6 * spread, (name, spread, error)


def test_factors_of_one_value_are_left_out():
  counts = {'color': 1, **COUNTS}
  e = disentangle.make(method(), config(), example(counts))
  batch = rows()
  batch['factors'] = np.pad(batch['factors'], ((0, 0), (1, 0)))
  assert with_errors(e, jnp.eye(3), test=batch)['mig_mean'].value > 0.97
  assert e.protocol['factors'] == 'shape (3), column (4), row (5)'
  assert e.protocol['factors_left_out'] == 'color'


def test_rows_say_what_they_are_too_few_for():
  batch = rows()
  fewer = {k: x[:100] for k, x in batch.items()}
  with pytest.raises(UserError, match='needs 200 tested rows or more, but there are 100'):
    scores(np.eye(3), fewer)
  # One factor does not vary in these rows, and with two of them nothing can be compared.
  still = {**batch, 'factors': batch['factors'] * [0, 1, 1]}
  note = scores(np.eye(3), still)['mig_mean'].note
  assert note == 'shape is left out: it has one value in these rows'
  still = {**batch, 'factors': batch['factors'] * [0, 0, 1]}
  with pytest.raises(UserError, match='fewer than two vary in these rows: shape is left out'):
    scores(np.eye(3), still)
  # More values than the rows can tell.
  index = np.arange(2400)
  for values, want in (
    (index % 400, 'row has fewer than 10 rows for each value'),
    (index, 'row is left out: it has 2,400 values in 2,400 rows'),
  ):
    many = batch['factors'].copy()
    many[:, 2] = values
    assert scores(np.eye(3), {**batch, 'factors': many})['mig_mean'].note == want


def test_a_posterior_that_is_no_gaussian_has_no_densities():
  encode = lambda v, batch, key: {
    'mean': batch['image'].reshape(-1, 3) @ v,
    'latents': batch['image'].reshape(-1, 3) @ v,
  }
  toy = Method(None, (), None, None, {'encode': encode})
  e = disentangle.make(toy, config(), example())
  values = with_errors(e, jnp.eye(3), test=rows())
  assert 'mig_chen' not in values and 'mig_chen' not in e.names()
  assert values['mig_sample'].value > 0.97


@pytest.mark.parametrize(
  'factors, message',
  [
    ({}, "needs factors of variation, but the dataset 'blocks' has none"),
    ({'shape': 3}, r"two that vary, .* of 'blocks', .*, are shape \(3\)"),
    ({'color': 1, 'shape': 3}, r'two that vary, .* color \(1\), shape \(3\)'),
  ],
)
def test_data_that_does_not_fit(factors, message):
  with pytest.raises(UserError, match=message):
    disentangle.make(method(), config(), example(factors))


def test_what_is_missing(monkeypatch):
  with pytest.raises(UserError, match="needs latents, but the method 'toy' has none"):
    disentangle.make(Method(None, (), None, None, {}), config(), example())
  with pytest.raises(UserError, match=r"regressor='forest' is unknown.*Choose one of boosting"):
    disentangle.make(method(), config(regressor='forest'), example())
  monkeypatch.setitem(sys.modules, 'sklearn', None)
  with pytest.raises(UserError, match=r"scikit-learn.*Run pip install -e '\.\[probe\]'"):
    disentangle.make(method(), config(), example())
