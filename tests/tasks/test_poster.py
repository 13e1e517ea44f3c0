"""Posters: their size, their metadata, and what they are made of."""

import json

import numpy as np
import pytest
from PIL import Image
from untrained import untrained

import vaejax
from vaejax.cli.main import main
from vaejax.errors import UserError


def poster(workdir, *words):
  return main(['poster', f'--workdir={workdir}', '--pixels=96', *words])


@pytest.fixture(scope='module')
def run(trained):
  return vaejax.load(trained)


@pytest.fixture
def target(tmp_path):
  """White on the left, and black on the right."""
  x = np.zeros((20, 30), np.uint8)
  x[:, :15] = 255
  Image.fromarray(x).save(tmp_path / 'target.png')
  return tmp_path / 'target.png'


@pytest.mark.parametrize('kind', ['manifold', 'walk'])
def test_a_verb_writes_decoded_latents(copied, kind):
  assert poster(copied, f'--kind={kind}', '--columns=12') == 0
  z = np.load(copied / 'tasks' / 'poster_latents.npy')
  assert len(z) == 144
  with Image.open(copied / 'tasks' / 'poster.png') as image:
    x = np.asarray(image)
    assert image.text['command'].startswith('python launch.py poster --workdir=')
  # 96 pixels of 12 tiles: each is a decoded image of 8x8 at its own size.
  decoded = vaejax.load(copied).decode(z)[..., 0].reshape(12, 12, 8, 8)
  decoded = decoded.transpose(0, 2, 1, 3).reshape(96, 96)
  assert x.shape == (96, 96) and np.abs(x - decoded * 255).max() <= 1


def test_a_manifold_shows_the_given_latents(run):
  z = run.poster(kind='manifold', columns=5, pixels=64, latents=('0', '1')).arrays['latents']
  z = z.reshape(5, 5, -1)
  assert np.ptp(z[:, :, 0], axis=0).max() == 0 and (np.diff(z[:, :, 0]) > 0).all()
  assert np.ptp(z[:, :, 1], axis=1).max() == 0 and (np.diff(z[:, :, 1], axis=0) > 0).all()
  assert np.ptp(z[:, :, 2:], axis=(0, 1)).max(initial=0) == 0


def test_a_manifold_between_pictures_has_them_at_its_corners(run):
  x = np.random.default_rng(0).uniform(size=(4, 8, 8, 1)).astype(np.float32)
  z = run.poster(x, columns=3, pixels=64).arrays['latents'].reshape(3, 3, -1)
  np.testing.assert_allclose(z[::2, ::2].reshape(4, -1), run.encode(x), atol=1e-5)
  with pytest.raises(UserError, match='needs 4 of them, but got 3'):
    run.poster(x[:3])


def test_a_walk_is_continuous_and_of_its_seed(run):
  settings = {'kind': 'walk', 'columns': 6, 'pixels': 64}
  z = run.poster(seed=1, **settings).arrays['latents'].reshape(6, 6, -1)
  np.testing.assert_array_equal(z.reshape(36, -1), run.poster(seed=1, **settings).arrays['latents'])
  other = run.poster(seed=2, **settings).arrays['latents']
  assert np.abs(other - z.reshape(36, -1)).max() > 0.1
  z[1::2] = z[1::2, ::-1].copy()
  step = np.linalg.norm(np.diff(z.reshape(36, -1), axis=0), axis=1)
  apart = np.linalg.norm(z.reshape(36, -1)[:, None] - z.reshape(36, -1), axis=-1)
  assert step.max() < apart.max() / 3


def test_a_mosaic_shows_its_target(copied, target):
  words = '--kind=mosaic', f'--target={target}', '--columns=12', '--bank=64', '--tint=0.5'
  assert poster(copied, *words) == 0
  x = np.asarray(Image.open(copied / 'tasks' / 'poster.png')).astype(float)
  assert x.shape == (64, 96)  # the shape of the target
  choice = np.load(copied / 'tasks' / 'poster_choice.npy')
  assert choice.shape == (8, 12) and choice.max() < 64
  # Half of each tile is the colour of the target there.
  assert x[:, :48].min() >= 127 and x[:, 48:].max() <= 128
  score = json.loads((copied / 'tasks' / 'poster.json').read_text())['scores']['error']
  assert score['value'] < score['baseline_value'] and score['n'] == 96


@pytest.mark.parametrize(
  ('words', 'text'),
  [
    ('--kind=mosaic', 'Add --target=FILE'),
    ('--kind=mosaic --columns=8 --target=nowhere.png', 'there is no picture nowhere.png'),
    ('--kind=mosaic --columns=8 --target=README.md', 'README.md cannot be read'),
    ('--label=3', 'not given labels'),
    ('--latents=0,0', '--latents=0,0 are not two of the latents'),
    ('--latents=0,99', 'are not two of the latents'),
    ('--columns=90', '90 columns are too many for 96 pixels'),
    ('--pixels=9', 'pixels=9 is out of range'),
  ],
)
def test_bad_settings_are_one_line(copied, project, capsys, words, text):
  assert poster(copied, *words.split()) == 2
  shown = capsys.readouterr().err
  assert shown.startswith('error: ') and shown.count('\n') == 1 and text in shown
  assert not (copied / 'tasks').exists()


def test_a_conditional_run_needs_a_class():
  run = untrained('cvae.py:smoke')
  for settings, text in (({}, 'Add --label=CLASS'), ({'label': '11'}, "label='11'")):
    with pytest.raises(UserError, match=text):
      run.poster(**settings)
  assert len(run.poster(label='7', columns=4, pixels=64).arrays['latents']) == 16


def test_a_run_without_latents_makes_a_mosaic(target):
  run = untrained('gan.py:smoke')
  with pytest.raises(UserError, match='Use --kind=mosaic'):
    run.poster()
  result = run.poster(kind='mosaic', target=target, columns=8, pixels=64, bank=8)
  assert result.picture.shape == (
    40,
    64,
    1,
  )  # 5 rows of 8 tiles, the nearest to the shape of the target
