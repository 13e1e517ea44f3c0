"""The probe learns from the training split's means, and is tested on those of the test split."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from run_eval import example_of, with_errors

from vaejax.config.base import base
from vaejax.core.passes import map_examples
from vaejax.data import sources, splits
from vaejax.errors import UserError
from vaejax.estimates import Estimate
from vaejax.evals import probe
from vaejax.evaluation.evaluate import evaluate
from vaejax.types import Latent, Method

CONFIG = ConfigDict(
  {
    'method': 'toy',
    'data': {'name': 'digits'},
    'model': {},
    'eval': {'probe': {'neighbours': 5}},
  }
)


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


EXAMPLE = example_of((5, 1, 1), label=jnp.int32)


def probed(turn, train, test, mask=None):
  full = lambda batch: {**batch, 'mask': jnp.ones(len(batch['label']))}
  test = full(test) if mask is None else {**test, 'mask': mask}
  return with_errors(probe.make(METHOD, CONFIG, EXAMPLE), turn, train=full(train), test=test)


@pytest.mark.parametrize('classes', [(0, 1, 2), (1, 2), (7, 3, 5, 0)])
def test_it_finds_what_a_line_separates(sklearn, classes):
  train, test = clouds(300, classes, 0.3), clouds(50, classes, 0.3, 1)
  mask = jnp.ones(50).at[40:].set(0)
  wrong = {**test, 'label': np.where(np.arange(50) < 10, 99, test['label'])}
  # The ten that are wrong count, the ten that are masked do not.
  found = probed(np.eye(5)[::-1], train, wrong, mask)
  want = Estimate(0.75, pytest.approx((0.75 * 0.25 / 39) ** 0.5), n=40)
  assert found == {'probe_accuracy': want, 'knn_accuracy': want}


def test_rows_without_a_label_are_left_out_and_told_of(sklearn):
  train, test = clouds(300, (0, 1, 2), 0.3), clouds(50, (0, 1, 2), 0.3, 1)
  hide = lambda x, n: {**x, 'label': np.where(np.arange(len(x['label'])) < n, -1, x['label'])}
  found = probed(np.eye(5), hide(train, 200), hide(test, 10))
  assert found['probe_accuracy'][::5] == (1, 40) and found['probe_unlabelled'] == Estimate(10)
  # Nothing to learn from, one class, and nothing to be tested on.
  for rows, line in (
    ((hide(train, 300), test), 'there are 0 classes and 50 rows'),
    ((clouds(300, (1,), 0.3), test), 'there are 1 classes and 50 rows'),
    ((train, hide(test, 50)), 'there are 3 classes and 0 rows'),
  ):
    with pytest.raises(UserError, match=line):
      probed(np.eye(5), *rows)


def test_it_says_what_scikit_learn_says(sklearn):
  from sklearn.linear_model import LogisticRegression

  train, test = clouds(200, (0, 1, 2), 3.0), clouds(100, (0, 1, 2), 3.0, 1)
  points = [np.float32(x['image'].reshape(-1, 5) @ np.eye(5)) for x in (train, test)]
  model = LogisticRegression(max_iter=1000).fit(points[0], train['label'])
  want = model.score(points[1], test['label'])
  found = probed(np.eye(5), train, test)
  assert 0.5 < want < 0.95 and found['probe_accuracy'][0] == pytest.approx(want)


@pytest.mark.parametrize('neighbours', [1, 5, 1000])
def test_neighbours_vote(sklearn, neighbours):
  """By all distances. With equal votes scikit-learn takes the first class, as argmax does."""
  train, test = clouds(200, (0, 1, 2), 3.0), clouds(100, (0, 1, 2), 3.0, 1)
  a, b = (x['image'].reshape(-1, 5) for x in (train, test))
  nearest = np.argsort(np.linalg.norm(b[:, None] - a, axis=-1), axis=1)[:, :neighbours]
  votes = np.eye(3)[train['label'][nearest]].sum(1)
  want = np.mean(votes.argmax(1) == test['label'])
  config = ConfigDict(CONFIG.to_dict() | {'eval': {'probe': {'neighbours': neighbours}}})
  full = lambda batch: {**batch, 'mask': jnp.ones(len(batch['label']))}
  e = probe.make(METHOD, config, EXAMPLE)
  got = with_errors(e, np.eye(5), train=full(train), test=full(test))['knn_accuracy']
  assert got.value == pytest.approx(want)
  assert got.error == pytest.approx(np.sqrt(want * (1 - want) / 99))


@pytest.mark.parametrize('n', [64, 1500, 4000])
def test_gathered_rows_are_those_of_the_split_in_order(n):
  data = base('', {}).data
  data.name = 'digits'
  rows = splits.table(data, 'train', None)
  parts = list(map_examples(lambda batch: {'label': batch['label']}, sources.test(data, rows), n))
  assert np.array_equal(np.concatenate([p['label'] for p in parts]), rows.load()['label'])


@pytest.mark.slow
def test_of_a_run(sklearn, copied):
  message = []
  found, skipped, _ = evaluate(copied, ['probe'], log=message.append)
  assert 0.2 < found['probe_accuracy'][0] < 1  # of a run of seconds; chance is 0.1
  assert not message and not skipped


def test_what_is_missing_is_said_in_one_line(monkeypatch, sklearn):
  bare = Method(None, (), None, None, {})
  with pytest.raises(UserError, match="probe eval needs latents, but the method 'toy' has none"):
    probe.make(bare, CONFIG, EXAMPLE)
  with pytest.raises(UserError, match="probe eval needs labels, but the dataset 'digits' has none"):
    probe.make(METHOD, CONFIG, example_of((5, 1, 1)))
  conditional = METHOD._replace(latent=Latent(None, None, None, conditions=('label',)))
  with pytest.raises(UserError, match=r'posterior .* is already given the label'):
    probe.make(conditional, CONFIG, EXAMPLE)
  monkeypatch.setitem(sys.modules, 'sklearn.linear_model', None)
  with pytest.raises(UserError, match=r"scikit-learn.*Run pip install -e '\.\[probe\]'"):
    probe.make(METHOD, CONFIG, EXAMPLE)
