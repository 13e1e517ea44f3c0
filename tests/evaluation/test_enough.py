"""Rows that no statistic can be computed from are one line."""

import numpy as np
import pytest

from vaejax.errors import UserError
from vaejax.evaluation.enough import check_rows


def rows(count):
  return {'features': np.ones((count, 3), np.float32), 'label': np.zeros(count, np.int32)}


def test_enough_finite_rows_are_no_error():
  check_rows({'test': rows(5), 'samples': rows(4)}, 4)


def test_too_few_rows_are_an_error():
  with pytest.raises(UserError, match='it needs 5 samples or more, but there are 4'):
    check_rows({'test': rows(5), 'samples': rows(4)}, 5)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_rows_that_are_not_finite_are_an_error(value):
  bad = rows(4)
  bad['features'][1, 2] = bad['features'][3] = value
  with pytest.raises(UserError, match='2 of 4 samples have values that are not finite'):
    check_rows({'test': rows(5), 'samples': bad}, 2)
