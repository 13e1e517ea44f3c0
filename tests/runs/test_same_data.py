"""Data is what its rows are, wherever it lies: moved, labelled later, or with more rows."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import vaejax
from vaejax.cli.main import main
from vaejax.data import arrays
from vaejax.errors import UserError
from vaejax.runs import same_data
from vaejax.runs.same_data import compare, sample
from vaejax.runs.workdir import provenance

ROOT = Path(__file__).parents[2]
WORDS = f'{ROOT}/configs/vae.py:smoke,steps=4'
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (40, 6, 6, 1), dtype=np.uint8)
LABELS = np.arange(40) % 3


def table(images, labels=None):
  """The test split of arrays."""
  rows = {'image': images} if labels is None else {'image': images, 'label': labels}
  return arrays.tables({'train': rows, 'test': rows})['test']


def change(before, after):
  """The kind of change from one table to another, and its words."""
  saved = json.loads(json.dumps({**provenance(before), 'sample': sample(before)}))
  found = compare(saved, after, provenance(after), 'test')
  return found and tuple(found)


def test_what_has_changed_is_recognised():
  images = table(IMAGES[:24])
  assert change(images, images) is None
  assert change(images, table(IMAGES[:24].copy())) is None
  assert change(images, images._replace(origin='elsewhere')) is None
  labelled = table(IMAGES[:24], LABELS[:24])
  assert change(images, labelled) == (
    'labels',
    'test has the same images, but its labels are new',
  )
  assert change(labelled, images) == ('labels', 'test has the same images, but its labels are gone')
  assert change(labelled, table(IMAGES[:24], LABELS[1:25])) == (
    'labels',
    'test has the same images, but its labels are changed',
  )
  assert change(images, table(IMAGES)) == ('rows', 'test has 16 more rows, and the 24 earlier ones')
  assert change(images, table(IMAGES, LABELS)) == (
    'rows',
    'test has 16 more rows, and the 24 earlier ones; its labels are new',
  )
  assert change(labelled, table(IMAGES, LABELS))[0] == 'rows'
  assert change(labelled, table(IMAGES, (LABELS + 1) % 3)) == (
    'rows',
    'test has 16 more rows, and the 24 earlier ones; its labels are changed',
  )
  for other in (table(IMAGES[1:]), table(IMAGES[:23]), table(IMAGES[1:25])):
    assert change(labelled, other)[0] == 'other'
  assert change(images, table(IMAGES[::-1]))[0] == 'other'


def test_files_are_recognised_by_their_names():
  """Where their positions have changed, and where the reader digests something else."""
  files = [f'{i:02}.png' for i in range(40)]

  def of_files(index, digest, images=IMAGES):
    rows = table(images[index])
    names = [files[i] for i in index]
    return rows._replace(content=lambda: {'image': digest}, names=lambda: names)

  before = of_files(range(1, 40, 2), 'x')
  assert change(before, of_files(range(1, 40, 2), 'x')) is None
  assert change(before, of_files(range(40), 'y'))[0] == 'rows'
  assert change(before, of_files([*range(1, 37), 38, 39], 'y'))[0] == 'other'  # without 37.png
  assert change(before, of_files(range(40), 'y', IMAGES ^ 1))[0] == 'other'


def test_many_rows_are_compared_by_some(monkeypatch):
  monkeypatch.setattr(same_data, 'WHOLE_BYTES', 0)
  images = RANDOM.integers(0, 256, (500, 6, 6, 1), dtype=np.uint8)
  assert change(table(images[:400]), table(images))[0] == 'rows'
  assert change(table(images[:400]), table(images[1:]))[0] == 'other'


def test_of_an_older_version_names_and_rows_are_compared():
  rows = table(IMAGES)
  older = {name: x for name, x in provenance(rows).items() if name != 'content'}
  assert compare(older, rows, provenance(rows), 'test') is None
  for other in ({**older, 'rows': 3}, {**older, 'read': 'x'}, {}, None, [1], {'rows': '40'}):
    assert compare(other, rows, provenance(rows), 'test').kind == 'other'


def splits(images, labels=None, train=slice(0, 24), test=slice(24, 32)):
  rows = {'image': images} if labels is None else {'image': images, 'label': labels}
  return {k: {n: x[s] for n, x in rows.items()} for k, s in (('train', train), ('test', test))}


@pytest.fixture(scope='module')
def trained_on_arrays(tmp_path_factory):
  """A run on images without labels."""
  run = tmp_path_factory.mktemp('arrays') / 'run'
  vaejax.train(WORDS, run, data=splits(IMAGES))
  return run


MORE = slice(24, 40)


@pytest.mark.parametrize(
  ('now', 'words'),
  [
    (splits(IMAGES, LABELS), 'its labels are new'),
    (splits(IMAGES, test=MORE), 'test has 8 more rows, and the 8 earlier ones$'),
    (splits(IMAGES, LABELS, test=MORE), '8 earlier ones; its labels are new'),
    (splits(IMAGES[::-1]), r'test: arrays test, 8 rows there, arrays test, 8 rows here'),
  ],
)
def test_a_run_goes_on_with_changed_data_but_does_not_resume(
  trained_on_arrays, tmp_path, now, words
):
  run = shutil.copytree(trained_on_arrays, tmp_path / 'run')
  before = vaejax.evaluate(run, ['elbo'], data=splits(IMAGES))
  with pytest.warns(UserWarning, match=words) as warned:
    values = vaejax.evaluate(run, ['elbo'], data=now)
  assert len(warned) == 1
  count = len(now['test']['image'])
  if count == 8 and 'there' not in words:
    assert values == before
  with pytest.raises(UserError) as error:
    vaejax.train(WORDS, run, data=now)
  message = str(error.value)
  assert f'init_from={run}' in message
  assert ('was trained on other data' in message) == ('there' in words)
  assert '\n' not in message
  vaejax.train(f'{WORDS},init_from={run}', tmp_path / 'next', data=now)
  assert vaejax.load(tmp_path / 'next').step == 4


def test_labels_that_came_later_can_be_evaluated(trained_on_arrays, tmp_path):
  run = shutil.copytree(trained_on_arrays, tmp_path / 'run')
  pytest.importorskip('sklearn')
  with pytest.warns(UserWarning, match='labels are new'):
    values = vaejax.evaluate(run, ['probe'], data=splits(IMAGES, LABELS))
  assert 0 <= next(iter(values.values()))[0] <= 100


def test_labels_that_a_run_needs_must_be_there(tmp_path):
  run, words = tmp_path / 'run', f'{ROOT}/configs/cvae.py:smoke,steps=2'
  vaejax.train(words, run, data=splits(IMAGES, LABELS))
  with pytest.raises(UserError, match='has no label, which the run was trained with'):
    vaejax.evaluate(run, data=splits(IMAGES))
  with pytest.raises(UserError, match=r'other classes than the run was trained with \(4, not 3\)'):
    vaejax.evaluate(run, data=splits(IMAGES, np.arange(40) % 4))


def prepare(folder: Path, images) -> Path:
  """Prepares a TFDS set of images without TensorFlow, and returns its folder."""
  import tensorflow_datasets as tfds
  from PIL import Image

  tfds.disable_progress_bar()

  class Cells(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
      features = {'image': tfds.features.Image(shape=(6, 6, 1))}
      return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
      rows = [{'image': Image.fromarray(x[..., 0])} for x in images]
      return {'train': enumerate(rows[:24]), 'test': enumerate(rows[24:])}

    def _generate_examples(self):
      raise NotImplementedError

  Cells.name = 'cells'
  builder = Cells(data_dir=str(folder))
  builder.download_and_prepare(file_format='array_record')
  return Path(builder.data_dir)


def verbs(run, *place):
  """Commands that read the data of a run."""
  return [
    ['evaluate', f'--workdir={run}', '--evals=elbo', *place],
    ['encode', f'--workdir={run}', *place],
    ['reconstruct', f'--workdir={run}', *place],
    ['train', f'--workdir={run}', *place],
    ['show', f'--workdir={run}', *place],
  ]


def test_a_run_and_its_data_can_each_move(tmp_path, monkeypatch, capsys):
  """A folder, absolute or relative, and a folder of datasets."""
  monkeypatch.chdir(tmp_path)
  version = prepare(tmp_path / 'first', IMAGES)
  absolute, relative = str(version), os.path.join('.', version.relative_to(tmp_path))
  for run, words in (
    ('absolute', [f'--data={absolute}']),
    ('relative', [f'--config.data.name={relative}']),
    ('named', ['--data=cells', '--data_dir=first']),
  ):
    assert main(['train', f'--config={WORDS}', f'--workdir={run}', *words]) == 0
  (tmp_path / 'first').rename('second')
  (tmp_path / 'runs').mkdir()
  now = str(version).replace('first', 'second')
  for run, hint in (
    ('absolute', f'the data of this run, {absolute}, is no longer there. Give its new place: --da'),
    ('relative', f'the data of this run, {relative}, is no longer there. Give its new place: --da'),
    ('named', 'which is no longer there. Give its new place: --data_dir=DIR, or --data=PATH'),
  ):
    (tmp_path / run).rename(f'runs/{run}')
    for words in verbs(f'runs/{run}')[:4]:
      capsys.readouterr()
      assert main(words) == 2
      shown = capsys.readouterr().err
      assert hint in shown and shown.count('\n') == 1
    place = ['--data_dir=second'] if run == 'named' else [f'--data={now}']
    for words in verbs(f'runs/{run}', *place):
      capsys.readouterr()
      assert main(words) == 0, words
      shown = capsys.readouterr()
      assert 'not the data' not in shown.err
    for _ in range(run != 'named'):
      assert main([*verbs(f'runs/{run}')[0]]) == 0  # training has recorded the new place
