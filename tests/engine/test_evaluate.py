"""A pass counts every example once, and evaluation.json keeps each value with its protocol."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.configuration import base
from vaejax.data import load
from vaejax.engine import opening, shard
from vaejax.engine.evaluate import evaluate, make_pass, record
from vaejax.errors import UserError
from vaejax.lookup import lookup
from vaejax.types import Eval, averaged


def source(mode='resident', **fields):
  """The test split of the digits: 297 rows, which no batch below divides but by chance."""
  data = base('', {}).data
  data.name = 'digits'
  data.update({'mode': mode, **fields})
  return load.test(data, load.table(data, 'test', None))


def sums():
  """An Eval of the pixels themselves."""

  def stats(variables, batch, key, hyper):
    each = batch['image'].sum((1, 2, 3)) * variables['scale']
    mask = batch['mask']
    labels = jax.nn.one_hot(batch['label'], 10) * mask[:, None]
    return {'sum': jnp.sum(each * mask), 'n': mask.sum(), 'labels': labels.sum(0)}

  return Eval(stats, lambda s: {'sum': float(s['sum']), 'labels': s['labels'].tolist()}, {})


def mesh(count: int):
  return shard.mesh(devices=jax.devices()[:count])


@pytest.mark.parametrize('mode, devices', [('resident', 1), ('resident', 8), ('stream', 4)])
@pytest.mark.parametrize('n, limit', [(1000, 0), (50, 0), (99, 0), (64, 100), (7, 10), (10, 5)])
def test_every_example_counts_once(mode, devices, n, limit):
  split = source(mode)
  assert split.resident == (mode == 'resident')
  data = base('', {}).data
  data.name = 'digits'
  raw = load.table(data, 'test', None).load()
  count = limit or 297
  seen = []
  one = make_pass({'pixels': sums()}, split, n, mesh(devices))
  show = lambda *progress: seen.append(progress)
  found = one.start({'scale': 2.0}, {}, jax.random.key(0), limit, show)
  (values,) = one.finish(found)
  # float32 sums of 19,008 grey levels.
  np.testing.assert_allclose(values['sum'], 2 * raw['image'][:count].sum() / 255, rtol=1e-5)
  np.testing.assert_array_equal(values['labels'], np.bincount(raw['label'][:count], minlength=10))
  done = [(done, of) for _, done, of in seen]
  size = -(-min(n, 297) // devices) * devices
  assert done[-1] == (count, count) and len(done) == -(-count // size)


@pytest.mark.parametrize('binarise', ['none', 'dynamic'])
def test_streamed_values_are_the_resident_ones_on_any_devices(trained, binarise):
  run = opening.open_run(trained, print)
  elbo = {'elbo': lookup('evals', 'elbo').make(run.method, run.config)}

  def values(mode, devices):
    put = shard.Put(mesh(devices))
    one = make_pass(elbo, source(mode, binarise=binarise), 64, mesh(devices))
    variables = put(averaged(run.state))
    return one.finish(one.start(variables, put(run.state.hyper), jax.random.key(0)))[0]

  # The same program on the same rows.
  assert values('stream', 1) == pytest.approx(values('resident', 1), rel=1e-6)
  assert values('stream', 8) == pytest.approx(values('resident', 1), rel=1e-5)


def test_values_and_their_protocol(copied):
  said = []
  before = json.loads((copied / 'evaluation.json').read_text())
  found = evaluate(copied, ['elbo', 'nll'], samples=3, say=said.append)
  after = json.loads((copied / 'evaluation.json').read_text())
  # What training recorded at its end is what evaluating gives.
  for name, entry in before.items():
    assert after[name]['value'] == pytest.approx(entry['value'], rel=1e-5)
    assert {**after[name], 'value': 0} == {**entry, 'value': 0}
  protocol = {
    'split': 'test',
    'read': 'digits test',
    'n': 297,
    'binarisation': 'none',
    'seed': 0,
    'step': 20,
  }
  protocol |= {'weights': 'ema', 'samples': 3, 'likelihood': 'logistic'}
  assert after['nll'] == {'value': found['nll'], **protocol}
  assert after['elbo'] == {'value': found['elbo'], **protocol, 'samples': 1}
  assert found['recon'] + found['kl'] == pytest.approx(-found['elbo'], rel=1e-5)
  assert found['nll'] <= -found['elbo'] + 0.5  # the bound, and the noise of three samples
  assert not said
  page = (copied / 'report.html').read_text()
  assert 'nll' in page


def test_a_split_a_seed_and_weights_are_recorded_beside_what_there_was(copied):
  before = json.loads((copied / 'evaluation.json').read_text())
  found = evaluate(copied, ['elbo'], split='train', seed=5, weights='raw')
  after = json.loads((copied / 'evaluation.json').read_text())
  assert {name: after[name] for name in before} == before
  assert after.keys() - before.keys() == {f'train/{name}' for name in found}
  entry = after['train/elbo']
  assert (entry['n'], entry['seed'], entry['weights'], entry['split']) == (1500, 5, 'raw', 'train')
  other = evaluate(copied, ['elbo'], split='train', seed=6, weights='raw')
  assert other['kl'] == found['kl'] and other['recon'] != found['recon']
  assert evaluate(copied, ['elbo'], split='train', seed=5)['kl'] != found['kl']


def test_a_record_replaces_its_own_names_only(tmp_path):
  record(tmp_path, {'a': 1.0, 'b': 2.0}, {'split': 'test', 'seed': 0})
  record(tmp_path, {'b': 3.0}, {'split': 'test', 'seed': 1})
  record(tmp_path, {'b': 4.0}, {'split': 'train', 'seed': 0})
  assert json.loads((tmp_path / 'evaluation.json').read_text()) == {
    'a': {'value': 1.0, 'split': 'test', 'seed': 0},
    'b': {'value': 3.0, 'split': 'test', 'seed': 1},
    'train/b': {'value': 4.0, 'split': 'train', 'seed': 0},
  }


def test_data_of_another_shape_is_refused(copied):
  path = copied / 'config.json'
  saved = json.loads(path.read_text())
  saved['config']['data']['size'] = 10  # what a prepared set that has changed looks like
  path.write_text(json.dumps(saved))
  with pytest.raises(
    UserError, match=r'images of \(10, 10, 1\), the run was trained on \(8, 8, 1\)'
  ):
    evaluate(copied, ['elbo'])
