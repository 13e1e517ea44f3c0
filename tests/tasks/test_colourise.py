"""The verb colourise: its baseline in closed form, and its errors."""

import numpy as np
import pytest
from untrained import untrained

import vaejax
from vaejax.cli.main import main
from vaejax.errors import UserError
from vaejax.task_type import Pictures
from vaejax.tasks import colourise

LUMA = np.asarray([0.299, 0.587, 0.114])


def test_the_mean_colour_of_a_grey():
  """Where each grey has one colour, it is that colour."""
  grey = np.random.default_rng(0).random((50, 4, 4, 1))
  tint = np.asarray([0.1, -0.1, 0.0]) - LUMA @ [0.1, -0.1, 0.0]  # of luma 0
  colours = (0.3 + 0.4 * grey + tint).astype(np.float32)
  pictures = Pictures(
    colours, train=lambda n: iter([{'image': colours[:20]}, {'image': colours[20:]}])
  )
  found = colourise.mean_colour((colours @ LUMA)[..., None].astype(np.float32), pictures)
  np.testing.assert_allclose(found, colours, atol=1e-5)


def test_versions_have_the_grey_that_is_given():
  run = untrained('vae.py:smoke,data.channels=3')
  grey = np.random.default_rng(0).random((2, *run.example.fields['image'].shape[:2]))
  train = lambda n: iter([{'image': np.repeat(grey[..., None], 3, -1).astype(np.float32)}])
  settings = {name: setting.default for name, setting in colourise.SETTINGS.items()}
  settings |= {'versions': 2, 'steps': 3}
  pictures = Pictures(None, {'source': grey[..., None].astype(np.float32)}, train=train)
  images = colourise.run(run, pictures, settings, 0, lambda done, of: None).images
  inside = ((images > 0) & (images < 1)).all(-1)
  assert inside.mean() > 0.2
  error = np.abs(images @ LUMA - grey[:, None])
  assert error[inside].max() < 1e-5


def test_a_run_without_colours_is_one_line(copied, capsys):
  assert main(['colourise', f'--workdir={copied}']) == 2
  error = capsys.readouterr().err
  assert 'but this one has 1. Train configs/colourise.py on colour pictures' in error
  with pytest.raises(UserError, match='this one has 1'):
    vaejax.load(copied).colourise(np.zeros((1, 8, 8)))
