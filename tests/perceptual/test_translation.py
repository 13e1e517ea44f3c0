"""Scores of translations on pictures whose domain and order are known."""

import numpy as np
import pytest

from vaejax.metrics.similarity import psnr
from vaejax.perceptual import compare, translation, weights


def pictures(n=30, seed=0):
  """Smooth random pictures [n, 16, 16, 3]."""
  x = np.random.default_rng(seed).random((n, 4, 4, 3), np.float32)
  return x.repeat(4, axis=1).repeat(4, axis=2)


def test_similarities_are_of_each_output(monkeypatch):
  truth = pictures(4)
  outputs = {'': truth, 'darker': truth * 0.5}
  values = translation.similarities(outputs, truth, 0)
  assert (values['psnr'][''] == 100).all()
  np.testing.assert_allclose(values['psnr']['darker'], psnr(truth * 0.5, truth), rtol=1e-5)
  if weights.is_installed():
    assert values['lpips_alex']['darker'].min() > values['lpips_alex'][''].max()
    monkeypatch.setattr(compare, 'BETTER', {'lpips_alex': 'lower'})  # VGG16 takes long to compile
    other = translation.similarities(outputs, truth, 64)['lpips_alex']['darker']
    assert np.abs(other - values['lpips_alex']['darker']).max() > 1e-3


def test_pictures_are_enlarged_only_if_they_are_smaller():
  x = pictures(3)
  assert translation.enlarged(x, 16) is x and translation.enlarged(x, 0) is x
  assert translation.enlarged(x[:, :8], 32).shape == (3, 32, 64, 3)


@pytest.mark.skipif(not weights.is_installed(), reason='needs the extra perceptual')
def test_retrieval_and_probe_of_known_pictures():
  truth = pictures()
  stripes = truth.copy()
  stripes[:, ::2] = 1 - stripes[:, ::2]
  shuffled = truth[np.roll(np.arange(30), 1)]
  outputs = {'': truth, 'shuffled': shuffled, 'striped': stripes}
  values = translation.retrieved(outputs, truth, 0, lambda: None)
  assert values['top1'][''].all() and not values['top1']['shuffled'].any()
  first, second = pictures(60, 1), pictures(60, 2)
  second[:, ::2] = 1 - second[:, ::2]
  shares = {k: x.mean() for k, x in translation.judged(outputs, first, second, 0).items()}
  assert shares['striped'] > 0.9 and shares[''] < 0.1 and shares['shuffled'] == shares['']
