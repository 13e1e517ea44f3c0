"""The verb superres on a small VAE, and its baselines against Pillow's."""

import json

import jax
import numpy as np
import pytest
from PIL import Image
from without_lpips import without_lpips

import vaejax
from vaejax.api import pictures
from vaejax.cli.main import main
from vaejax.errors import UserError
from vaejax.restoration.problem import degrade_rows
from vaejax.tasks import superres

__all__ = ['without_lpips']
QUICK = '--versions=2', '--steps=5'


def test_the_verb_writes_versions_and_scores(copied, without_lpips):
  assert main(['superres', f'--workdir={copied}', '--factor=2', '--n=5', *QUICK]) == 0
  assert np.load(copied / 'tasks' / 'superres.npy').shape == (5, 2, 8, 8, 1)
  saved = json.loads((copied / 'tasks' / 'superres.json').read_text())
  assert {'psnr', 'ssim', 'best_of_2_psnr'} <= set(saved['scores'])
  assert set(saved['scores']['psnr']['baselines']) == {'bicubic', 'repeated pixels'}
  assert saved['protocol']['source'] == 'small:2' and saved['protocol']['filter'] == 'box'
  assert saved['protocol']['observation_scale'] > 0


def test_small_pictures_of_a_user_are_enlarged(copied, tmp_path):
  small = np.random.default_rng(0).integers(0, 256, (3, 2, 2, 1)).astype(np.uint8)
  result = vaejax.load(copied).superres(small, 4, versions=1, steps=5)
  assert result.images.shape == (3, 1, 8, 8, 1) and not result.scores
  # In the picture each pixel of the input is a square.
  shown = dict(result.rows)['input']
  np.testing.assert_allclose(shown[:, ::4, ::4], small / 255, atol=1e-6)
  Image.fromarray(small[0, ..., 0]).save(tmp_path / 'a.png')
  words = f'--inputs={tmp_path / "a.png"}', '--versions=1', '--steps=5'
  assert main(['superres', f'--workdir={copied}', *words]) == 0
  np.testing.assert_allclose(
    np.load(copied / 'tasks' / 'superres.npy')[0], result.images[0], atol=1e-5
  )


def test_bicubic_is_pillow_s(copied):
  run = vaejax.load(copied)
  x = np.random.default_rng(1).random((2, 8, 8, 1)).astype(np.float32)
  given = degrade_rows('small:4', x, 0)
  np.testing.assert_allclose(
    given.source, x.reshape(2, 2, 4, 2, 4, 1).mean((2, 4)), atol=1.01 / 255
  )
  for small, large in zip(given.source, superres.enlarged(given, run)['bicubic'], strict=True):
    expected = Image.fromarray(small[..., 0]).resize((8, 8), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(large[..., 0], np.clip(expected, 0, 1), atol=1e-5)


def test_bad_input_is_one_line(copied):
  run = vaejax.load(copied)
  with pytest.raises(UserError, match=r'factor=3 is not possible\. Use 2 or 4'):
    run.superres(np.zeros((1, 2, 2, 1), np.uint8), 3)
  with pytest.raises(
    UserError, match=r'has the shape \[1, 8, 8, 1\], but \[N, 2, 2, 1\] is needed'
  ):
    run.superres(np.zeros((1, 8, 8, 1), np.uint8), 4)
  # Rows of a split too are refused if the factor does not divide them.
  run.example = run.example._replace(
    fields={'image': jax.ShapeDtypeStruct((10, 10, 1), np.float32)}
  )
  rows = pictures.Pictures(np.zeros((1, 10, 10, 1), np.float32), split='test')
  settings = {name: setting.default for name, setting in superres.SETTINGS.items()}
  with pytest.raises(UserError, match='small:4 does not divide images of 10x10'):
    superres.run(run, rows, settings, 0, lambda *_: None)
