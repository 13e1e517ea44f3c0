"""Precision, recall, density and coverage, against the package prdc and cases by hand."""

import numpy as np
import pytest

from vaejax.metrics import manifold as module
from vaejax.metrics.manifold import manifold

# (precision, recall, density, coverage) by compute_prdc of prdc 0.2 on `rows()`.
PRDC = {
  3: (0.932, 0.5614285714, 1.154, 0.6228571429),
  5: (0.964, 0.6528571429, 1.1248, 0.7385714286),
}


def rows():
  random = np.random.RandomState(0)
  random.standard_normal((1500 + 1200, 16))  # drawn before, for other values
  a = random.standard_normal((700, 8)).astype(np.float32)
  return a, (random.standard_normal((500, 8)) * 0.8 + 0.4).astype(np.float32)


def means(terms):
  return tuple(np.mean(getattr(terms, x)) for x in ('precision', 'recall', 'density', 'coverage'))


@pytest.mark.parametrize('k', PRDC)
@pytest.mark.parametrize('block', [2**24, 3000])
def test_they_equal_prdcs(k, block, monkeypatch):
  monkeypatch.setattr(module, 'BLOCK', block)  # all distances at once, and a few rows at a time
  assert means(manifold(*rows(), k)) == pytest.approx(PRDC[k], abs=1e-9)


def test_on_a_line():
  """With k = 1, balls around 0, 1, 3 have the radii 1, 1, 2; around 0.5, 10, 12, 9.5, 2, 2."""
  column = lambda *x: np.array(x)[:, None]
  terms = manifold(column(0.0, 1, 3), column(0.5, 10, 12), 1)
  assert terms.precision.tolist() == [True, False, False]
  assert terms.density.tolist() == [2, 0, 0]  # 0.5 is in the balls of 0 and 1
  assert terms.recall.tolist() == [True, True, True]
  assert terms.coverage.tolist() == [True, True, False]


def test_of_the_same_rows_all_is_covered():
  x = np.random.default_rng(1).normal(size=(40, 3))
  terms = manifold(x, x, 3)
  assert terms.precision.all() and terms.recall.all() and terms.coverage.all()
