"""Runs that are given a source of each image: their methods, their samples and their errors."""

from pathlib import Path

import jax
import numpy as np
import pytest

from vaejax.api.run import Run
from vaejax.api.sample import write_samples
from vaejax.config.load import load_config
from vaejax.core import factory
from vaejax.data import sources, splits
from vaejax.errors import UserError
from vaejax.runs.trained import TrainedRun

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """Digits whose right halves are missing, in -1 to 1, before the first step."""
  settings = {'data.scale': 'symmetric', 'model.likelihood': 'laplace'}
  config = load_config(f'{ROOT}/configs/inpaint.py:smoke', settings.items())
  example = sources.example(config.data, splits.table(config.data, 'train', None))
  method = factory.make_method(config, example)
  state = jax.jit(lambda: factory.initial_state(method, config, example))()
  folder = tmp_path_factory.mktemp('w')
  return Run(TrainedRun(folder, config, example, None, method, state, {}), 'ema')


@pytest.fixture(scope='module')
def images():
  config = load_config(f'{ROOT}/configs/inpaint.py:smoke')
  return splits.table(config.data, 'test', None).load()['image'][:5]


def halves(images):
  """Their sources, uint8: the left half and where it is seen."""
  seen = np.zeros_like(images)
  seen[:, :, :4] = 255
  return np.concatenate([np.where(seen == 255, images, 128), seen], axis=-1)


def test_a_source_is_given_in_0_to_1(run, images):
  source = halves(images)
  made = run.sample(5, source=source)
  np.testing.assert_allclose(made[:, :, :4], images[:, :, :4] / 255, atol=1e-6)
  np.testing.assert_allclose(made, run.sample(5, source=source / np.float32(255)), atol=1e-6)
  z = run.encode(images, source=source)
  np.testing.assert_allclose(
    run.decode(z, source=source), run.reconstruct(images, source=source), atol=1e-6
  )
  assert np.isfinite(run.log_prob(images, source=source, samples=2)).all()


def test_one_source_gives_several_versions(run, images):
  one = halves(images)[0]
  made = run.sample(6, source=one)
  np.testing.assert_array_equal(made, run.sample(6, source=np.stack([one] * 6)))
  np.testing.assert_allclose(made[:, :, :4], np.stack([images[0][:, :4]] * 6) / 255, atol=1e-6)


def test_samples_are_of_the_sources_of_test_rows(run, images):
  path = write_samples(run, 5, run.folder / 'samples.npy')
  made = np.load(path)
  assert made.shape == (5, 8, 8, 1)
  # In the data they have 17 levels.
  np.testing.assert_allclose(made[:, :, :4], images[:, :, :4] / 255, atol=2e-3)


def test_a_source_that_does_not_fit_is_one_line(run, images):
  source = halves(images)
  for call, says in (
    (lambda: run.sample(5), 'needs the source of every example'),
    (lambda: run.sample(5, source=source[:4]), 'last channel is 1 where the image is seen'),
    (lambda: run.encode(images, source=source[..., :1]), r'needs \[5, 8, 8, 2\]'),
    (lambda: run.encode(images, source=source * 1.0), 'Divide by 255'),
    (lambda: run.encode(images), 'needs the source'),
  ):
    with pytest.raises(UserError, match=says) as error:
      call()
    assert '\n' not in str(error.value)
