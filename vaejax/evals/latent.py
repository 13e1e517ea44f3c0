"""Statistics of latents: active units, KL by dimension, information about the image, and the gap
between aggregate posterior and prior."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vaejax import latent
from vaejax.distributions import Gaussian, kl, per_example
from vaejax.errors import UserError
from vaejax.estimates import Estimate, mean, resampled
from vaejax.eval_type import Eval
from vaejax.evals import codes
from vaejax.evaluation.enough import check_rows
from vaejax.metrics.disentanglement.aggregate import densities
from vaejax.types import Example, Method

ACTIVE = 0.01  # variance of the posterior's mean above which a unit is active
LIMIT = 10_000  # rows
MIN_ROWS = 10
MAX_LISTED = 64  # dimensions whose KL is reported
RESAMPLES = 50

SETTINGS = {'draws': 2000}  # of z, for the values of the aggregate posterior
SMOKE = {'draws': 50}
RANGES = {'draws': (2, LIMIT)}


def make(method: Method, config, example: Example) -> Eval:
  """Values of the posteriors q(z|x) of the first LIMIT rows of the tested split, in nats.

    active_units: the number of dimensions whose posterior mean has a variance above 0.01 over rows
      (Burda et al. 2016, arXiv:1509.00519, section 5.2).
    kl_dim_J: KL(q(z_J|x) || p(z_J)) of each dimension, if the prior is Gaussian.
    mutual_information: I(x; z) = E log q(z|x) - log q(z).
    aggregate_kl: KL(q(z) || p(z)), the rest of the KL (Hoffman & Johnson 2016).
    total_correlation: E log q(z) - Σ_j log q(z_j).
    dimension_kl: E Σ_j log q(z_j) - log p(z), the rest of aggregate_kl.
    latent_correlation: mean |correlation| of the posterior means of two active units.

  q(z) is the mean posterior of these N rows, evaluated at draws of z from them. Including the row
  of the draw, mutual_information is a lower bound, log N at most, aggregate_kl is an upper bound,
  and total_correlation is biased upwards. Without that row, mutual_information_upper is an upper
  bound and aggregate_kl_lower a lower bound (Poole et al. 2019, arXiv:1905.06922, section 2.2).
  Errors are over draws for this q(z). Those of active_units and latent_correlation are by the
  bootstrap over rows.

  If the prior p(z|y) depends on the label, values that compare q(z) with p(z) are left out. Raises
  UserError for a method whose posterior is not a diagonal Gaussian.
  """
  if method.latent is None or not codes.has_gaussian_posterior(method, example):
    raise UserError(
      'the latent eval needs a posterior q(z|x) that is a diagonal Gaussian, which the method '
      f'{config.method!r} does not have'
    )
  model, draws = method.latent, config.eval.latent.draws
  rows_of = codes.extract(method, True)

  def prior_of(variables, batch):
    given = latent.conditions(model, batch)
    return model.prior(variables, batch[model.data].shape[0], given)[0]

  prior = codes.abstract(method, example, prior_of)
  size = codes.abstract(method, example, lambda v, b: rows_of(v, b, jax.random.key(0)))
  size = size['code_mean'].shape[1]
  listed = isinstance(prior, Gaussian) and size <= MAX_LISTED

  def extract(variables, batch, key, hyper):
    rows = rows_of(variables, batch, key)
    q, _ = model.posterior(variables, batch)
    p = prior_of(variables, batch)
    rows['code_log_prior'] = per_example(p.log_prob(q.sample(key)))
    if listed:
      terms = jnp.broadcast_to(kl(q, p), q.mean.shape)
      rows['code_kl'] = terms.reshape(terms.shape[0], -1)
    return {}, rows

  def finish(sums, rows):
    check_rows(rows, MIN_ROWS)
    rows = rows['test']
    values = of_means(np.asarray(rows['code_mean'], np.float64))
    if listed:
      kls = enumerate(rows['code_kl'].T)
      values |= {f'kl_dim_{j}': mean(x)._replace(unordered=True) for j, x in kls}
    return values | of_aggregate(rows, draws, compare=not model.conditions)

  compared = ['aggregate_kl', 'aggregate_kl_lower', 'dimension_kl']
  names = ['active_units', 'latent_correlation', 'total_correlation']
  names += ['mutual_information', 'mutual_information_upper']
  names += compared if not model.conditions else []
  names += [f'kl_dim_{j}' for j in range(size)] if listed else []
  protocol = {
    'rows': f'the first {LIMIT:,}',
    'draws': draws,
    'active': f'variance of the posterior mean above {ACTIVE}',
    'bias': 'mutual_information is a lower bound, at most log N; aggregate_kl is an upper bound; '
    'total_correlation is biased upwards',
  }
  return Eval({'test': extract}, finish, lambda: names, protocol, LIMIT)


def of_means(means: np.ndarray) -> dict[str, Estimate]:
  """active_units and latent_correlation, from posterior means [N, L]. Without two active units the
  second is left out."""
  random, count = np.random.default_rng(0), len(means)
  units = lambda x: float(np.sum(x.var(axis=0, ddof=1) > ACTIVE))
  active = means[:, means.var(axis=0, ddof=1) > ACTIVE]
  pairs = np.triu_indices(active.shape[1], 1)

  def correlation(x):
    with np.errstate(invalid='ignore', divide='ignore'):
      return float(np.nanmean(np.abs(np.corrcoef(x.T)[pairs])))

  picks = [random.integers(count, size=count) for _ in range(RESAMPLES)]
  of_picks = [units(means[i]) for i in picks]
  values = {'active_units': resampled(units(means), of_picks, (0, means.shape[1]))}
  if active.shape[1] > 1:
    again = [correlation(active[i]) for i in picks]
    values['latent_correlation'] = resampled(correlation(active), again, (0, 1))
  return values


def of_aggregate(rows, draws: int, compare: bool) -> dict[str, Estimate]:
  """The values of the aggregate posterior of `rows`; with `compare`, also those of the prior."""
  q = densities(rows['code_mean'], rows['code_scale'], rows['code_sample'][:draws])
  log_p = np.asarray(rows['code_log_prior'][:draws], np.float64)
  product = q.marginals.sum(axis=1)
  lower, upper = mean(q.conditional - q.joint), mean(q.conditional - q.joint_others)
  most = math.log(len(rows['code_mean']))
  if lower.value > most - 1:
    note = f'near its limit, log N = {most:.2f} nats: the truth may be up to {upper.value:.2f}'
    lower = lower._replace(note=note)
  values = {'mutual_information': lower, 'mutual_information_upper': upper}
  values['total_correlation'] = mean(q.joint - product)
  if compare:
    values['aggregate_kl'] = mean(q.joint - log_p)
    values['aggregate_kl_lower'] = mean(q.joint_others - log_p)
    values['dimension_kl'] = mean(product - log_p)
  return values
