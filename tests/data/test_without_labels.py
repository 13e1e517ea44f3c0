"""data.label=none on datasets with a file in data/sets."""

import numpy as np
import pytest

from vaejax.config.load import load_config
from vaejax.data import splits


@pytest.mark.parametrize('name', ['digits', 'shapes', 'moving'])
def test_label_none_leaves_the_labels_out_and_nothing_else(name):
  words = f'{name},smoke'
  config = 'configs/rvae.py' if name == 'moving' else 'configs/vae.py'
  both = [
    splits.table(load_config(f'{config}:{words}', [('data.label', label)]).data, 'test', None)
    for label in ('', 'none')
  ]
  labelled, bare = both
  assert 'label' in labelled.row and labelled.classes
  assert set(bare.row) == set(labelled.row) - {'label'}
  assert bare.classes is None and bare.labels is None
  index = np.array([3, 0])
  rows, expected = bare.fetch(index), labelled.fetch(index)
  assert set(rows) == set(bare.row)
  for field, x in rows.items():
    np.testing.assert_array_equal(x, expected[field])
  assert (bare.content is None) == (labelled.content is None)
  if bare.render:
    assert set(bare.render(index)) == set(bare.row)
