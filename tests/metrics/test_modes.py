"""Counts of samples in modes, whose coverage and divergence are known."""

import numpy as np
import pytest

from vaejax.metrics.modes import coverage, reverse_kl


def test_the_divergence_is_that_of_the_proportions():
  data = np.array([0.5, 0.25, 0.25])
  want = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.25)
  assert reverse_kl(np.array([3, 1, 0]), data) == pytest.approx(want)
  assert np.isnan(reverse_kl(np.zeros(3), data))


def test_the_error_is_the_deviation_over_sets_of_samples():
  """25 modes: 21 that every set of 400 samples has, and 4 that each are in 63 % of the sets."""
  random = np.random.default_rng(1)
  p = np.append(np.full(21, 1 - 0.01), np.full(4, 0.0025))
  p[:21] *= 0.99 / p[:21].sum()
  sets = random.multinomial(400, p, 300)
  spread = np.std([np.sum(counts > 0) for counts in sets])
  kl = np.std(reverse_kl(sets, np.full(25, 1 / 25)))
  values = [coverage(counts, np.full(25, 1 / 25)) for counts in sets[:40]]
  assert np.mean([e['modes_covered'].error for e in values]) == pytest.approx(spread, rel=0.35)
  assert np.mean([e['mode_kl'].error for e in values]) == pytest.approx(kl, rel=0.2)


def test_samples_in_no_mode_count_as_none():
  values = coverage(np.array([0, 0]), np.array([0.5, 0.5]), outside=7)
  assert values['modes_covered'].value == 0 and 'mode_kl' not in values
  even = coverage(np.array([500, 500]), np.array([0.5, 0.5]), outside=1000)
  assert even['mode_kl'].value == 0 and even['modes_covered'].error == 0
