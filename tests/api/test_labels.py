"""Names of classes go in and come out; rows without a label are -1, or refused in one line."""

import json

import numpy as np
import pytest

import vaejax
from vaejax.api import inputs
from vaejax.cli.main import main
from vaejax.errors import UserError
from vaejax.types import Example

NAMES = 'cat', 'dog', 'owl'
EXAMPLE = Example({}, 3, class_names=NAMES)


def pictures(n, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (n, 4, 4, 1), np.uint8)


def test_a_label_is_a_number_or_the_name_of_a_class():
  read = lambda x, n, example=EXAMPLE: inputs.fields({'label': x}, ('label',), (), n, example)[
    'label'
  ].tolist()
  assert read('dog', 3) == [1, 1, 1] and read(np.str_('owl'), 1) == [2]
  assert read(['dog', 'cat'], 2) == read(np.array(['dog', 'cat']), 2) == [1, 0]
  assert read([2, 0], 2) == [2, 0] and read('2', 1) == [2]
  gaps = Example({}, 3, class_names=('0', '5', '9'))
  assert read('9', 1, gaps) == read(9, 1, gaps) == [2]
  from_one = Example({}, 3, class_names=('1', '2', '3'))
  assert read(2, 1, from_one) == read('2', 1, from_one) == read(np.uint8(2), 1, from_one) == [1]
  assert read([3, 1], 2, from_one) == read(np.array([3, 1]), 2, from_one) == [2, 0]
  with pytest.raises(UserError, match="label='0' is not one of the 3 classes: 1, 2, 3"):
    read([0, 1], 2, from_one)
  for x, error in [
    ('Dog', "label='Dog' is not one of the 3 classes: cat, dog, owl .did you mean 'dog'"),
    (['dog', 'dgo'], "label='dgo' is not one of"),
    (['dog', 1], 'label has both names and 1'),
    ([-1, 0], 'label is -1, no label, for some examples'),
    ([3, 0], 'label has values from 0 to 3'),
  ]:
    with pytest.raises(UserError, match=error):
      read(x, 2)
  with pytest.raises(UserError, match='label has the dtype <U3'):
    inputs.labels('label', 'cat', 1, None)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """The workdir of a conditional run on text labels; a third of the test rows has none."""
  place = tmp_path_factory.mktemp('named')
  label = np.array(NAMES)[np.arange(48) % 3]
  test = np.where(np.arange(12) % 3 == 1, '', np.array(NAMES)[np.arange(12) % 3])
  np.savez(
    place / 'animals.npz',
    train_images=pictures(48),
    train_labels=label,
    test_images=pictures(12, 1),
    test_labels=test,
  )
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(place / 'cache'))
    config = f'configs/cvae.py:{place}/animals.npz,smoke,steps=4'
    assert main(['train', f'--config={config}', f'--workdir={place / "run"}']) == 0
  return place / 'run'


@pytest.mark.slow
def test_names_are_kept_shown_and_asked_for(folder, tmp_path, capsys):
  assert json.loads((folder / 'config.json').read_text())['example']['class_names'] == list(NAMES)
  run = vaejax.load(folder)
  np.testing.assert_array_equal(run.sample(4, label='dog'), run.sample(4, label=1))
  np.testing.assert_array_equal(
    run.sample(2, label=['owl', 'cat']), run.sample(2, label=np.array([2, 0]))
  )
  written = []
  for label in ('dog', '1'):
    out = tmp_path / f'{label}.npy'
    assert main(['sample', f'--workdir={folder}', '--n=3', f'--label={label}', f'--out={out}']) == 0
    written.append(np.load(out))
  np.testing.assert_array_equal(*written)
  assert main(['sample', f'--workdir={folder}', '--label=dgo']) == 2
  assert "did you mean 'dog'" in capsys.readouterr().err
  assert main(['show', f'--workdir={folder}']) == 0
  assert '3 classes: cat, dog, owl' in capsys.readouterr().out


@pytest.mark.slow
def test_files_of_a_split_have_labels_and_names(folder, tmp_path, capsys):
  out = tmp_path / 'z.npz'
  assert main(['encode', f'--workdir={folder}', '--split=train', f'--out={out}']) == 0
  saved = np.load(out, allow_pickle=False)
  assert saved['class_names'].tolist() == list(NAMES)
  assert saved['class_names'][saved['label'][:4]].tolist() == ['cat', 'dog', 'owl', 'cat']
  for verb in ('encode', 'reconstruct'):
    assert main([verb, f'--workdir={folder}']) == 2
    assert '4 of 12 rows of test have no label, which this conditional' in capsys.readouterr().err
