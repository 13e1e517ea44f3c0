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
from vaejax.perceptual import compare, weights
from vaejax.runs.trained import TrainedRun
from vaejax.task_type import Pictures
from vaejax.tasks import translate
from vaejax.types import Method, State, Variables

ROOT = Path(__file__).parents[2]
DEFAULTS = {name: setting.default for name, setting in translate.SETTINGS.items()}
N = 12


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
    to_image=lambda v, batch, key: {'image': 1 - jnp.repeat(batch['source'], 3, axis=-1)},
    to_source=lambda v, batch, key: {'source': 1 - batch['image'][..., :1]},
  )


@cache
def conditional() -> Run:
  """A conditional VAE of a digit in a style, before its first step, with noise in its weights."""
  config = load_config(f'{ROOT}/configs/translate.py:smoke')
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


def test_true_translations_have_the_best_scores(monkeypatch):
  without_vgg = {name: way for name, way in compare.BETTER.items() if name != 'lpips_vgg'}
  monkeypatch.setattr(compare, 'BETTER', without_vgg)  # VGG16 takes long to compile
  monkeypatch.setattr(translate, 'PROBED', 300)
  run = exact()
  given = pictures.of_split(run, 'test', N)
  result, truth = apply(run, given, lpips_size=0), given.image
  np.testing.assert_allclose(np.asarray(result), truth[:, None], atol=0.003)  # 256 levels
  scores = {name: score.to_json() for name, score in result.scores.items()}
  ours, copy = scores['psnr'], scores['psnr']['baselines']['copy']
  assert ours['value'] > 60
  copied = given.fields['source'].repeat(3, axis=-1)
  assert copy['value'] == pytest.approx(float(np.mean(psnr(copied, truth))), rel=1e-4)
  assert copy['difference'] == pytest.approx(ours['value'] - copy['value'], rel=1e-5)
  assert scores['ssim']['value'] == pytest.approx(1, abs=1e-3)
  assert set(scores['psnr']['baselines']) == {'copy', 'nearest neighbour'}
  titles = ['plain', 'as inverted', 'true inverted', 'nearest\ntraining row']
  assert [title for title, _ in result.rows] == titles
  if weights.is_installed():
    assert scores['lpips_alex']['value'] == pytest.approx(0, abs=1e-3)
    # Inverted digits are easily told from plain ones.
    assert scores['probe']['value'] == 1 and scores['probe']['baselines']['copy']['value'] == 0
    assert scores['top1']['value'] == 1


def test_the_other_direction():
  run = exact()
  given = pictures.of_split(run, 'test', 4)
  result = apply(run, given._replace(split=''), reverse=True)
  np.testing.assert_allclose(np.asarray(result), given.fields['source'][:, None], atol=0.003)
  assert [title for title, _ in result.rows] == ['inverted', 'as plain', 'true plain']


def test_the_nearest_neighbour_is_a_training_row():
  run = exact()
  given = pictures.of_split(run, 'test', 5)
  found, how = translate.nearest_neighbour(run, given, given.fields['source'], settings())
  train = np.concatenate([part['image'] for part in given.train(None)])
  grey = translate.as_shape(train, (8, 8, 1))
  distances = np.square(given.fields['source'][:, None] - grey[None]).sum((2, 3, 4))
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
  x = np.random.default_rng(0).random((3, 8, 8, 1), np.float32)
  result, inverse = exact().translate(x), (1 - x).repeat(3, axis=-1)
  np.testing.assert_allclose(np.asarray(result)[:, 0], inverse, atol=0.032)  # 17 levels
  assert not result.scores and len(result.rows) == 2
  back = np.asarray(exact().translate(inverse, reverse=True))[:, 0]
  np.testing.assert_allclose(back, x, atol=0.032)


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


def test_no_version_of_a_seed_is_one_of_the_next():
  x = np.random.default_rng(0).random((2, 8, 8, 1)).astype(np.float32)
  given = Pictures(None, {'source': x})
  of_seed = lambda seed: translate.run(
    conditional(), given, settings(versions=3), seed, lambda *_: None
  )
  one, two = (np.asarray(of_seed(seed)) for seed in (2**32 - 2, 2**32 - 1))
  np.testing.assert_array_equal(one[:, 0], two[:, 0])  # the mean
  assert np.abs(one[:, 2] - two[:, 1]).max() > 1e-3


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
    'error: a run of vae does not translate. Train configs/translate.py with pairs, '
    'or configs/unit.py without\n'
  )
  with pytest.raises(UserError, match=r'in one direction\. Train another one, or configs/unit'):
    conditional().translate(np.zeros((1, 8, 8, 3), np.float32), reverse=True)
  with pytest.raises(UserError, match='has the shape'):
    exact().translate(np.zeros((1, 7, 8, 1), np.float32))
  assert tasks.reads(translate, exact(), settings(reverse=True)) == ('image', (8, 8, 3))
