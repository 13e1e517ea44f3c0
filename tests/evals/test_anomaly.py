"""The anomaly eval: which rows are outliers, and that its values are those of the scores."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from run_eval import example_of, values, with_errors

from vaejax import scores
from vaejax.cli.main import main
from vaejax.config.load import load_config
from vaejax.core import factory
from vaejax.data import sources, splits
from vaejax.data.subset import subset
from vaejax.errors import UserError
from vaejax.evals import anomaly
from vaejax.evaluation.evals import make_evals
from vaejax.metrics.detection import detection

ROWS = 60
FIELDS = {'eval.anomaly.draws': '2', 'eval.anomaly.samples': '3'}


class Case:
  """An untrained run, and its test rows as a batch."""

  def __init__(self, stem='anomaly:digits', **settings):
    stem, _, words = stem.partition(':')
    settings = {**FIELDS, **{k.replace('__', '.'): x for k, x in settings.items()}}
    self.config = load_config(f'configs/{stem}.py:{words},smoke', settings.items())
    rows = subset(splits.table(self.config.data, 'test', None), np.arange(ROWS))
    self.method = factory.make_method(self.config, sources.example(self.config.data, rows))
    source = sources.test(self.config.data, rows)
    self.example = source.example
    state = jax.jit(lambda: factory.initial_state(self.method, self.config, self.example))()
    self.variables, self.hyper = state.variables, state.hyper
    self.batch = source.rows(next(source.blocks(ROWS)), jnp.arange(ROWS))

  def eval(self):
    evals, _ = make_evals(('anomaly',), self.config, self.method, self.example)
    return evals['anomaly']

  def values(self, mask=None, hyper=None):
    batch = {**self.batch, 'mask': jnp.ones(ROWS) if mask is None else mask}
    return values(self.eval(), self.variables, self.hyper | (hyper or {}), test=batch)

  def expected(self, is_outlier, mask=None):
    of_rows = jax.jit(scores.make(self.method, 2, 3))(self.variables, self.batch)
    kept = np.ones(ROWS, bool) if mask is None else np.asarray(mask) > 0
    flag = np.asarray(is_outlier)
    result = {}
    for name, x in jax.device_get(of_rows).items():
      found = detection(x[kept & flag], x[kept & ~flag])
      result |= {f'{kind}_{name}': estimate.value for kind, estimate in found.items()}
    return result


def check(found, case, is_outlier, mask=None):
  want = case.expected(is_outlier, mask)
  assert len(want) == 18
  for name, value in want.items():
    # float32 scores of another program may swap two neighbours.
    assert found[name] == pytest.approx(value, abs=0.01), name


def test_outliers_are_the_class_that_is_left_out(project):
  case = Case(hyper__left_out='3')
  label = np.asarray(case.batch['label'])
  mask = jnp.arange(ROWS) < 50
  found = case.values(mask)
  check(found, case, label == 3, mask)
  assert found['anomaly_outliers'] == np.sum(label[:50] == 3)
  assert found['anomaly_inliers'] == np.sum(label[:50] != 3)
  # Of a member of a sweep it is the member's own.
  other = case.values(hyper={'left_out': jnp.float32(5)})
  check(other, case, label == 5)


def test_outliers_can_be_a_class_or_the_value_of_a_factor(project):
  case = Case('vae:digits', eval__anomaly__label='7')
  check(case.values(), case, np.asarray(case.batch['label']) == 7)
  case = Case('vae:shapes', eval__anomaly__label='scale=2')
  check(case.values(), case, np.asarray(case.batch['factors'])[:, 1] == 2)
  case.example = case.example._replace(factors=(('shape', 3), ('scale', 6), ('turn', 40)))
  case.config.eval.anomaly.label = 'scale=2'
  check(case.values(), case, np.asarray(case.batch['factors'])[:, 1] == 2)


def test_rows_without_a_label_are_left_out(project):
  case = Case(hyper__left_out='3')
  label = np.asarray(case.batch['label'])
  known = np.arange(ROWS) % 7 != 0
  case.batch = {**case.batch, 'label': jnp.where(known, label, -1)}
  found = case.values()
  assert found['anomaly_outliers'] == np.sum(known & (label == 3))
  assert found['anomaly_inliers'] == np.sum(known & (label != 3))
  case.batch = {**case.batch, 'label': jnp.full(ROWS, -1)}
  with pytest.raises(UserError, match='needs outliers and inliers, but there are 0 and 0 tested'):
    case.values()


@pytest.mark.parametrize(
  ('stem', 'settings', 'message'),
  [
    ('vae:digits', {}, 'this run left out no class'),
    ('vae:digits', {'eval__anomaly__label': 'cat'}, 'cat'),
    ('vae:digits', {'eval__anomaly__label': 'shape=1'}, "'shape=1' is not a factor of the data"),
    ('vae:shapes', {'eval__anomaly__label': 'colour=1'}, 'Use one of shape, scale'),
    ('gan:digits', {'eval__anomaly__label': '3'}, "the method 'gan' has none"),
    (
      'anomaly:digits',
      {'eval__anomaly__label': '3', 'eval__anomaly__outliers': 'shapes'},
      'exclude each other',
    ),
    ('cvae:digits', {'eval__anomaly__outliers': 'shapes'}, 'which this conditional run needs'),
    ('anomaly:digits', {'eval__anomaly__background': 'nowhere'}, 'nowhere'),
  ],
)
def test_what_does_not_fit_is_one_line(project, stem, settings, message):
  with pytest.raises(UserError, match=message):
    Case(stem, **settings).eval()


def test_data_without_labels(project):
  case = Case()
  with pytest.raises(UserError, match='needs labels or factors'):
    anomaly.make(case.method, case.config, example_of((8, 8, 1)))


def test_a_score_that_is_not_finite_for_a_row_has_a_note(project, monkeypatch):
  case, names = Case(hyper__left_out='3'), ['kl', 'recon']
  finite = scores.make

  def make(method, draws, samples):
    """The scores `names` of two rows are not finite."""
    score, bad = finite(method, draws, samples), jnp.arange(ROWS) < 2
    spoilt = lambda name, x: jnp.where(bad & (name in names), jnp.nan, x)
    return lambda v, batch: {name: spoilt(name, x) for name, x in score(v, batch).items()}

  monkeypatch.setattr(scores, 'make', make)
  batch = {**case.batch, 'mask': jnp.ones(ROWS)}
  found = with_errors(case.eval(), case.variables, case.hyper, test=batch)
  assert 'auroc_kl' not in found and 'auroc_squared_error' in found
  note = 'recon is not finite for 2 of 60 rows; kl is not finite for 2 of 60 rows'
  assert found['anomaly_outliers'].note == note
  names[:] = scores.NAMES
  with pytest.raises(
    UserError, match='no score is finite: neg_elbo is not finite for 2 of 60 rows'
  ):
    case.values()


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """A run without class 3, and a background sweep of members without 2 and 3."""
  folder = tmp_path_factory.mktemp('anomaly')
  config = 'configs/anomaly.py:digits,smoke,batch_size=11'
  assert main(['train', f'--config={config},left_out=3', f'--workdir={folder}/run']) == 0
  sweep = ['sweep', f'--config={config},background', '--grid', 'left_out=2,3']
  assert main([*sweep, f'--workdir={folder}/sweep']) == 0
  sweep[-1] = 'left_out=2'
  assert main([*sweep, f'--workdir={folder}/one']) == 0
  plain = 'configs/vae.py:digits,smoke,batch_size=11'
  assert main(['train', f'--config={plain}', f'--workdir={folder}/all']) == 0
  return folder


@pytest.mark.slow
def test_another_data_set_and_a_background(project, runs, capsys):
  import vaejax

  settings = {'anomaly.outliers': 'shapes', 'anomaly.background': f'{runs}/sweep'}
  settings |= {'anomaly.draws': 2, 'anomaly.samples': 4}
  found = vaejax.evaluate(runs / 'run', 'anomaly', settings=settings)
  assert found['anomaly_inliers'].value == 297
  run = vaejax.load(runs / 'run')
  data = run.config.data.copy_and_resolve_references()
  data.update({'name': 'shapes', 'size': 8, 'channels': 1})
  shapes = splits.table(data, 'test', None)
  assert found['anomaly_outliers'].value == shapes.size
  inside = splits.table(run.config.data, 'test', None).load()['image']
  outside = np.asarray(shapes.fetch(np.arange(shapes.size))['image'])
  both = vaejax.load(runs / 'sweep', member=1)
  assert both.config.hyper.left_out == 3
  of = lambda x: run.score(x, draws=2, samples=4, background=both)
  outer, inner = of(outside), of(inside)
  for name in (*scores.NAMES, scores.RATIO):
    want = detection(outer[name], inner[name])
    assert found[f'auroc_{name}'].value == pytest.approx(want['auroc'].value, abs=0.002), name


@pytest.mark.slow
def test_a_background_sweep_must_have_left_out_the_same_class(project, runs):
  background = {'eval__anomaly__background': f'{runs}/sweep'}
  with pytest.raises(UserError, match='has no member that left out the same class'):
    Case(hyper__left_out='5', **background).eval()
  with pytest.raises(UserError, match='has no member that left out the same class'):
    Case('vae:digits', eval__anomaly__label='5', **background).eval()
  case = Case(hyper__left_out='3', **background)
  assert 'auroc_ratio' in case.values()
  # A member of a stack whose class no background model left out.
  assert 'auroc_ratio' not in case.values(hyper={'left_out': jnp.float32(4)})


@pytest.mark.slow
def test_a_single_background_model_must_have_left_out_the_same_class(project, runs):
  for folder, other in (('one', '2'), ('sweep/members/1', '3'), ('run', '3')):
    background = {'eval__anomaly__background': f'{runs}/{folder}'}
    with pytest.raises(UserError, match=r'has not left out the same class .* left out class 5'):
      Case(hyper__left_out='5', **background).eval()
    with pytest.raises(UserError, match=r'has not left out the same class .* left out nothing'):
      Case('vae:digits', eval__anomaly__label='5', **background).eval()
    case = Case(hyper__left_out=other, **background)
    assert case.eval().protocol['background_left_out'] == 'the same class'
    assert 'auroc_ratio' in case.values()
    assert 'auroc_ratio' not in case.values(hyper={'left_out': jnp.float32(4)})
  # One that left out nothing fits all, and the protocol says so.
  case = Case(hyper__left_out='5', eval__anomaly__background=f'{runs}/all')
  assert case.eval().protocol['background_left_out'] == 'nothing'
  assert 'auroc_ratio' in case.values()
