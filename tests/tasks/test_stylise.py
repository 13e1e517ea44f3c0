"""Contents in styles: as a verb and as a method, with scores of known transfers."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vaejax
from vaejax.api.files import read_rows
from vaejax.cli.main import main
from vaejax.tasks import stylise

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  folder = tmp_path_factory.mktemp('style') / 'run'
  config = f'--config={ROOT}/configs/style.py:smoke,steps=4'
  assert main(['train', config, f'--workdir={folder}']) == 0
  return folder


@pytest.fixture(scope='module')
def run(workdir):
  return vaejax.load(workdir)


@pytest.fixture(scope='module')
def rows(run):
  return next(read_rows(run, 'test', 40))


def test_the_verb_scores_transfers_and_shows_a_table(workdir, run, rows):
  assert main(['stylise', f'--workdir={workdir}', '--n=40', '--shown=3']) == 0
  out = np.load(workdir / 'tasks' / 'stylise.npy')
  assert out.shape == (3, 5, 8, 8, 3)
  first = np.flatnonzero(rows['style'] == 2)[:1]
  expected = run.translate(rows['image'][1:2], rows['image'][first])
  np.testing.assert_allclose(out[1, 2], expected[0], atol=1e-5)
  saved = json.loads((workdir / 'tasks' / 'stylise.json').read_text())
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

  def translate(self, images, styles):
    of = {x.tobytes(): y for x, y in zip(self.rows['image'], self.rows['pair'], strict=True)}
    return np.stack([of[np.asarray(x).tobytes()] for x in images])


def test_true_transfers_have_the_best_scores(run, rows):
  fields = {name: x for name, x in rows.items() if name != 'image'}
  pictures = stylise.Pictures(rows['image'], fields, split='test')
  scores, _ = stylise.evaluate(Oracle(run, rows), pictures, lambda done, total: None)
  assert (scores['psnr'].ours == 100).all()
  assert max(x.max() for x in scores['psnr'].baselines.values()) < 60


def test_pictures_of_a_user(workdir, run, rows, tmp_path):
  for name, number in (('content', 4), ('style', 2)):
    (tmp_path / name).mkdir()
    for i in range(number):
      x = np.round(rows['image'][i + number] * 255).astype(np.uint8)
      Image.fromarray(x).save(tmp_path / name / f'{i}.png')
  words = f'--inputs={tmp_path / "content"}', f'--style={tmp_path / "style"}'
  out = tmp_path / 'out.png'
  assert main(['stylise', f'--workdir={workdir}', *words, f'--out={out}']) == 0
  written = np.load(tmp_path / 'out.npy')
  assert written.shape == (4, 2, 8, 8, 3) and out.exists()
  result = run.stylise(rows['image'][4:8], rows['image'][2:4])
  np.testing.assert_allclose(result.images, written, atol=1e-2)
  assert not result.scores and len(result.rows) == 5


def test_without_style_pictures_there_is_one_of_each_style(run, rows):
  styles = stylise.style_pictures(run, stylise.Pictures(rows['image'], rows), None)
  assert len(styles) == run.example.styles
  result = run.stylise(rows['image'][:2])  # those of training rows
  assert result.images.shape == (2, 5, 8, 8, 3)


@pytest.mark.parametrize(
  ('words', 'text'),
  [
    ('--style=nowhere.png', 'there is no file or folder nowhere.png'),
    ('--shown=0', 'out of range'),
  ],
)
def test_bad_input_is_one_line(workdir, tmp_path, capsys, words, text):
  assert main(['stylise', f'--workdir={workdir}', words, f'--out={tmp_path / "x.png"}']) == 2
  shown = capsys.readouterr().err
  assert shown.count('\n') == 1 and text in shown and not list(tmp_path.iterdir())


def test_a_run_without_transfers(copied, capsys):
  assert main(['stylise', f'--workdir={copied}']) == 2
  assert 'a run of vae has no transfers of style' in capsys.readouterr().err
