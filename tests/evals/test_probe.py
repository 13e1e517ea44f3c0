"""The probe learns from the training split's means, and is tested on those of the test split."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from vaejax.configuration import base
from vaejax.data import load
from vaejax.engine.evaluate import evaluate, gather
from vaejax.errors import UserError
from vaejax.evals import probe
from vaejax.types import Method

CONFIG = ConfigDict({'method': 'toy', 'data': {'name': 'digits'}, 'model': {}})


def encode(variables, batch, key):
  return {'mean': batch['image'].reshape(batch['image'].shape[0], -1) @ variables}


METHOD = Method(None, (), None, None, {'encode': encode})


@pytest.fixture
def sklearn():
  return pytest.importorskip('sklearn', reason='pip install .[probe]')


def clouds(n, classes, noise, seed=0):
  """Points [n, 5] around a corner for each of the labels `classes`."""
  rng = np.random.default_rng(seed)
  which = rng.integers(0, len(classes), n)
  points = 4 * np.eye(5)[which] + noise * rng.normal(size=(n, 5))
  return {'image': np.float32(points.reshape(n, 5, 1, 1)), 'label': np.array(classes)[which]}


@pytest.mark.parametrize('classes', [(0, 1, 2), (1, 2), (7, 3, 5, 0)])
def test_it_finds_what_a_line_separates(sklearn, classes):
  learner, turn = probe.make(METHOD, CONFIG), np.eye(5)[::-1]
  train, test = clouds(300, classes, 0.3), clouds(50, classes, 0.3, 1)
  e = learner.fit(jax.device_get(learner.look(turn, train, None)))
  assert e.protocol == {'probe': 'logistic regression', 'fitted': 300}
  mask = jnp.ones(50).at[40:].set(0)
  wrong = {**test, 'label': jnp.where(jnp.arange(50) < 10, 99, test['label']), 'mask': mask}
  # The ten that are wrong count, the ten that are masked do not.
  assert e.finish(e.stats(turn, wrong, None, {})) == {'probe_accuracy': 0.75}


def test_it_says_what_scikit_learn_says(sklearn):
  from sklearn.linear_model import LogisticRegression

  learner = probe.make(METHOD, CONFIG)
  train, test = clouds(200, (0, 1, 2), 3.0), clouds(100, (0, 1, 2), 3.0, 1)
  seen = [jax.device_get(learner.look(np.eye(5), x, None)) for x in (train, test)]
  e = learner.fit(seen[0])
  found = e.finish(e.stats(np.eye(5), {**test, 'mask': jnp.ones(100)}, None, {}))
  model = LogisticRegression(max_iter=1000).fit(seen[0]['mean'], seen[0]['label'])
  want = model.score(seen[1]['mean'], seen[1]['label'])
  assert 0.5 < want < 0.95 and found['probe_accuracy'] == pytest.approx(want)


@pytest.mark.parametrize('n', [64, 1500, 4000])
def test_gathered_rows_are_those_of_the_split_in_order(n):
  data = base('', {}).data
  data.name = 'digits'
  rows = load.table(data, 'train', None)
  parts = list(gather(lambda batch: {'label': batch['label']}, load.test(data, rows), n))
  assert np.array_equal(np.concatenate([p['label'] for p in parts]), rows.load()['label'])


@pytest.mark.slow
def test_of_a_run(sklearn, copied):
  said = []
  found = evaluate(copied, ['probe'], say=said.append)
  assert 0.2 < found['probe_accuracy'] < 1  # of a run of seconds; chance is 0.1
  assert said == ['probe: learns from the training split']


def test_what_is_missing_is_said_in_one_line(monkeypatch, sklearn):
  bare = Method(None, (), None, None, {})
  with pytest.raises(UserError, match='probe needs latents, which toy has not'):
    probe.make(bare, CONFIG)
  learner = probe.make(METHOD, CONFIG)
  with pytest.raises(UserError, match='probe needs labels, which digits has not'):
    learner.look(np.eye(5), {'image': jnp.zeros((2, 5, 1, 1))}, None)
  conditional = ConfigDict(CONFIG.to_dict() | {'model': {'conditional': True}})
  with pytest.raises(UserError, match='found with the label'):
    probe.make(METHOD, conditional)
  monkeypatch.setitem(sys.modules, 'sklearn.linear_model', None)
  with pytest.raises(UserError, match=r"probe needs scikit-learn: pip install '\.\[probe\]'"):
    probe.make(METHOD, CONFIG)
