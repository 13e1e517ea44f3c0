"""Traversals: order, starts and scales, titles with factors, and what is written."""

import numpy as np
from given import pictures, small
from PIL import Image

from vaejax.cli.main import main
from vaejax.tasks import traverse

SETTINGS = {name: setting.default for name, setting in traverse.SETTINGS.items()}


def result_of(run, n=40, **settings):
  return traverse.run(run, pictures(run, n), SETTINGS | settings, 0, lambda *_: None)


def test_each_latent_moves_alone_around_the_picture():
  run = small('vae')
  result = result_of(run, 3, steps=3, range=2.0, latents=2)
  assert result.images.shape == (3, 2, 3, 8, 8, 1)
  z, j = run.encode(pictures(run, 3).image), result.arrays['latents'][1]
  z[:, j] = -2
  assert np.allclose(result.images[:, 1, 0], run.decode(z), atol=1e-5)
  kl = result.arrays['kl']
  assert kl.shape == (4,) and result.arrays['latents'].tolist() == np.argsort(-kl)[:2].tolist()


def test_around_the_mean_the_middle_is_the_same_for_all_latents():
  run = small('vae:prior=mixture,components=3')
  result = result_of(run, steps=3, around='mean')
  assert result.images.shape[:3] == (1, 4, 3) and result.protocol['scale'].endswith('posterior')
  assert np.allclose(result.images[0, :, 1], result.images[0, 0, 1], atol=1e-5)


def test_levels_and_conditions_are_traversed():
  for words in ('iwae:two', 'cvae'):
    assert np.isfinite(result_of(small(words), 4, steps=2, latents=3).images).all()


def test_titles_name_the_factors_that_a_latent_tells():
  shares = np.array([[0.2, 0.5, 0.0], [0.05, 0.0, 0.0]])
  names = ['shape', 'scale', 'row']
  assert traverse.title(0, 1.5, names, shares) == 'z0  1.50 nats\nscale, shape'
  assert traverse.title(1, 0.1, names, shares) == 'z1  0.10 nats\nno factor'
  assert traverse.title(1, 0.1, [], None) == 'z1  0.10 nats'


def test_the_verb_draws_a_grid_and_with_factors_a_heat_map(copied, project, tmp_path):
  assert main(['traverse', f'--workdir={copied}', '--steps=3', '--latents=2', '--rows=64']) == 0
  folder = copied / 'tasks'
  plain = Image.open(folder / 'traverse.png')
  assert Image.open(folder / 'traverse.gif').n_frames == traverse.FRAMES
  assert np.load(folder / 'traverse_kl.npy').shape == (4,)
  run = small('beta_vae:shapes,data.size=8,latents=3')
  factors = np.random.default_rng(0).integers(0, 3, (40, 5)).astype(np.int32)
  given = pictures(run, 40, factors=factors)
  result = traverse.run(run, given._replace(image=given.image[:1]), SETTINGS, 0, lambda *_: None)
  assert result.arrays['information'].shape == (3, 5)
  assert result.picture.shape[1] > plain.size[0]
