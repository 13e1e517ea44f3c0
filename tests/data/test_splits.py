"""What is refused in a config's `data`, and the splits that a dataset has."""

import numpy as np
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


def test_what_has_no_files_has_none_to_skip(tmp_path, tiny):
  from PIL import Image

  for i in range(2):
    (tmp_path / 'folder').mkdir(exist_ok=True)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / 'folder' / f'{i}.png')
  for name, notes in (('digits', 1), (str(tiny), 1), (str(tmp_path / 'folder'), 0)):
    tables = splits.tables(data(name=name, skip_damaged=True), None)
    line = f'data.skip_damaged has no effect on {name}: it is for files of pictures and videos'
    assert [table.notes.count(line) for table in (tables.train, tables.test)] == [notes] * 2
    assert line not in splits.tables(data(name=name), None).train.notes
