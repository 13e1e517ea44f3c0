"""Contents in styles: as a verb and as a method, with scores of known transfers."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from untrained import untrained

from vaejax.api import tasks
from vaejax.api.files import read_rows
from vaejax.errors import UserError
from vaejax.perceptual import lpips
from vaejax.tasks import stylise


@pytest.fixture
def run(tmp_path):
  """A run of style transfer, with its first weights and a folder of this test."""
  run = copy.copy(untrained('style.py:smoke'))
  run.folder = tmp_path / 'run'
  run.folder.mkdir()
  return run


@pytest.fixture
def without_lpips(monkeypatch):
  """As if the extra `perceptual` were missing: its nets take seconds to compile."""

  def missing(net):
    raise UserError('missing')

  monkeypatch.setattr(lpips, 'distance', missing)


@pytest.fixture(scope='module')
def rows():
  return next(read_rows(untrained('style.py:smoke'), 'test', 40))


def test_scores_and_a_table_of_a_split(run, rows, without_lpips):
  tasks.write(run, 'stylise', {'shown': 3}, n=40)
  out = np.load(run.folder / 'tasks' / 'stylise.npy')
  assert out.shape == (3, 5, 8, 8, 3)
  first = np.flatnonzero(rows['style'] == 2)[:1]
  expected = run.transfer(rows['image'][1:2], rows['image'][first])
  np.testing.assert_allclose(out[1, 2], expected[0], atol=1e-5)
  saved = json.loads((run.folder / 'tasks' / 'stylise.json').read_text())
  scores, truth = saved['scores'], rows['pair']
  changed = np.abs(truth - rows['image']).max((1, 2, 3)) > 1e-3
  assert 0 < changed.sum() == scores['psnr']['n'] < 40
  error = np.square(truth - rows['image']).mean((1, 2, 3))[changed]
  copied = scores['psnr']['baselines'][stylise.COPY]['value']
  assert copied == pytest.approx(np.mean(-10 * np.log10(error)), rel=1e-4)
  assert 'there is no judge' in saved['protocol']['judges']


class Oracle:
  """A run whose transfers are the true ones."""

  def __init__(self, run, rows):
    self.example, self.config, self.rows = run.example, run.config, rows

  def transfer(self, images, styles):
    of = {x.tobytes(): y for x, y in zip(self.rows['image'], self.rows['pair'], strict=True)}
    return np.stack([of[np.asarray(x).tobytes()] for x in images])


def test_true_transfers_have_the_best_scores(run, rows, without_lpips):
  fields = {name: x for name, x in rows.items() if name != 'image'}
  pictures = stylise.Pictures(rows['image'], fields, split='test')
  scores, _ = stylise.evaluate(Oracle(run, rows), pictures, lambda done, total: None)
  assert (scores['psnr'].ours == 100).all()
  assert max(x.max() for x in scores['psnr'].baselines.values()) < 60


def test_pictures_of_a_user(run, rows, tmp_path):
  for name, number in (('content', 4), ('style', 2)):
    (tmp_path / name).mkdir()
    for i in range(number):
      x = np.round(rows['image'][i + number] * 255).astype(np.uint8)
      Image.fromarray(x).save(tmp_path / name / f'{i}.png')
  contents, styles, out = (str(tmp_path / name) for name in ('content', 'style', 'out.png'))
  tasks.write(run, 'stylise', {'style': styles}, files=contents, out=Path(out))
  written = np.load(tmp_path / 'out.npy')
  assert written.shape == (4, 2, 8, 8, 3) and Path(out).exists()
  result = run.stylise(rows['image'][4:8], rows['image'][2:4])
  np.testing.assert_allclose(result.images, written, atol=1e-2)
  assert not result.scores and len(result.rows) == 5


def test_without_style_pictures_there_is_one_of_each_style(run, rows):
  styles = stylise.style_pictures(run, stylise.Pictures(rows['image'], rows), None)
  assert len(styles) == run.example.styles
  result = run.stylise(rows['image'][:2])  # those of training rows
  assert result.images.shape == (2, 5, 8, 8, 3)


def test_all_pictures_of_a_user_are_transferred(run, rows):
  result = run.stylise(rows['image'][:3], rows['image'][:1], shown=2)
  assert len(result.images) == 3 and len(result.rows) == 1 + 2


def test_rows_that_their_style_does_not_change_have_no_score(run, rows, without_lpips):
  fields = {'pair': run.example.to_data(rows['image']), 'style_image': rows['image']}
  same = stylise.Pictures(rows['image'], fields, split='test')
  assert stylise.evaluate(run, same, lambda done, total: None) == ({}, {})


def test_bad_input_is_one_line(run):
  for settings, text in (
    ({'style': 'nowhere.png'}, 'there is no file or folder nowhere.png'),
    ({'style': np.zeros((1, 7, 7, 3))}, 'style has the shape'),
    ({'shown': 0}, 'shown=0 is out of range'),
  ):
    with pytest.raises(UserError, match=text):
      tasks.write(run, 'stylise', settings)
  with pytest.raises(UserError, match='a run of vae has no transfers of style'):
    tasks.write(untrained('vae.py:smoke'), 'stylise', {})
  assert not list(run.folder.iterdir())
