"""The kernel distance against torch-fidelity and against its definition."""

import numpy as np
import pytest

from vaejax.metrics.kernel import between, unbiased

RANDOM = np.random.default_rng(0)


def test_it_equals_torch_fidelitys():
  """0.3768709373 is kid_features_to_metric of torch-fidelity 0.4.0 on these rows, which it keeps in
  float32, and 0.014699 the deviation over its subsets."""
  random = np.random.RandomState(0)
  a = random.standard_normal((1500, 16)).astype(np.float32)
  b = (random.standard_normal((1200, 16)) * 1.2 + 0.3).astype(np.float32)
  got = between(a, b)
  assert got.value == pytest.approx(0.3768709373, rel=1e-5) and got.note == ''
  assert got.draws_error == pytest.approx(0.014699061 / np.sqrt(99), rel=1e-3)
  assert got.interval[0] < got.value < got.interval[1]


def test_it_is_the_mean_over_pairs_of_different_rows():
  a, b = RANDOM.normal(size=(5, 3)), RANDOM.normal(size=(4, 3))
  kernel = lambda x, y: (x @ y / 3 + 1) ** 3
  pairs = lambda x: [(u, v) for i, u in enumerate(x) for j, v in enumerate(x) if i != j]
  within = lambda x: np.mean([kernel(u, v) for u, v in pairs(x)])
  across = np.mean([kernel(x, y) for x in a for y in b])
  assert unbiased(a, b) == pytest.approx(within(a) + within(b) - 2 * across)


def test_of_one_distribution_it_is_zero_within_its_error():
  values = [between(*RANDOM.normal(size=(2, 400, 4)), 50, 100) for _ in range(20)]
  mean = np.mean([value.value for value in values])
  assert abs(mean) < 4 * np.std([value.value for value in values]) / np.sqrt(20)


def test_its_error_is_that_of_repeated_draws():
  draw = lambda: (RANDOM.normal(size=(600, 4)), 0.5 + RANDOM.normal(size=(600, 4)))
  values = [between(*draw(), 60, 150) for _ in range(60)]
  spread = np.std([value.value for value in values])
  assert np.mean([value.error for value in values]) == pytest.approx(spread, rel=0.3)


def test_few_rows_have_smaller_subsets():
  a, b = RANDOM.normal(size=(2, 90, 3))
  assert between(a, b).note == 'subsets of 45, because there are 90 rows'
  assert between(a[:3], b[:3], 3).error is None
  one = between(a[:1], b)
  assert np.isnan(one.value) and one.note == 'it needs two rows or more'
