"""Versions of pictures by all kinds of runs that were never trained for it."""

import numpy as np
import pytest
from untrained import untrained

from vaejax.errors import UserError
from vaejax.restoration import how, problem, versions
from vaejax.task_type import Pictures

SETTINGS = {name: setting.default for name, setting in how.SETTINGS.items()}
SETTINGS |= {'versions': 2, 'steps': 3, 'sweeps': 2, 'draws': 16}
X = np.random.default_rng(0).integers(0, 17, (5, 8, 8, 1)).astype(np.float32) / 16
LABEL = np.arange(5, dtype=np.int32)
RUNS = {
  'plain': 'vae.py:smoke',
  'a hierarchy': 'iwae.py:two,smoke',
  'given a label': 'cvae.py:smoke',
  'codes': 'm2.py:smoke',
}


def make(run, kind, way, n=5, seed=0):
  pictures = Pictures(
    X[:n], {'label': LABEL[:n]}, train=lambda count: iter([{'image': X, 'label': LABEL}])
  )
  given = problem.degrade_rows(kind, pictures.image, seed)
  chosen = how.choose(run, kind, {**SETTINGS, 'how': way})
  return given, versions.make(run, chosen, given, pictures, SETTINGS, seed, lambda done, of: None)


# Each kind of run, each observation and each way at least once.
CASES = [
  ('plain', 'mask:half', 'optimise'),
  ('plain', 'noise:0.3', 'importance'),
  ('a hierarchy', 'mask:half', 'importance'),
  ('a hierarchy', 'small:2', 'optimise'),
  ('given a label', 'small:2', 'gibbs'),
  ('codes', 'mask:half', 'importance'),
]


@pytest.mark.parametrize(('name', 'kind', 'way'), CASES)
def test_versions_agree_with_what_is_given(name, kind, way):
  given, made = make(untrained(RUNS[name]), kind, way)
  assert made.image.shape == (5, 2, 8, 8, 1) and np.isfinite(made.image).all()
  assert made.protocol['how'] == way and 0 <= made.image.min() <= made.image.max() <= 1
  if kind == 'mask:half':
    seen = np.broadcast_to(X[:, None, :, :4], (5, 2, 8, 4, 1))
    np.testing.assert_array_equal(made.image[:, :, :, :4], seen)
  elif kind == 'small:2':
    # But for what was clipped to [0, 1].
    small = made.image.reshape(5, 2, 4, 2, 4, 2, 1).mean((3, 5))
    inner = ((made.image > 0) & (made.image < 1)).reshape(5, 2, 4, 2, 4, 2, 1).all((3, 5))
    error = np.abs(small - given.source[:, None])
    assert inner.mean() > 0.3 and error[inner].max() < 1e-5


@pytest.mark.parametrize('way', ['optimise'])
def test_a_seed_gives_each_row_the_same_whatever_the_number_of_rows(way):
  run = untrained(RUNS['plain'])
  _, made = make(run, 'mask:random', way)
  _, again = make(run, 'mask:random', way, n=3)
  _, other = make(run, 'mask:random', way, n=3, seed=1)
  np.testing.assert_allclose(made.image[:3], again.image, atol=1e-5)
  assert np.abs(other.image - again.image).max() > 1e-3


@pytest.mark.parametrize(
  ('config', 'kind', 'way', 'text'),
  [
    ('m2.py:smoke', 'mask:half', 'optimise', 'codes cannot be optimised'),
    ('vae.py:smoke', 'noise:0.1', 'gibbs', 'without noise'),
    ('vae.py:smoke', 'mask:half', 'model', 'trained with data.source=mask:half'),
    ('gan.py:smoke', 'mask:half', 'auto', 'a run of gan has no p'),
  ],
)
def test_what_a_run_cannot_do_is_one_line(config, kind, way, text):
  with pytest.raises(UserError, match=text) as error:
    how.choose(untrained(config), kind, {**SETTINGS, 'how': way})
  assert '\n' not in str(error.value)


def test_codes_are_drawn_by_importance_and_real_latents_optimised():
  auto = {**SETTINGS, 'how': 'auto'}
  assert how.choose(untrained(RUNS['codes']), 'mask:half', auto) == 'importance'
  assert how.choose(untrained(RUNS['a hierarchy']), 'mask:half', auto) == 'optimise'


def test_a_missing_label_is_one_line():
  run, pictures = untrained(RUNS['given a label']), Pictures(X)
  given = problem.degrade_rows('mask:half', X, 0)
  with pytest.raises(UserError, match='needs the label of every picture'):
    versions.make(run, 'optimise', given, pictures, SETTINGS, 0, lambda done, of: None)


TRAINED = 'inpaint.py:smoke'


def test_versions_of_a_conditional_vae():
  """The first decodes the mean of p(z|source), as `sample` does at temperature 0."""
  run = untrained(TRAINED)
  given, made = make(run, 'mask:half', 'auto')
  assert made.image.shape == (5, 2, 8, 8, 1) and made.protocol['how'] == 'model'
  mean = run.sample(5, temperature=0.0, source=given.source)
  expected = np.concatenate([X[:, :, :4], mean[:, :, 4:]], axis=2)
  np.testing.assert_allclose(made.image[:, 0], expected, atol=1e-6)
  np.testing.assert_array_equal(made.image[:, 1, :, :4], X[:, :, :4])


def test_a_run_for_another_source_is_one_line():
  run = untrained(TRAINED)
  text = r'was trained with data\.source=mask:half, and not for mask:centre\. Use a run with'
  with pytest.raises(UserError, match=text):
    how.choose(run, 'mask:centre', {**SETTINGS, 'how': 'auto'})
  with pytest.raises(UserError, match='and not for small:2'):
    how.choose(run, 'small:2', {**SETTINGS, 'how': 'gibbs'})


def test_a_run_for_any_mask_takes_every_mask():
  run = untrained('inpaint.py:any,smoke')
  assert how.choose(run, 'mask:stripes', {**SETTINGS, 'how': 'auto'}) == 'model'
