"""Scores of a split and of the user's pictures, from the shell and from Python."""

import csv

import numpy as np
import pytest
from PIL import Image

import vaejax
from vaejax.cli.main import main
from vaejax.config.load import load_config
from vaejax.data import splits

FAST = ('--draws=2', '--samples=4')


def read(path):
  with open(path, newline='') as file:
    return list(csv.DictReader(file))


@pytest.fixture
def images(project):
  return splits.table(load_config('configs/vae.py').data, 'test', None).load()['image']


def test_a_split_has_a_row_a_picture_and_is_the_same_each_time(project, trained, images, tmp_path):
  outs = [tmp_path / name for name in ('a.csv', 'b.csv')]
  for out in outs:
    assert main(['score', f'--workdir={trained}', f'--out={out}', *FAST]) == 0
  assert outs[0].read_bytes() == outs[1].read_bytes()
  rows = read(outs[0])
  assert [row['index'] for row in rows] == [str(i) for i in range(len(images))]
  assert {row['label'] for row in rows} == {str(i) for i in range(10)}
  found = vaejax.load(trained).score(images, draws=2, samples=4)
  assert list(found) == [
    'neg_elbo',
    'neg_log_prob',
    'recon',
    'kl',
    'squared_error',
    'error_per_variation',
  ]
  for name, values in found.items():
    assert [float(row[name]) for row in rows] == pytest.approx(values.tolist(), rel=1e-6)


def test_a_score_does_not_depend_on_the_order_or_the_number_of_images(trained, images):
  run, order = vaejax.load(trained), np.random.default_rng(0).permutation(50)
  score = lambda x: run.score(x, draws=2, samples=4)
  want = score(images[:50])
  for name, values in score(images[:50][order]).items():
    np.testing.assert_array_equal(values, want[name][order], err_msg=name)
  for name, values in score(images[:3]).items():
    np.testing.assert_array_equal(values, want[name][:3], err_msg=name)
  assert all(len(values) == 0 for values in score(images[:0]).values())


def test_a_folder_of_pictures_is_fitted_to_the_run(trained, images, tmp_path):
  folder, out = tmp_path / 'mine', tmp_path / 'scores.csv'
  folder.mkdir()
  for i in range(12):
    Image.fromarray(images[i, ..., 0]).convert('RGB').save(folder / f'{11 - i:02}.png')
  Image.fromarray(images[0, ..., 0]).resize((21, 16)).save(folder / 'large.png')
  words = [f'--workdir={trained}', f'--inputs={folder}', f'--out={out}', *FAST]
  assert main(['score', *words]) == 0
  *rows, large = read(out)
  assert [row['file'] for row in rows] == [f'{i:02}.png' for i in range(12)]
  assert large['file'] == 'large.png' and float(large['neg_elbo']) > 0
  want = vaejax.load(trained).score(images[:12], draws=2, samples=4)
  for name, values in want.items():
    found = [float(row[name]) for row in rows]
    np.testing.assert_allclose(found, values[::-1], rtol=1e-5, err_msg=name)


def test_one_picture_is_one_row(trained, images, tmp_path):
  folder, out = tmp_path / 'mine', tmp_path / 'scores.csv'
  folder.mkdir()
  Image.fromarray(images[0, ..., 0]).save(folder / 'a.png')
  words = [f'--workdir={trained}', f'--inputs={folder}', f'--out={out}', *FAST]
  assert main(['score', *words]) == 0
  assert [row['file'] for row in read(out)] == ['a.png']


def test_a_background_adds_the_ratio(trained, images, tmp_path):
  out = tmp_path / 'scores.csv'
  words = [f'--workdir={trained}', f'--background={trained}', f'--out={out}', *FAST]
  assert main(['score', *words]) == 0
  assert {row['ratio'] for row in read(out)} == {'0'}
  run = vaejax.load(trained)
  assert not run.score(images[:4], samples=4, background=run)['ratio'].any()


def test_a_gan_is_refused_in_one_line(project, tmp_path, capsys):
  config = '--config=configs/gan.py:digits,smoke,batch_size=11'
  assert main(['train', config, f'--workdir={tmp_path}/gan']) == 0
  capsys.readouterr()
  assert main(['score', f'--workdir={tmp_path}/gan']) == 2
  line = capsys.readouterr().err.strip()
  assert line.startswith('error: a run of gan has no score') and '\n' not in line
  assert not (tmp_path / 'gan' / 'scores.csv').exists()


@pytest.fixture
def mine(trained, images, tmp_path):
  """A folder of three pictures, of which one is damaged."""
  folder = tmp_path / 'mine'
  folder.mkdir()
  for i in range(2):
    Image.fromarray(images[i, ..., 0]).save(folder / f'{i}.png')
  (folder / 'torn.png').write_bytes(b'no picture')
  return folder


def test_damaged_pictures_can_be_skipped(trained, mine, capsys):
  words = [f'--workdir={trained}', f'--inputs={mine}', f'--out={mine}/a.csv', *FAST]
  capsys.readouterr()
  assert main(['score', *words]) == 2
  line = capsys.readouterr().err.strip()
  assert 'torn.png' in line and 'add --skip_damaged' in line and '\n' not in line
  assert main(['score', *words, '--skip_damaged']) == 0
  assert [row['file'] for row in read(mine / 'a.csv')] == ['0.png', '1.png']
  assert 'all 2 rows of' in capsys.readouterr().err


def test_a_background_that_does_not_fit_is_one_line(project, trained, tmp_path, capsys):
  config = '--config=configs/anomaly.py:digits,smoke,batch_size=11'
  sweep, other = tmp_path / 'sweep', tmp_path / 'other'
  assert main(['sweep', config, '--grid', 'left_out=2,3', f'--workdir={sweep}']) == 0
  assert main(['train', config, '--config.data.size=12', f'--workdir={other}']) == 0
  score = 'score', f'--workdir={trained}', f'--out={tmp_path}/a.csv', *FAST
  for background, message in (
    (sweep, f'--background={sweep}/members/0'),
    (other, f'the background model {other} has images of (12, 12, 1), but the run was trained'),
  ):
    capsys.readouterr()
    assert main([*score, f'--background={background}']) == 2
    line = capsys.readouterr().err.strip()
    assert message in line and '\n' not in line
  assert main([*score, f'--background={sweep}/members/1']) == 0
