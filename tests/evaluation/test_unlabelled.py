"""Rows without a label in the tested split: left out, and what needs one is skipped with a line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from vaejax.core.batch_program import draw_samples
from vaejax.core.devices import make_mesh
from vaejax.core.passes import make_pass
from vaejax.data import source
from vaejax.data.labels import Count
from vaejax.data.table import of_arrays
from vaejax.errors import UserError
from vaejax.eval_type import Eval
from vaejax.evals import elbo
from vaejax.evaluation.evals import fit_split
from vaejax.training.checks import check_labels
from vaejax.types import Example, Latent, Method

CONFIG = ConfigDict(
  {'method': 'toy', 'data': {'name': 'set'}, 'model': {}, 'hyper': {}, 'evals': ('elbo',)}
  | {'eval': {'elbo': {'draws': 2}}}
)
LATENT = Latent(None, None, None, conditions=('label',))


def init(key, batch):
  return {}


def conditional_metrics(v, batch, key, hyper):
  # As an index, a label of -1 would be that of the last class.
  return {'elbo': jnp.asarray([1.0, 20.0, 300.0])[batch['label']] + batch['image'].sum((1, 2, 3))}


def metrics(v, batch, key, hyper):
  found = {'elbo': batch['image'].sum((1, 2, 3))}
  if 'label' in batch:
    found['accuracy'] = jnp.where(batch['label'] < 0, jnp.nan, batch['label'] == 1)
  return found


CONDITIONAL = Method(init, (), None, conditional_metrics, {}, given=('label',), latent=LATENT)
CLASSIFIER = Method(init, (), None, metrics, {'classify': None})


def split_of(label):
  label = np.asarray(label, np.int32)
  image = np.arange(len(label) * 4, dtype=np.uint8).reshape(-1, 2, 2, 1)
  return source.make(of_arrays({'image': image, 'label': label}, 3, 'set test'), 1)


def evaluate(method, label, n=3, members=0, limit=0):
  split, mesh = split_of(label), make_mesh(devices=jax.devices()[:1])
  e = elbo.make(method, CONFIG, split.example)._replace(limit=limit)
  variables = {'x': jnp.zeros(members)} if members else {}
  one = make_pass({'elbo': e}, method, split, n, mesh, stacked=bool(members))
  hyper = {'beta': jnp.zeros(members)} if members else {}
  found, _ = one.finish(one.start(variables, hyper, jax.random.key(0)))
  return [values['elbo'] for values in found]


@pytest.mark.parametrize('method', [CONDITIONAL, CLASSIFIER])
@pytest.mark.parametrize('n', [3, 7, 20])
def test_values_are_those_of_the_labelled_rows(method, n):
  label = np.array([0, -1, 1, -1, -1, 2, 1])
  image = np.arange(28).reshape(7, 4).sum(1) / 255
  kept = label >= 0
  (found,) = evaluate(method, label, n)
  if method is CONDITIONAL:
    want = np.array([1.0, 20.0, 300.0])[label[kept]] + image[kept]
    assert found['elbo'][:2] == pytest.approx((want.mean(), want.std(ddof=1) / 2), rel=1e-5)
  else:  # only what needs a label leaves rows out
    assert found['elbo'][0] == pytest.approx(image.mean(), rel=1e-5)
    assert found['accuracy'][:2] == pytest.approx((0.5, np.sqrt(0.25 / 3)))
    assert (found['elbo'].n, found['accuracy'].n) == (7, 4)
  (all_labelled,) = evaluate(method, label[kept], n)
  assert set(all_labelled) == set(found)


@pytest.mark.parametrize(('members', 'limit'), [(0, 0), (2, 0), (0, 2)])
def test_no_labelled_row_gives_no_value(members, limit):
  label = [-1] * 4 if not limit else [-1, -1, 1, 1]
  assert evaluate(CONDITIONAL, label, members=members, limit=limit) == [{}] * max(1, members)
  if not limit:
    assert [set(values) for values in evaluate(CLASSIFIER, label, members=members)] == (
      [{'elbo'}] * max(1, members)
    )


def test_a_sample_of_a_row_without_a_label_is_given_one():
  label = jnp.asarray([-1] * 300 + [2] * 5)
  method = Method(None, (), lambda v, key, n, given: {'image': given['label']}, None, {})
  method = method._replace(given=('label',))
  example = Example({}, 3)
  found = draw_samples(method, {}, {'label': label, 'mask': label}, jax.random.key(0), example)
  assert np.bincount(found['label'][:300]).min() > 70 and found['label'][300:].tolist() == [2] * 5
  assert found['image'].tolist() == found['label'].tolist()


def fitted(method, *labels, evals=None):
  example = split_of([0]).example
  evals = evals or {'elbo': elbo.make(method, CONFIG, example)}
  return fit_split(evals, CONFIG, method, example, 'test', labels)


def test_what_a_split_without_labels_cannot_have_is_skipped_with_a_line():
  none, some, full = Count(4, 0), Count(4, 3), Count(4, 4)
  for method in (CONDITIONAL, CLASSIFIER):
    for count in (full, None):
      found, *lines = fitted(method, count, full)
      assert list(found) == ['elbo'] and lines == [[], []]
    assert fitted(method, some, full)[2] == [
      '1 of 4 rows of test have no label: values that need one leave them out'
    ]
  found, lines, _ = fitted(CONDITIONAL, none, full)
  assert not found and lines == [
    'elbo is skipped: toy is given the label, and no row of test has one'
  ]
  found, _, notes = fitted(CLASSIFIER, none, full)
  assert found['elbo'].names() == ['elbo'] and '4 of 4 rows of test have no label' in notes[0]
  only = CLASSIFIER._replace(
    metrics=lambda *x: {k: v for k, v in metrics(*x).items() if k != 'elbo'}
  )
  assert fitted(only, none, full) == (
    {},
    ['elbo is skipped: the elbo eval needs labels for toy, but the data has none (on test)'],
    [],
  )
  # Samples need no labels of the split.
  samples = Eval({'samples': None}, None, lambda: ['s'])
  assert fitted(CONDITIONAL, full, full, evals={'own': samples})[0] == {'own': samples}


def test_training_that_needs_labels_is_refused_without_them():
  check = lambda method, count: check_labels(CONFIG, method, 'set train', count)
  for method in (CONDITIONAL, CLASSIFIER):
    check(method, Count(4, 4))
    check(method, None)
  check(CLASSIFIER, Count(4, 1))
  check(Method(init, (), None, metrics, {}), Count(4, 0))
  with pytest.raises(UserError, match='3 of 4 rows of set train have no label, but model'):
    check(CONDITIONAL, Count(4, 1))
  with pytest.raises(UserError, match='toy needs labels, but no row of set train has one'):
    check(CLASSIFIER, Count(4, 0))
