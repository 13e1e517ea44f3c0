"""A pass counts every example once, and evaluation.json keeps each value with its protocol."""

import fcntl
import json
import threading
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.config.base import base
from vaejax.core import sharding
from vaejax.core.devices import make_mesh
from vaejax.core.passes import flat, make_pass
from vaejax.data import sources, splits
from vaejax.errors import UserError
from vaejax.estimates import Estimate
from vaejax.eval_type import Eval
from vaejax.evaluation.evaluate import evaluate, record, report_progress
from vaejax.lookup import lookup
from vaejax.runs.trained import open_run
from vaejax.types import Method, averaged
from vaejax.version import code_version


def source(mode='resident', **fields):
  """The test split of the digits: 297 rows, which no batch below divides but by chance."""
  data = base('', {}).data
  data.name = 'digits'
  data.update({'mode': mode, **fields})
  return sources.test(data, splits.table(data, 'test', None))


METHOD = Method(None, (), None, None, {})
ROUNDED = dict.fromkeys(('value', 'error', 'draws_error'), 0)


def sums(limit=0, traces=None):
  """An Eval of the pixels themselves."""

  def look(variables, batch, key, hyper):
    if traces is not None:
      traces.append(1)
    each = batch['image'].sum((1, 2, 3)) * variables['scale']
    mask = batch['mask']
    labels = jax.nn.one_hot(batch['label'], 10) * mask[:, None]
    return {'sum': jnp.sum(each * mask), 'labels': labels.sum(0)}, {'label': batch['label']}

  def finish(sums, rows):
    found = {**sums['test'], 'rows': rows['test']['label']}
    return {name: (value, None) for name, value in found.items()}

  return Eval({'test': look}, finish, lambda: ['sum'], {}, limit)


def mesh(count: int):
  return make_mesh(devices=jax.devices()[:count])


@pytest.mark.parametrize('mode, devices', [('resident', 1), ('resident', 8), ('stream', 4)])
@pytest.mark.parametrize('n, limit', [(1000, 0), (50, 0), (99, 0), (64, 100), (7, 10), (10, 5)])
def test_every_example_counts_once(mode, devices, n, limit):
  split = source(mode)
  assert split.resident == (mode == 'resident')
  data = base('', {}).data
  data.name = 'digits'
  raw = splits.table(data, 'test', None).load()
  count = limit or 297
  seen = []
  one = make_pass({'pixels': sums()}, METHOD, split, n, mesh(devices))
  show = lambda *progress: seen.append(progress)
  found = one.start({'scale': 2.0}, {}, jax.random.key(0), limit, show)
  (found,), _ = one.finish(found)
  values = flat(found)
  assert {estimate.n for estimate in found['pixels'].values()} == {count}
  # float32 sums of 19,008 grey levels.
  pixels = np.round(raw['image'][:count] * (16 / 255)) / 16  # digits have 17 levels
  np.testing.assert_allclose(values['sum'], 2 * pixels.sum(), rtol=1e-5)
  np.testing.assert_array_equal(values['labels'], np.bincount(raw['label'][:count], minlength=10))
  np.testing.assert_array_equal(values['rows'], raw['label'][:count])
  done = [(done, of) for _, done, of in seen]
  size = -(-min(n, 297) // devices) * devices
  assert done[-1] == (count, count) and len(done) == -(-count // size)


@pytest.mark.parametrize('binarise', ['none', 'dynamic'])
def test_streamed_values_are_the_resident_ones_on_any_devices(trained, binarise):
  run = open_run(trained, print)
  elbo = {'elbo': lookup('evals', 'elbo').make(run.method, run.config, run.example)}

  def values(mode, devices):
    put = sharding.MeshPlacement(mesh(devices))
    one = make_pass(elbo, run.method, source(mode, binarise=binarise), 64, mesh(devices))
    variables = put(averaged(run.state))
    (found,), _ = one.finish(one.start(variables, put(run.state.hyper), jax.random.key(0)))
    return flat(found)

  # The same program on the same rows.
  assert values('stream', 1) == pytest.approx(values('resident', 1), rel=1e-6)
  assert values('stream', 8) == pytest.approx(values('resident', 1), rel=1e-5)


def test_values_and_their_protocol(copied):
  said = []
  before = json.loads((copied / 'evaluation.json').read_text())
  found, *_ = evaluate(
    copied, ['elbo', 'nll'], overrides=[('eval.nll.samples', '3')], log=said.append
  )
  after = json.loads((copied / 'evaluation.json').read_text())
  # What training recorded at its end is what evaluating gives.
  for name, entry in before.items():
    assert after[name]['value'] == pytest.approx(entry['value'], rel=1e-5)
    assert after[name]['error'] == pytest.approx(entry['error'], rel=1e-4)
    assert after[name] | ROUNDED == entry | ROUNDED
  protocol = {
    'split': 'test',
    'read': 'digits test',
    'n': 297,
    'binarisation': 'none',
    'seed': 0,
    'step': 20,
    'code': code_version(),
    'content': before['elbo']['content'],
  }
  protocol |= {'weights': 'ema', 'samples': 3, 'likelihood': 'logistic'}
  fields = lambda name: found[name].to_json()
  # Each with its own protocol: samples are of the bound here, of the likelihood there.
  assert after['nll'] == {**fields('nll'), **protocol}
  assert after['elbo'] == {**fields('elbo'), **protocol, 'samples': 1, 'draws': 2}
  assert found['recon'][0] + found['kl'][0] == pytest.approx(-found['elbo'][0], rel=1e-5)
  assert (
    found['elbo'][1] > 0 and found['nll'][0] <= -found['elbo'][0] + 0.5
  )  # the bound, and the noise of three samples
  assert not said
  page = (copied / 'report.html').read_text()
  assert 'nll' in page


def test_a_split_a_seed_and_weights_are_recorded_beside_what_there_was(copied):
  before = json.loads((copied / 'evaluation.json').read_text())
  found, *_ = evaluate(copied, ['elbo'], split='train', seed=5, weights='raw')
  after = json.loads((copied / 'evaluation.json').read_text())
  assert {name: after[name] for name in before} == before
  assert after.keys() - before.keys() == {f'train/{name}' for name in found}
  entry = after['train/elbo']
  assert (entry['n'], entry['seed'], entry['weights'], entry['split']) == (1350, 5, 'raw', 'train')
  other, *_ = evaluate(copied, ['elbo'], split='train', seed=6, weights='raw')
  assert other['kl'] == found['kl'] and other['recon'] != found['recon']
  assert evaluate(copied, ['elbo'], split='train', seed=5)[0]['kl'] != found['kl']


def test_val_is_recorded_as_validation(copied):
  evaluate(copied, ['elbo'], split='val')
  evaluate(copied, ['elbo'], split='val[:10]')
  after = json.loads((copied / 'evaluation.json').read_text())
  assert [after[f'{split}/elbo']['split'] for split in ('validation', 'validation[:10]')] == [
    'validation',
    'validation[:10]',
  ]
  assert (after['validation/elbo']['n'], after['validation[:10]/elbo']['n']) == (150, 10)
  assert not any('val/' in name for name in after)


def test_a_record_replaces_its_own_names_only(tmp_path):
  def add(split, seed, **values):
    pairs = {name: Estimate(value) for name, value in values.items()}
    record(tmp_path, {'e': pairs}, {'e': {'split': split, 'seed': seed}})

  add('test', 0, a=1.0, b=2.0)
  add('test', 1, b=3.0)
  add('train', 0, b=4.0)
  assert json.loads((tmp_path / 'evaluation.json').read_text()) == {
    'a': {'value': 1.0, 'error': None, 'split': 'test', 'seed': 0},
    'b': {'value': 3.0, 'error': None, 'split': 'test', 'seed': 1},
    'train/b': {'value': 4.0, 'error': None, 'split': 'train', 'seed': 0},
  }


def test_records_take_turns(tmp_path):
  """What another process writes while it has the lock stays."""
  values, protocol = {'e': {'a': Estimate(1.0)}}, {'e': {'split': 'test'}}
  with open(tmp_path / '.evaluation.lock', 'wb') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    writer = threading.Thread(target=record, args=(tmp_path, values, protocol))
    writer.start()
    writer.join(0.2)
    assert writer.is_alive()
    (tmp_path / 'evaluation.json').write_text('{"b": {"value": 2.0}}')
  writer.join()
  assert json.loads((tmp_path / 'evaluation.json').read_text()).keys() == {'a', 'b'}


def test_several_evals_share_one_pass_one_trace_and_their_rows():
  """And each gets its own rows alone, up to its own limit."""
  traces, made = [], []

  def sample(v, key, n, given):
    made.append(given)
    return {'image': jnp.ones((n, 8, 8, 1))}

  def look(variables, batch, key, hyper):
    traces.append(1)
    return {'n': batch['mask'].sum()}, {'bright': batch['image'].mean((1, 2, 3))}

  keep = lambda sums, rows: {'seen': ((sums, rows), None)}
  drawn = lambda streams: Eval(dict.fromkeys(streams, look), keep, lambda: ['seen'])
  evals = {'a': sums(traces=traces), 'b': sums(5, traces), 'c': drawn(['samples'])}
  evals['d'] = drawn(['samples', 'test', 'train'])
  method = METHOD._replace(sample=sample, given=('label', 'image'))
  one = make_pass(evals, method, source(), 64, mesh(1), train=source())
  (found,), _ = one.finish(one.start({'scale': 1.0}, {}, jax.random.key(0), 100))
  assert len(traces) == 2 + 1 + 3 and len(made) == 1  # two programs, once each
  assert made[0].keys() == {'label'}  # never the data itself
  assert len(found['a']['rows'][0]) == 100 and len(found['b']['rows'][0]) == 5
  sums_of, rows = found['d']['seen'][0]
  assert {s: float(x['n']) for s, x in sums_of.items()} == dict.fromkeys(rows, 100.0)
  assert {s: len(x['bright']) for s, x in rows.items()} == dict.fromkeys(rows, 100)
  assert rows['samples'].keys() == found['c']['seen'][0][1]['samples'].keys() == {'bright'}
  assert (rows['samples']['bright'] == 1).all() and (rows['test']['bright'] < 1).all()


def test_data_of_another_shape_is_refused(copied):
  path = copied / 'config.json'
  saved = json.loads(path.read_text())
  saved['config']['data']['size'] = 10  # what a prepared set that has changed looks like
  path.write_text(json.dumps(saved))
  with pytest.raises(
    UserError, match=r'images of \(10, 10, 1\), but the run was trained on images of \(8, 8, 1\)'
  ):
    evaluate(copied, ['elbo'])


def test_the_time_that_is_left_is_that_of_the_current_split(monkeypatch):
  """10 examples of one split take 1,000 s, and each one of the next split 20 s."""
  lines, times = [], iter([0.0, 500.0, 1000.0, 1020.0, 1040.0])
  clock = SimpleNamespace(monotonic=lambda: next(times))  # JAX reads the real one too
  monkeypatch.setattr('vaejax.evaluation.evaluate.time', clock)
  show = report_progress('mse', lines.append)
  for done, total in ((5, 10), (10, 10), (1, 4), (2, 4)):
    show(jnp.zeros(1), done, total)
  assert [line.split(', ')[1] for line in lines] == [f'{n} s left' for n in (500, 0, 60, 40)]
