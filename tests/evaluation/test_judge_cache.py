"""Each dataset has one file in the cache, however it is named, and no other has the same."""

import pytest
from ml_collections import ConfigDict

from vaejax.evaluation.judge_cache import cache_path, dataset_name


@pytest.mark.parametrize(
  'name, title',
  [
    ('mnist/3.0.1', 'mnist'),
    ('./data/my-set', 'my_set'),
    ('/', 'data'),
  ],
)
def test_a_dataset_has_one_title_however_it_is_named(name, title):
  assert dataset_name(ConfigDict({'name': name})) == title


def test_folders_of_one_name_have_a_judge_each(tmp_path, monkeypatch):
  for name in ('a', 'b'):
    (tmp_path / name / 'cells').mkdir(parents=True)
  data = {'size': 0, 'channels': 0}
  path = lambda name, **fields: cache_path(ConfigDict(data | {'name': name, **fields}))
  first = path(str(tmp_path / 'a' / 'cells'))
  assert first.name.startswith('cells-') and first != path(str(tmp_path / 'b' / 'cells'))
  monkeypatch.chdir(tmp_path / 'a')
  assert path('cells') == path('./cells') == first
  assert path('cells', label='colour') != first != path('cells', field='thumbnail')
