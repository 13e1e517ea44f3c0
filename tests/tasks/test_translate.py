"""Translation by models whose translations are known, and by a conditional VAE; refusals."""

from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.api import pictures, tasks
from vaejax.api.run import Run
from vaejax.cli.main import main
from vaejax.config.load import load_config
from vaejax.core import factory
from vaejax.data import sources, splits
from vaejax.errors import UserError
from vaejax.metrics.similarity import psnr
from vaejax.perceptual import weights
from vaejax.runs.trained import TrainedRun
from vaejax.tasks import translate
from vaejax.types import Method, State, Variables

ROOT = Path(__file__).parents[2]
DEFAULTS = {name: setting.default for name, setting in translate.SETTINGS.items()}
N = 24


def known(**predict) -> Run:
  """A run on plain and inverted digits with the translations of `predict`."""
  config = load_config(f'{ROOT}/configs/unit.py:smoke')
  example = sources.example(config.data, splits.table(config.data, 'train', None))
  method = Method(None, (), None, None, predict)
  state = State(jnp.zeros((), int), jax.random.key(0), Variables({}, {}), {}, None, {})
  return Run(TrainedRun(Path('w'), config, example, None, method, state, {}), 'raw')


def exact() -> Run:
  """The run whose translations are the true ones."""
  return known(
    to_image=lambda v, batch, key: {'image': 1 - batch['source']},
    to_source=lambda v, batch, key: {'source': 1 - batch['image']},
  )


@cache
def conditional() -> Run:
  """A conditional VAE of a digit in a style, before its first step, with noise in its weights."""
  config = load_config(f'{ROOT}/configs/paired.py:smoke')
  example = sources.example(config.data, splits.table(config.data, 'train', None))
  method = factory.make_method(config, example)
  state = jax.jit(lambda: factory.initial_state(method, config, example))()
  leaves, tree = jax.tree.flatten(state.variables.params)
  keys = jax.random.split(jax.random.key(1), len(leaves))
  noisy = [x + 0.1 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
  variables = state.variables.replace(params=jax.tree.unflatten(tree, noisy))
  state = state.replace(variables=variables, ema=variables)
  return Run(TrainedRun(Path('w'), config, example, None, method, state, {}), 'ema')


def settings(**given):
  return DEFAULTS | given


def apply(run, given, **values):
  return translate.run(run, given, settings(**values), 0, lambda done, total: None)


@pytest.mark.parametrize('reverse', [False, True])
def test_true_translations_have_the_best_scores(reverse):
  run = exact()
  given = pictures.of_split(run, 'test', N)
  result = apply(run, given, reverse=reverse)
  x, y = given.fields['source'], given.image
  x, y = (y, x) if reverse else (x, y)
  np.testing.assert_allclose(np.asarray(result), y[:, None], atol=1e-6)
  scores = {name: score.to_json() for name, score in result.scores.items()}
  assert scores['psnr']['value'] == 100
  copy = scores['psnr']['baselines']['copy']
  assert copy['value'] == pytest.approx(float(np.mean(psnr(x, y))), rel=1e-5)
  assert copy['difference'] == pytest.approx(100 - copy['value'], rel=1e-5)
  assert scores['ssim']['value'] == pytest.approx(1, abs=1e-5)
  assert set(scores['psnr']['baselines']) == {'copy', 'nearest neighbour'}
  if weights.is_installed():
    assert scores['lpips_alex']['value'] == pytest.approx(0, abs=1e-6)
    # Inverted digits are easily told from plain ones.
    assert scores['probe']['value'] == 1 and scores['probe']['baselines']['copy']['value'] == 0
    assert scores['top1']['value'] == 1
  titles = [title for title, _ in result.rows]
  names = ['inverted', 'plain'] if reverse else ['plain', 'inverted']
  assert titles == [names[0], f'as {names[1]}', f'true {names[1]}', 'nearest\ntraining row']


def test_the_nearest_neighbour_is_a_training_row():
  run = exact()
  given = pictures.of_split(run, 'test', 5)
  found, how = translate.nearest_neighbour(run, given, given.fields['source'], settings())
  train = np.concatenate([part['image'] for part in given.train(None)])
  distances = np.square(given.fields['source'][:, None] - train[None]).sum((2, 3, 4))
  np.testing.assert_array_equal(found, train[distances.argmin(1)])
  assert 'nearest to the input' in how
  paired = exact()
  with paired.config.unlocked():
    paired.config.data.paired = True
  given = pictures.of_split(paired, 'test', 5)
  found, how = translate.nearest_neighbour(paired, given, given.fields['source'], settings())
  parts = list(given.train(None))
  train, targets = (np.concatenate([p[k] for p in parts]) for k in ('source', 'image'))
  distances = np.square(given.fields['source'][:, None] - train[None]).sum((2, 3, 4))
  np.testing.assert_array_equal(found, targets[distances.argmin(1)])
  assert 'target of the nearest input' in how


def test_a_users_pictures_have_no_score():
  x = np.random.default_rng(0).random((3, 8, 8, 3), np.float32)
  result = exact().translate(x)
  np.testing.assert_allclose(np.asarray(result)[:, 0], 1 - x, atol=1e-6)
  assert not result.scores and len(result.rows) == 2
  np.testing.assert_allclose(np.asarray(exact().translate(x, reverse=True))[:, 0], 1 - x, atol=1e-6)


def test_versions_of_a_conditional_vae():
  run = conditional()
  x = pictures.of_split(run, 'test', 3).fields['source']
  given = pictures.of_arrays(run, 'source', x.shape[1:], x, {})
  first, again = (np.asarray(apply(run, given, versions=3)) for _ in range(2))
  np.testing.assert_array_equal(first, again)
  assert first.shape == (3, 3, *run.example.fields['image'].shape)
  assert np.abs(first[:, 1] - first[:, 2]).max() > 1e-4
  still = np.asarray(apply(run, given, versions=3, temperature=0.0))
  np.testing.assert_allclose(still, first[:, :1].repeat(3, axis=1), atol=1e-6)


def test_flips_make_it_symmetric():
  """With flips, the translation of the mirrored picture is the mirrored translation."""
  run = conditional()
  x = pictures.of_split(run, 'test', 3).fields['source']
  of = lambda x, **how: np.asarray(
    apply(run, pictures.of_arrays(run, 'source', x.shape[1:], x, {}), versions=1, **how)
  )[:, 0]
  mirrored = x[:, :, ::-1]
  np.testing.assert_allclose(of(mirrored, flips=True), of(x, flips=True)[:, :, ::-1], atol=1e-5)
  assert np.abs(of(mirrored) - of(x)[:, :, ::-1]).max() > 1e-4


def test_rows_are_chosen_by_factors():
  run = exact()
  run.example = run.example._replace(factors=(('tone', 3), ('hat', 2)))
  factors = np.array([[0, 1], [2, 0], [2, 1], [1, 1]])
  given = pictures.Pictures(np.zeros((4, 8, 8, 3)), {'factors': factors})
  assert translate.chosen(run, given, '').tolist() == [0, 1, 2, 3]
  assert translate.chosen(run, given, 'tone=2').tolist() == [1, 2]
  assert translate.chosen(run, given, 'tone=2,hat=1').tolist() == [2]
  for where, text in (
    ('ton=2', "no factor 'ton' .did you mean 'tone'"),
    ('tone=dark', "'dark' is not a whole number"),
    ('tone=0,hat=0', 'leaves none of 4 rows'),
  ):
    with pytest.raises(UserError, match=text):
      translate.chosen(run, given, where)


def test_a_copy_has_the_shape_of_the_target():
  grey = np.linspace(0, 1, 32, dtype=np.float32).reshape(2, 4, 4, 1)
  colour = translate.as_shape(grey, (4, 4, 3))
  np.testing.assert_array_equal(colour, grey.repeat(3, axis=-1))
  np.testing.assert_allclose(translate.as_shape(colour, (4, 4, 1)), grey, atol=0.003)  # 256 levels
  larger = translate.as_shape(np.full((2, 4, 4, 3), 0.3, np.float32), (8, 8, 3))
  np.testing.assert_allclose(larger, np.full((2, 8, 8, 3), 0.3), atol=1e-6)


def test_refusals(copied, capsys):
  assert main(['translate', f'--workdir={copied}']) == 2
  shown = capsys.readouterr().err
  assert shown == (
    'error: a run of vae does not translate. Train configs/paired.py with pairs or '
    'configs/unit.py without\n'
  )
  with pytest.raises(UserError, match=r'in one direction\. Train another one, or configs/unit'):
    conditional().translate(np.zeros((1, 8, 8, 3), np.float32), reverse=True)
  with pytest.raises(UserError, match='has the shape'):
    exact().translate(np.zeros((1, 7, 8, 3), np.float32))
  assert tasks.reads(translate, exact(), settings(reverse=True)) == ('image', (8, 8, 3))
