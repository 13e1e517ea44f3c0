"""Numbers that depend on the names of files alone."""

import numpy as np

from vaejax.data.name_hash import fractions, sample


def test_a_fraction_depends_on_its_name_alone():
  names = ['cat/1.png', 'cat/café.png']
  assert fractions(names)[1] == fractions(['cat/cafe\u0301.png'])[0]  # as a Mac stores it
  assert fractions(names).min() >= 0 and fractions(names).max() < 1
  assert (fractions(names) != fractions(names, 'salt')).all()


def test_a_sample_is_from_all_splits_and_stays_when_names_are_added():
  of_names = fractions([f'{i}.png' for i in range(20_000)])
  chosen = sample(of_names, 2000)
  assert len(chosen) == 2000 and (np.diff(chosen) > 0).all()
  # A tenth of it is a tenth of the names: 200, give or take five standard deviations.
  assert abs(np.sum(of_names[chosen] < 0.1) - 200) < 5 * np.sqrt(200)
  fewer = sample(of_names[:10_000], 2000)
  assert set(chosen[chosen < 10_000]) <= set(fewer)
  assert (sample(of_names[:5], 2000) == np.arange(5)).all()
