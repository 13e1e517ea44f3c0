"""Centre and scale of latents, and the models whose latents are refused."""

import numpy as np
import pytest
from given import pictures, small

from vaejax.errors import UserError
from vaejax.inference import space


def test_a_standard_prior_has_centre_0_and_scale_1():
  area = space.measure(small('vae'), None)
  assert not area.centre.any() and (area.scale == 1).all() and area.origin == 'the prior'
  assert area.centre.shape == (4,)


@pytest.mark.parametrize('words', ['vae:prior=mixture,components=3', 'cvae:prior=by_class'])
def test_another_prior_has_those_of_the_aggregate_posterior(words):
  run = small(words)
  if words.startswith('cvae'):  # as it is after training, unlike at first
    params = dict(run.variables.params)
    params['prior'] = {name: x + 1 for name, x in params['prior'].items()}
    run.variables = run.variables.replace(params=params)
  given = pictures(run, 400)
  area = space.measure(run, given.train)
  z = run.encode(given.image, draw=True, **run.conditions(given.fields))
  assert area.origin == 'the aggregate posterior'
  assert np.allclose(area.centre, z.mean(0), atol=1e-5)
  assert np.allclose(area.scale, z.std(0), atol=1e-5)
  # Rows have noise of their own, in however many parts they are read.
  (part,) = given.train(0)
  halves = [
    {name: x[rows] for name, x in part.items()} for rows in (slice(0, 150), slice(150, 400))
  ]
  assert np.allclose(space.measure(run, lambda n: halves).scale, area.scale, atol=1e-5)


def test_levels_have_a_space_each():
  run = small('iwae:two')
  area = space.measure(run, pictures(run, 50).train)
  assert [x.shape for x in area.centre] == [x.shape[1:] for x in run.encode(pictures(run, 2).image)]


def test_runs_without_continuous_latents_of_images_are_refused():
  space.check_continuous(small('vae'), 'morph')
  for words, text in (
    ('gan', 'morph needs latents that can be decoded'),
    ('judge', 'needs latents'),
  ):
    with pytest.raises(UserError, match=text):
      space.check_continuous(small(words), 'morph')
  with pytest.raises(UserError, match='morph needs a run on images, but this one is on videos'):
    space.check_continuous(small('rvae'), 'morph')
  with pytest.raises(UserError, match='those of this run are codes'):
    space.check_continuous(small('m2'), 'morph')
