"""The verb denoise on a small VAE, and how its filters are chosen."""

import json

import numpy as np
from without_lpips import without_lpips

import vaejax
from vaejax.cli.main import main
from vaejax.restoration.problem import degrade_rows
from vaejax.task_type import Pictures
from vaejax.tasks import denoise

__all__ = ['without_lpips']


def test_the_verb_writes_versions_and_scores(copied, without_lpips):
  words = '--n=5', '--versions=2', '--steps=5', '--noise=0.3'
  assert main(['denoise', f'--workdir={copied}', *words]) == 0
  assert np.load(copied / 'tasks' / 'denoise.npy').shape == (5, 2, 8, 8, 1)
  saved = json.loads((copied / 'tasks' / 'denoise.json').read_text())
  assert {'noisy', 'gaussian filter', 'median filter'} <= set(saved['scores']['psnr']['baselines'])
  protocol = saved['protocol']
  # The spread of y given z has the noise, and what reconstructions leave.
  assert protocol['source'] == 'noise:0.3' and protocol['observation_scale'] > 0.3
  assert protocol['filters_chosen_on'] == '64 training rows'


def test_a_user_s_pictures_are_the_noisy_ones(copied):
  x = np.random.default_rng(0).integers(0, 17, (2, 8, 8, 1)).astype(np.float32) / 16
  result = vaejax.load(copied).denoise(x, 0.1, versions=1, steps=5)
  assert not result.scores and result.images.shape == (2, 1, 8, 8, 1)
  np.testing.assert_allclose(dict(result.rows)['input'], x, atol=1e-6)


def test_filters_are_those_of_the_largest_psnr_on_training_rows():
  """Constant pictures, for which the widest filters are the best."""
  clean = np.broadcast_to(np.linspace(0.3, 0.7, 8)[:, None, None, None], (8, 16, 16, 1))
  clean = clean.astype(np.float32)
  given = degrade_rows('noise:0.2', clean, 0)
  pictures = Pictures(clean, train=lambda n: iter([{'image': clean}]))
  baselines, protocol = denoise.filtered(given, pictures, 0)
  assert protocol['gaussian filter'] == max(denoise.SIGMAS)
  assert protocol['median filter'] == max(denoise.SIDES)
  error = {name: np.square(x - clean).mean() for name, x in baselines.items()}
  assert all(error[name] < error['noisy'] / 4 for name in error if name != 'noisy')
