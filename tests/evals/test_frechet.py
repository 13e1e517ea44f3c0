"""Distances of features: of a judge and methods with known features, and of VGG16."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from run_eval import example_of, with_errors

from vaejax.config import eval_settings
from vaejax.config.load import load_config
from vaejax.core.devices import make_mesh
from vaejax.core.passes import make_pass
from vaejax.data import source
from vaejax.data.arrays import tables
from vaejax.errors import UserError
from vaejax.eval_type import Eval
from vaejax.evals import fid, frechet, frechet_vgg16, kernel, kernel_vgg16, kid, precision_recall
from vaejax.evaluation import features
from vaejax.evaluation.evals import make_protocol
from vaejax.evaluation.judges import Judge
from vaejax.metrics import frechet as frechet_metric
from vaejax.metrics import kernel as kernel_metric
from vaejax.metrics.manifold import manifold
from vaejax.perceptual import inception_weights, weights
from vaejax.types import Example, Method, Variables

SHAPE = (2, 3, 1)
EXAMPLE = example_of(SHAPE)
NAMES = 'frechet', 'frechet_vgg16', 'fid', 'kernel', 'kernel_vgg16', 'kid', 'precision_recall'
RANDOM = np.random.default_rng(0)


def config(**settings):
  """A config with the settings of all evals; `settings` are eval.NAME sections."""
  fields = {'method': 'toy', 'evals': NAMES, 'data': {'name': 'mnist', 'binarise': 'none'}}
  made = ConfigDict(fields | {'eval': {}})
  eval_settings.add(made)
  made.eval.update(settings)
  return made


@pytest.fixture
def judge(monkeypatch):
  """The judge that the evals get: its features are the pixels."""

  def classify(variables, batch, key):
    pixels = batch['image'].reshape(-1, 6)
    return {'logits': pixels, 'probability': pixels, 'features': pixels}

  example = Example({'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}, 6)
  method = Method(None, (), None, None, {'classify': classify})
  one = Judge('mnist', example, method, None, 0.9, 'c' * 64, 'it', None, None, np.ones(6) / 6)
  monkeypatch.setattr(features.judges, 'find', lambda named, data, labelled=True: one)


def no_judge(named, data, labelled=True):
  raise UserError('there is no judge')


def toy(sample=lambda *_: None):
  return Method(None, (), sample, None, {})


def streams(n=80, train=200, shape=SHAPE):
  """Batches of images in [0, 1]: of samples, which are darker, of the tested and of the training
  split."""
  sizes = {'samples': n, 'test': n, 'train': train}
  images = {
    k: RANDOM.uniform(0, 0.8 if k == 'samples' else 1, (m, *shape)) for k, m in sizes.items()
  }
  return {
    name: {'image': jnp.asarray(x, jnp.float32), 'mask': jnp.ones(len(x))}
    for name, x in images.items()
  }


def flat(batch, every=1):
  return np.asarray(batch['image'], np.float64).reshape(-1, 6)[::every]


def test_the_distance_of_samples_and_its_floor_of_equal_numbers_of_rows(judge):
  e, given = frechet.make(toy(), config(), EXAMPLE), streams()
  got = with_errors(e, **given)
  assert set(got) == {'frechet_mnist', 'frechet_mnist_floor'} == set(e.names()) and e.spaced
  test = flat(given['test'])
  want = frechet_metric.between(flat(given['samples']), test).value
  floor = frechet_metric.between(flat(given['train'], 2)[:80], test).value
  assert got['frechet_mnist'].value == pytest.approx(want, rel=1e-6) and want > 2 * floor
  assert got['frechet_mnist_floor'].value == pytest.approx(floor, rel=1e-6)
  assert got['frechet_mnist'].error > 0 and got['frechet_mnist'].interval
  assert e.protocol['judge_checksum'] == 'c' * 16


def test_a_small_training_split_has_a_note(judge):
  e = frechet.make(toy(), config(), EXAMPLE)
  got = with_errors(e, **streams(train=40))
  assert (
    got['frechet_mnist_floor'].note == 'of 40 rows each, all the training rows that it was given'
  )
  assert got['frechet_mnist'].note == ''


def test_the_kernel_distance(judge):
  e, given = kernel.make(toy(), config(), EXAMPLE), streams()
  got = with_errors(e, **given)
  want = kernel_metric.between(flat(given['samples']), flat(given['test']))
  assert got['kernel_mnist'].value == pytest.approx(want.value, rel=1e-6)
  assert got['kernel_mnist'].note == 'subsets of 40, because there are 80 rows'
  assert set(got) == {'kernel_mnist', 'kernel_mnist_floor'}


def test_precision_and_recall(judge):
  e, given = precision_recall.make(toy(), config(), EXAMPLE), streams()
  del given['train']
  got = with_errors(e, **given)
  terms = manifold(flat(given['test']), flat(given['samples']))
  assert got['precision_mnist'].value == pytest.approx(terms.precision.mean())
  assert got['coverage_mnist'].value == pytest.approx(terms.coverage.mean())
  error = terms.density.std(ddof=1) / np.sqrt(80)
  assert got['density_mnist'].error == pytest.approx(error) and got['recall_mnist'].error >= 0
  assert e.limit == 10_000


def test_the_features_of_precision_and_recall_are_the_best_that_are_there(judge, monkeypatch):
  named = lambda **settings: set(precision_recall.make(toy(), config(**settings), EXAMPLE).names())
  assert 'recall_pixels' in named(precision_recall={'features': 'pixels'})
  monkeypatch.setattr(features.judges, 'find', no_judge)
  monkeypatch.setattr(weights, 'is_installed', lambda: False)
  assert named() == {f'{x}_pixels' for x in ('precision', 'recall', 'density', 'coverage')}
  with pytest.raises(UserError, match='there is no judge'):
    named(precision_recall={'workdir': 'runs/j'})
  with pytest.raises(UserError, match=r"features='other' is unknown. Choose one of auto, judge"):
    named(precision_recall={'features': 'other'})


@pytest.mark.parametrize(
  ('module', 'n', 'least'), [(precision_recall, 5, 6), (frechet, 1, 2), (kernel, 1, 2)]
)
def test_rows_that_are_too_few(judge, module, n, least):
  e = module.make(toy(), config(), EXAMPLE)
  of = lambda n: {name: x for name, x in streams(n=n).items() if name in e.extract}
  with pytest.raises(UserError, match=f'needs {least} (tested|training) rows|samples or more'):
    with_errors(e, **of(n))
  assert all(np.isfinite(x.value) for x in with_errors(e, **of(least)).values())


@pytest.mark.skipif(not weights.is_installed(), reason='needs the extra perceptual')
def test_features_of_vgg16_are_shared():
  small = config(frechet_vgg16={'resamples': 0}, kernel_vgg16={'subsets': 2})
  example = example_of((20, 16, 3))
  made = [module.make(toy(), small, example) for module in (frechet_vgg16, kernel_vgg16)]
  given = streams(6, 6, (20, 16, 3))
  rows = [e.extract['test'](None, given['test'], None, {})[1] for e in made]
  assert rows[0].keys() == rows[1].keys() == {'vgg16_features'}
  assert rows[0]['vgg16_features'].shape == (6, 512)
  got = with_errors(made[0], **given)
  assert got['frechet_vgg16'].value > 0 and 'fid' not in ' '.join(got)
  assert got['frechet_vgg16'].note == '6 rows for 512 features: the covariance is singular'
  assert set(with_errors(made[1], **given)) == {'kernel_vgg16', 'kernel_vgg16_floor'}


def test_fid_needs_the_weights_that_define_it(tmp_path):
  for module, name in ((fid, 'fid'), (kid, 'kid')):
    with pytest.raises(UserError, match=r'Get pt_inception-2015-12-05-6726825d.pth from https'):
      module.make(toy(), config(), EXAMPLE)
    other = tmp_path / 'other.pth'
    other.write_bytes(b'PK')
    with pytest.raises(UserError, match=rf'eval.{name}.weights=.*has the SHA-256 .*6726825d0af5'):
      module.make(toy(), config(**{name: {'weights': str(other)}}), EXAMPLE)
    with pytest.raises(UserError, match=r'cannot be read .No such file'):
      module.make(toy(), config(**{name: {'weights': str(tmp_path / 'no.pth')}}), EXAMPLE)


def test_fid_of_known_features(monkeypatch):
  """With the network replaced by pixels."""
  pixels = lambda loaded, image: image.reshape(image.shape[0], -1)
  monkeypatch.setattr(inception_weights, 'load', lambda path, field: {})
  monkeypatch.setattr(features.inception, 'features', pixels)
  given = streams()
  want = frechet_metric.between(flat(given['samples']), flat(given['test'])).value
  got = with_errors(fid.make(toy(), config(), EXAMPLE), **given)
  assert got['fid'].value == pytest.approx(want, rel=1e-6)
  got = with_errors(kid.make(toy(), config(), EXAMPLE), **given)
  want = kernel_metric.between(flat(given['samples']), flat(given['test'])).value
  assert got['kid'].value == pytest.approx(want, rel=1e-6)


def test_what_has_no_samples_or_is_no_image_is_refused(judge):
  for module, name in ((frechet, 'frechet'), (precision_recall, 'precision_recall'), (fid, 'fid')):
    with pytest.raises(UserError, match=f"the {name} eval needs samples, but the method 'toy'"):
      module.make(toy(None), config(), EXAMPLE)
    with pytest.raises(UserError, match=f'the {name} eval needs images, but the data is videos'):
      module.make(toy(), config(), example_of((9, *SHAPE), data='video'))


@pytest.mark.parametrize(('kind', 'beside'), [('none', False), ('dynamic', False), ('none', True)])
def test_a_pass_reads_as_many_training_rows_as_are_tested(judge, kind, beside):
  """Evenly spaced, and not binarised; also if another eval needs all rows."""
  images = RANDOM.integers(0, 256, (90, *SHAPE), np.uint8)
  split = tables({'train': {'image': images}, 'test': {'image': images[:30]}})
  train, test = (source.make(split[name], 1, kind) for name in ('train', 'test'))
  black = lambda v, key, n, given: {'image': jnp.zeros((n, *SHAPE))}
  method = toy(black)
  e = frechet.make(method, config(frechet={'resamples': 0}), test.example)
  seen = {}
  kept = e._replace(finish=lambda sums, rows: seen.update(rows) or {})
  every = lambda v, batch, key, hyper: ({}, {'pixels': batch['image']})
  all_rows = Eval({'train': every}, lambda sums, rows: seen.update(all=rows) or {}, list)
  evals = {'frechet': kept, **({'all': all_rows} if beside else {})}
  a_pass = make_pass(evals, method, test, 8, make_mesh(), train=train)
  a_pass.finish(a_pass.start(Variables({}, {}), {}, jax.random.key(0)))
  if beside:
    np.testing.assert_allclose(seen['all']['train']['pixels'], images / 255, atol=1e-6)
    assert list(seen['all']['train']) == ['pixels'] and all_rows.extract.keys() == {'train'}
  for stream, rows in (('train', images[::3]), ('test', images[:30])):
    (got,) = (x for name, x in seen[stream].items() if name.endswith('features'))
    np.testing.assert_allclose(got, rows.reshape(30, 6) / 255, atol=1e-6)


def test_a_floor_without_the_left_out_class(judge):
  """It has the spaced training rows of other classes; the protocol names the class."""
  images = RANDOM.integers(0, 256, (90, *SHAPE), np.uint8)
  rows = {'image': images, 'label': np.int32(np.arange(90) // 3 % 3)}
  split = tables({'train': rows, 'test': {name: x[:30] for name, x in rows.items()}})
  train, test = (source.make(split[name], 1, 'none') for name in ('train', 'test'))
  method = toy(lambda v, key, n, given: {'image': jnp.zeros((n, *SHAPE))})
  evals = {'frechet': frechet.make(method, config(frechet={'resamples': 0}), test.example)}
  a_pass = make_pass(evals, method, test, 8, make_mesh(), train=train, leave_out=('train',))
  hyper = {'left_out': jnp.float32(1)}
  (got,), _ = a_pass.finish(a_pass.start(Variables({}, {}), hyper, jax.random.key(0)))
  floor = got['frechet']['frechet_mnist_floor']
  assert floor.n == 20 and floor.note.endswith(
    '20 rows each, all the training rows that it was given'
  )
  of_run = load_config('configs/anomaly.py:digits,smoke')
  protocol = make_protocol(of_run, evals, {'test': {'read': ''}})('test', 0, False)['frechet']
  assert protocol['left_out_of_train'] == 'class hyper.left_out' and 'left_out' not in protocol
