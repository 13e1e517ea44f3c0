"""Classes and their scores: as a verb, by Bayes' rule and by a classifier."""

import copy
import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from untrained import untrained

from vaejax.api import tasks
from vaejax.api.files import read_rows
from vaejax.api.run import Run
from vaejax.errors import UserError
from vaejax.tasks import classify


@pytest.fixture
def cvae(tmp_path):
  """A run that is conditioned on the label, with its first weights."""
  return at(untrained('cvae.py:smoke'), tmp_path / 'cvae')


@pytest.fixture
def judge(tmp_path):
  """A run with a classifier, with its first weights."""
  return at(untrained('judge.py:smoke'), tmp_path / 'judge')


def at(run: Run, folder: Path) -> Run:
  """The run with a folder of this test."""
  run = copy.copy(run)
  run.folder = folder
  folder.mkdir()
  return run


@pytest.fixture(scope='module')
def rows():
  return next(read_rows(untrained('cvae.py:smoke'), 'test', 40))


def test_bayes_rule_of_a_run(cvae, rows):
  # log p(x|y) of one class is what log_prob gives for that label, by the same draws.
  x = rows['image'][:6]
  every = [cvae.log_prob(x, samples=7, label=np.full(6, k)) for k in range(10)]
  prior = np.arange(1.0, 11)
  joint = np.exp(np.stack(every, 1) - np.max(every, 0)[:, None]) * prior
  classes = cvae.classify(x, draws=7, class_prior=prior)
  np.testing.assert_allclose(classes, joint / joint.sum(1, keepdims=True), atol=1e-3)
  np.testing.assert_allclose(classes.sum(1), 1, rtol=1e-5)
  np.testing.assert_allclose(
    cvae.classify(x[:2], draws=7, class_prior=prior), classes[:2], atol=1e-5
  )
  assert not cvae.classify(x, draws=7, class_prior=np.eye(10)[3])[:, :3].any()


def test_arguments_of_bayes_rule(cvae, judge, rows):
  x = rows['image'][:2]
  wrong = ({'class_prior': [1, 2]}, {'class_prior': np.zeros(10)}, {'bound': 'iwae'}, {'draws': 0})
  texts = ['of each of 10 classes'] * 2 + ['Use importance or variational', 'draws=0']
  for arguments, text in zip(wrong, texts, strict=True):
    with pytest.raises(UserError, match=text):
      cvae.classify(x, **arguments)
  with pytest.raises(UserError, match='has a classifier'):
    judge.classify(x, class_prior=np.ones(10))


def test_scores_of_a_split(cvae):
  settings = {'draws': 2, 'bins': 5}
  paths, lines = tasks.write(cvae, 'classify', settings, n=40)
  assert lines[0].startswith('accuracy 0.') and {'.csv', '.png'} <= {p.suffix for p in paths}
  folder = cvae.folder / 'tasks'
  saved = json.loads((folder / 'classify.json').read_text())
  scores = saved['scores']
  probability = np.load(folder / 'classify_probability.npy')
  label = next(read_rows(cvae, 'test', 40))['label']
  assert scores['accuracy']['value'] == pytest.approx((probability.argmax(1) == label).mean())
  nll = -np.log(np.maximum(probability[np.arange(40), label], classify.TINY)).mean()
  assert scores['log_loss']['value'] == pytest.approx(nll, rel=1e-5)
  every = np.concatenate([part['label'] for part in read_rows(cvae, 'train', None)])
  share = np.bincount(every) / len(every)
  frequent = scores['accuracy']['baselines'][classify.FREQUENT]['value']
  assert frequent == pytest.approx((label == share.argmax()).mean())
  expected = -np.log(share[label]).mean()
  value = scores['log_loss']['baselines'][classify.FREQUENT]['value']
  assert value == pytest.approx(expected, rel=1e-6)
  # Embedded digits are easy for a linear model.
  assert scores['accuracy']['baselines'][classify.LOGISTIC]['value'] > 0.8
  assert scores['ece']['n'] == 40 and saved['protocol']['bins'] == 5
  assert Image.open(folder / 'classify.png').size[0] > 500


def test_predictions_of_pictures(judge, rows, tmp_path):
  pictures = tmp_path / 'pictures'
  pictures.mkdir()
  for i in range(3):
    x = np.round(rows['image'][i, ..., 0] * 255).astype(np.uint8)
    Image.fromarray(x).save(pictures / f'{i}.png')
  out = tmp_path / 'out.csv'
  tasks.write(judge, 'classify', {}, files=str(pictures), out=out)
  (head, *lines) = csv.reader(out.open())
  assert head[:2] == ['file', 'prediction'] and len(head) == 12
  assert [Path(line[0]).name for line in lines] == ['0.png', '1.png', '2.png']
  p = judge.classify(rows['image'][:3])
  np.testing.assert_allclose(np.array([line[2:] for line in lines], float), p, atol=2e-2)
  assert [int(line[1]) for line in lines] == p.argmax(1).tolist()
  assert out.with_suffix('.png').exists() and not (judge.folder / 'tasks').exists()


def test_a_run_that_cannot_classify(tmp_path):
  run = at(untrained('gan.py:smoke'), tmp_path / 'gan')
  with pytest.raises(UserError, match='a run of gan cannot classify'):
    tasks.write(run, 'classify', {})
  assert not list(run.folder.iterdir())


def test_scores_of_known_predictions():
  truth = np.array([0, 1, 1, 1])
  sure = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.2, 0.8]])
  scores = classify.score({'': sure, 'coin': np.full((4, 2), 0.5)}, truth, 10)
  assert scores['accuracy'].ours.tolist() == [1, 1, 0, 1]
  np.testing.assert_allclose(scores['log_loss'].ours, -np.log([0.9, 0.8, 0.4, 0.8]))
  np.testing.assert_allclose(scores['log_loss'].baselines['coin'], math.log(2))
  assert scores['ece'].ours.value == pytest.approx((0.1 + 0.6 + 2 * 0.2) / 4)
  assert scores['ece'].baselines['coin'].value == pytest.approx(0.25)


def test_a_baseline_has_as_many_labels_as_the_model():
  labels = np.array([0, 1, -1, 0, 1, 0, 1])
  assert classify.chosen_rows(labels, 0, 100).tolist() == [0, 1, 3, 4, 5, 6]
  assert classify.chosen_rows(labels, 4, 100).tolist() == [0, 1, 3, 4]
  assert classify.chosen_rows(labels, 0, 2).tolist() == [0, 6]
  parts = [{'image': np.arange(4)}, {'image': np.arange(4, 7)}]
  found = list(classify.rows_at(parts, np.array([0, 3, 4, 6]), 'image'))
  assert [x.tolist() for x in found] == [[0, 3], [4, 6]]
