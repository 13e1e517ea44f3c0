"""Disentanglement: how codes depend on the known factors of the images."""

import numpy as np

from vaejax.errors import UserError
from vaejax.estimates import Estimate, resampled
from vaejax.eval_type import Eval
from vaejax.evals import codes
from vaejax.evaluation.enough import check_rows
from vaejax.lookup import choice
from vaejax.metrics.disentanglement import aggregate, information, prediction, votes
from vaejax.types import Example, Method

LIMIT = 10_000  # rows
MIN_ROWS = 200
ROWS_OF_A_VALUE = 10  # on average; below this, values have a note
BINNED_RESAMPLES = 50  # bootstrap samples of scores from bins, which are cheap

SETTINGS = {
  'draws': 2000,  # of z, for mig_chen
  'votes': 3000,  # of the β-VAE and the FactorVAE score, of which a third are for testing
  'regressor': 'extra_trees',  # of DCI: extra_trees, boosting or lasso
  'trees': 20,  # of extra_trees, or of each class of boosting
  'resamples': 4,  # refits for the errors of scores that are fitted
}
SMOKE = {'draws': 50, 'votes': 90, 'trees': 2, 'resamples': 2}
RANGES = {
  'draws': (2, LIMIT),
  'votes': (30, 10**6),
  'trees': (1, 1000),
  'resamples': (2, 1000),
}

BINNED = 'mig', 'modularity'
FITTED = (
  'beta_vae_score',
  'factor_vae_score',
  'dci_disentanglement',
  'dci_completeness',
  'dci_informativeness',
  'sap',
  'explicitness',
)


def make(method: Method, config, example: Example) -> Eval:
  """Scores of the codes of the first LIMIT rows of the tested split: of the means of q(z|x), with
  names that end in _mean, and of draws from it, with names that end in _sample.

    mig_chen: the mutual information gap from the densities of q(z|x) (Chen et al. 2018); of draws.
    mig_mean, mig_sample: the same from 20 bins of each latent (disentanglement_lib).
    modularity, explicitness: Ridgeway & Mozer 2018.
    beta_vae_score (Higgins et al. 2017), factor_vae_score (Kim & Mnih 2018).
    dci_disentanglement, dci_completeness, dci_informativeness: Eastwood & Williams 2018.
    sap: Kumar et al. 2018.

  metrics/disentanglement defines each score. Errors are by the bootstrap over rows, with
  new votes and fits. That of mig_chen is over draws of z, for the q(z) of these rows. Fitted scores
  use a random half of the rows for training and the others for testing.

  Factors with one value are left out. Raises UserError for a method without latents, for data with
  fewer than two factors of two values, and without scikit-learn.
  """
  try:
    import sklearn  # noqa: F401
  except ImportError:
    raise UserError(
      'the disentangle eval needs scikit-learn, which is not installed. Run pip install -e '
      "'.[probe]'"
    ) from None
  settings = config.eval.disentangle
  choice('eval.disentangle.regressor', settings.regressor, prediction.REGRESSORS)
  codes.check_latents('disentangle', method, config)
  used = check_factors(config, example)
  gaussian = codes.has_gaussian_posterior(method, example)
  rows_of = codes.extract(method, gaussian)
  names = [f'{name}_{kind}' for kind in ('mean', 'sample') for name in (*BINNED, *FITTED)]
  names = [*['mig_chen'] * gaussian, *names]

  def extract(variables, batch, key, hyper):
    return {}, {**rows_of(variables, batch, key), 'factors': batch['factors']}

  def finish(sums, rows):
    check_rows(rows, MIN_ROWS)
    rows = rows['test']
    factors, note = prepare(rows['factors'][:, used], [example.factors[i][0] for i in used])
    values = {}
    if gaussian:
      values['mig_chen'] = chen(rows, factors, settings.draws)
    for kind in ('mean', 'sample'):
      code = np.asarray(rows[f'code_{kind}'], np.float64)
      scores = binned(code, factors) | fitted(code, factors, settings)
      values |= {f'{name}_{kind}': estimate for name, estimate in scores.items()}
    return {name: e._replace(note=note) for name, e in values.items()}

  constant = [name for name, count in example.factors if count < 2]
  protocol = {
    'factors': ', '.join(f'{example.factors[i][0]} ({example.factors[i][1]})' for i in used),
    **({'factors_left_out': ', '.join(constant)} if constant else {}),
    'rows': f'the first {LIMIT:,}',
    'bins': information.BINS,
    'draws': f'{settings.draws:,}, each of another row, at random',
    'halves': 'of the rows, at random: one to train the fitted scores, one to test them',
    'votes': f'{settings.votes - settings.votes // 3} to train, {settings.votes // 3} to test, '
    f'each of {votes.BATCH} rows or pairs',
    'dci_regressor': prediction.describe(settings.regressor, settings.trees),
    'sap_thresholds': prediction.THRESHOLDS,
    'resamples': f'{BINNED_RESAMPLES} of binned scores, {settings.resamples} of fitted ones',
  }
  return Eval({'test': extract}, finish, lambda: names, protocol, LIMIT)


def check_factors(config, example: Example) -> list[int]:
  """The columns of factors with two values or more. Raises UserError for fewer than two."""
  name = config.data.name
  if 'factors' not in example.fields or not example.factors:
    raise UserError(
      f'the disentangle eval needs factors of variation, but the dataset {name!r} has none'
    )
  used = [i for i, (_, count) in enumerate(example.factors) if count > 1]
  if len(used) < 2:
    described = ', '.join(f'{factor} ({count})' for factor, count in example.factors)
    raise UserError(
      'the disentangle eval compares factors and needs two that vary, but the factors of '
      f'{name!r}, with their numbers of values, are {described}'
    )
  return used


def prepare(factors: np.ndarray, names: list[str]) -> tuple[np.ndarray, str]:
  """The factors that vary in these rows and have two rows or more for each value on average, each
  with the values 0 to K - 1, and a note. Raises UserError if fewer than two remain."""
  count = len(factors)
  columns = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in factors.T]
  kept, notes = [], []
  for name, column in zip(names, columns, strict=True):
    values = column.max() + 1
    if values < 2:
      notes.append(f'{name} is left out: it has one value in these rows')
    elif count < 2 * values:
      notes.append(f'{name} is left out: it has {values:,} values in {count:,} rows')
    else:
      kept.append(column)
      if count < ROWS_OF_A_VALUE * values:
        notes.append(f'{name} has fewer than {ROWS_OF_A_VALUE} rows for each value')
  if len(kept) < 2:
    raise UserError(
      f'it compares factors, but fewer than two vary in these rows: {"; ".join(notes)}'
    )
  return np.stack(kept, axis=1), '; '.join(notes)


def chen(rows, factors: np.ndarray, draws: int) -> Estimate:
  """mig_chen."""
  random = np.random.default_rng(0)
  order = random.permutation(len(factors))  # the first rows may have few values of a factor
  mean, scale, factors = (x[order] for x in (rows['code_mean'], rows['code_scale'], factors))
  of_draws = aggregate.densities(mean, scale, rows['code_sample'][order[:draws]], factors)
  count = len(of_draws.joint)
  value = lambda picked: information.mig(aggregate.gap_tables(of_draws, factors, picked))
  again = [value(random.integers(count, size=count)) for _ in range(BINNED_RESAMPLES)]
  return resampled(value(None), again, (0, 1))


def binned(code: np.ndarray, factors: np.ndarray) -> dict[str, Estimate]:
  """The scores BINNED of codes [N, L]."""
  indices, random = information.bin_indices(code), np.random.default_rng(0)

  def scores(weights):
    tables = information.binned(indices, factors, weights)
    return information.mig(tables), information.modularity(tables)

  even = np.full(len(code), 1 / len(code))
  again = [scores(random.multinomial(len(code), even)) for _ in range(BINNED_RESAMPLES)]
  values = zip(BINNED, scores(None), zip(*again, strict=True), strict=True)
  return {name: resampled(value, of_resamples, (0, 1)) for name, value, of_resamples in values}


def fitted(code: np.ndarray, factors: np.ndarray, settings) -> dict[str, Estimate]:
  """The scores FITTED of codes [N, L]."""
  random = np.random.default_rng(0)
  # Not every second row: in the order of a grid they would have other values of the last factor.
  halves = np.array_split(random.permutation(len(code)), 2)
  value = fit(code, factors, *halves, settings, 0)
  again = [
    fit(code, factors, *(random.choice(x, len(x)) for x in halves), settings, i + 1)
    for i in range(settings.resamples)
  ]
  errors = np.std(again, axis=0, ddof=1)
  return {n: Estimate(v, float(e)) for n, v, e in zip(FITTED, value, errors, strict=True)}


def fit(code, factors, of_train, of_test, settings, seed: int) -> tuple[float, ...]:
  """The scores FITTED with these rows for training and for testing."""
  random, test_votes = np.random.default_rng(seed), settings.votes // 3
  counts = settings.votes - test_votes, test_votes
  every = np.concatenate([of_train, of_test])
  train, test = ((code[x], factors[x]) for x in (of_train, of_test))
  grouped = votes.groups(factors[every])
  weights = prediction.importances(settings.regressor, train, test, settings.trees, seed)
  return (
    votes.beta_vae_score(code[every], grouped, random, *counts),
    votes.factor_vae_score(code[every], grouped, random, *counts),
    *prediction.dci(*weights),
    prediction.sap(train, test),
    prediction.explicitness(train, test),
  )
