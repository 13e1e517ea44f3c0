"""What is refused in a config's `data`, and the splits that a dataset has."""

import pytest

from vaejax.config.base import base
from vaejax.data import splits
from vaejax.errors import UserError


def data(**fields):
  found = base('vae', {}).data
  found.update({'name': 'digits', **fields})
  return found


@pytest.mark.parametrize(
  'fields, message',
  [
    (
      {'binarise': 'dynamc'},
      "data.binarise='dynamc' is unknown (did you mean 'dynamic'?). Choose one of",
    ),
    ({'mode': 'disk'}, 'Choose one of auto, resident, stream'),
    ({'scale': 'tanh'}, 'Choose one of symmetric, unit'),
    ({'fit': 'stretch'}, 'Choose one of crop, pad, resize'),
    ({'high': 9.0}, 'data.high=9 needs 16-bit images or floats, but digits train has 8 bits'),
  ],
)
def test_a_wrong_name_is_answered_in_one_line(fields, message):
  with pytest.raises(UserError) as error:
    splits.table(data(**fields), 'train', None)
  assert message in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('name', ['digits', 'shapes'])
def test_embedded_sets_have_two_splits(name):
  with pytest.raises(UserError, match=f"{name} has no split 'valid'. Choose train or test"):
    splits.table(data(name=name), 'valid', None)
