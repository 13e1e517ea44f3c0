"""A value of a pass does not depend on the size of its batches, on padding or on devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from run_eval import near
from threadpoolctl import threadpool_info, threadpool_limits

from vaejax import previous
from vaejax.config.load import load_config
from vaejax.core import factory, passes, sharding
from vaejax.core.devices import make_mesh
from vaejax.core.row_noise import row_key
from vaejax.data import sources, splits
from vaejax.data.subset import subset
from vaejax.data.table import without_labels
from vaejax.errors import UserError
from vaejax.eval_type import Eval
from vaejax.evaluation.evals import make_evals

ROWS = 50
STYLE = 'style.py:smoke,model.channels=4,model.style.channels=4'
LIMITS = {'hyper.free_bits': '0.05', 'hyper.capacity': '0.4'}
CASES = {
  'free bits': ({'hyper.free_bits': '0.05'}, 'elbo'),
  'limits': (LIMITS | {'hyper.beta': '3', 'samples': '2'}, 'elbo'),
  'sigma_vae': ({'likelihood': 'sigma_vae'}, 'elbo'),
  'iwae': ({'objective.name': 'iwae', 'samples': '3'}, 'elbo'),
  'nll': ({}, 'nll'),
  'nll of some': ({'eval.nll.images': '17'}, 'nll'),
  'style': ({}, 'elbo', STYLE),
  'style, no pairs': ({'pairs': 'False'}, 'elbo', STYLE),
  'style, stream': ({'data.mode': 'stream'}, 'elbo', STYLE),
  'vaegan': ({}, 'elbo', 'vaegan.py:smoke'),
  'factor': ({}, 'elbo', 'beta_vae.py:factor,smoke'),
  'packing': ({'packing': '4', 'conditional': 'True'}, 'elbo', 'gan.py:smoke'),
}

SOME = [pytest.param(c, marks=[pytest.mark.slow] * c.startswith('style')) for c in CASES]


def values(config, name, batch_size, devices=1, stacked=False):
  """The values of an eval on the first rows of a test split."""
  mesh = make_mesh(0, devices=jax.devices()[:devices])
  rows = subset(splits.table(config.data, 'test', None), np.arange(ROWS))
  method = factory.make_method(config, sources.example(config.data, rows))
  source = sources.test(config.data, rows, sharding.MeshPlacement(mesh))
  evals, skipped = make_evals((name,), config, method, source.example)
  assert not skipped
  made = passes.make_pass(evals, method, source, batch_size, mesh, stacked)
  init = jax.jit(lambda key: factory.initial_state(method, config, source.example))
  variables = init(0).variables
  hyper = {k: jnp.float32(v) for k, v in config.hyper.items()}
  if stacked:  # two members, the first with twice the free bits
    double = hyper | {'free_bits': 2 * hyper['free_bits']}
    variables, hyper = (
      jax.tree.map(lambda *x: jnp.stack(x), *pair) for pair in ((variables,) * 2, (double, hyper))
    )
  found, skipped = made.finish(made.start(variables, hyper, jax.random.key(3)))
  assert not skipped
  return found


def config_of(case):
  settings, name, *file = CASES[case]
  file = file[0] if file else 'vae.py:smoke'
  return load_config(f'configs/{file}', settings.items()), name


@pytest.mark.parametrize('case', SOME)
def test_values_are_the_same_at_every_batch_size(project, case):
  config, name = config_of(case)
  (want,) = values(config, name, ROWS)
  assert all(np.isfinite(value) for value in passes.flat(want).values())
  for batch_size in (3, 24, 40):
    (found,) = values(config, name, batch_size)
    assert found[name].keys() == want[name].keys()
    for key, pair in want[name].items():
      assert found[name][key] == near(pair), (key, batch_size)
    if 'loss' in want[name] and 'kl' in want[name]:  # its KL alone, with the limits
      kl, wanted = (x[name]['loss'].value - x[name]['recon'].value for x in (found, want))
      assert kl == pytest.approx(wanted, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize('case', ['limits', 'packing'])
def test_values_are_the_same_on_several_devices(project, case):
  config, name = config_of(case)
  (want,), (found,) = values(config, name, 24), values(config, name, 24, devices=8)
  for key, pair in want[name].items():
    assert found[name][key] == near(pair), key


def test_the_loss_has_the_limits_of_the_mean_over_the_split(project):
  """And each member of a stack has its own."""
  config, name = config_of('free bits')
  (plain,) = values(load_config('configs/vae.py:smoke', ()), name, 7)
  first, second = values(config, name, 7, stacked=True)
  (alone,) = values(config, name, ROWS)
  assert second[name]['loss'] == near(alone[name]['loss'])
  assert plain[name]['loss'][0] < second[name]['loss'][0] < first[name]['loss'][0]
  assert plain[name]['elbo'] == near(first[name]['elbo'])


def test_previous_rows_are_those_of_the_split(project):
  x = {'image': jnp.arange(10.0).reshape(10, 1), 'label': jnp.arange(10)}
  for sizes in ([10], [3, 3, 4], [1] * 10):
    before = {'rows': {k: jnp.zeros((2, *v.shape[1:]), v.dtype) for k, v in x.items()}}
    before['any'], parts = jnp.zeros((), bool), []
    for first, n in zip(np.cumsum([0, *sizes]), sizes, strict=False):
      part = {k: v[first : first + n] for k, v in x.items()}
      batch, before = previous.add(part, before, 2)
      assert previous.rows_before(batch, 'label', 1).shape == (n, 1)
      parts.append(batch['previous_label'])
    want = [[0, 0], [0, 0], *([i - 2, i - 1] for i in range(2, 10))]
    np.testing.assert_array_equal(np.concatenate(parts), want)


def noise(sizes, key=0):
  """Draws of all kinds for 12 rows, in batches of these sizes."""
  rows = []
  for first, n in zip(np.cumsum([0, *sizes]), sizes, strict=False):
    k, again = jax.random.split(row_key(jax.random.key(key), int(first), n))
    many = jax.vmap(lambda k, n=n: jax.random.normal(k, (n, 4)))(
      jax.random.split(jax.random.fold_in(again, 3), 5)
    )
    rows.append(
      {
        'uniform': jax.random.uniform(k, (n, 3, 2)),
        'many': jnp.moveaxis(many, 0, 1),
        'label': jax.random.randint(again, (n,), 0, 10),
        'coin': jax.random.bernoulli(k, 0.5, (n, 8)),
        'pair': jax.random.normal(again, (2 * n, 3)).reshape(n, 2, 3),
      }
    )
  return jax.tree.map(lambda *x: np.concatenate(x), *rows)


def test_noise_of_a_row_does_not_depend_on_its_batch():
  want = noise([12])
  for sizes in ([4, 4, 4], [1] * 12, [5, 5, 2]):
    found = noise(sizes)
    assert all(np.array_equal(found[name], want[name]) for name in want)
  assert not np.allclose(noise([12], key=1)['uniform'], want['uniform'])


def test_noise_of_rows_and_keys_is_independent():
  draw = jax.jit(
    jax.vmap(lambda s: jax.random.normal(row_key(jax.random.key(s), 0, 500), (500, 8)))
  )
  x = np.asarray(draw(jnp.arange(8))).astype(np.float64)
  assert abs(x.mean()) < 4 / x.size**0.5 and abs(x.std() - 1) < 4 / (2 * x.size) ** 0.5
  for rows in (x.reshape(8, -1), x[:, :400].reshape(400, -1)):
    correlation = np.corrcoef(rows)[np.triu_indices(len(rows), 1)]
    assert np.abs(correlation).max() < 6 / rows.shape[1] ** 0.5
  key = row_key(jax.random.key(0), 0, 4)
  keys = [key, *jax.random.split(key, 3), *(jax.random.fold_in(key, i) for i in range(3))]
  assert len({np.asarray(jax.random.bits(k, (4, 2))).tobytes() for k in keys}) == 7


@pytest.mark.parametrize('batch_size', [7, 50])
def test_a_left_out_class_is_not_tested_where_it_is_left_out(project, batch_size):
  """Each member of a stack leaves out its own class, in sums and in rows."""
  config = load_config('configs/anomaly.py:digits,smoke')
  rows = subset(splits.table(config.data, 'test', None), np.arange(ROWS))
  method = factory.make_method(config, sources.example(config.data, rows))
  source = sources.test(config.data, rows)

  def extract(variables, batch, key, hyper):
    ink = jnp.sum(batch['image'], axis=(1, 2, 3))
    return {'ink': jnp.sum(ink * batch['mask'])}, {'ink': ink, 'label': batch['label']}

  def finish(sums, rows):
    of_rows = {name: float(np.sum(x)) for name, x in rows['test'].items()}
    return {'sum': (sums['test']['ink'], None), 'n': (len(rows['test']['ink']), None)} | {
      name: (x, None) for name, x in of_rows.items()
    }

  e = Eval({'test': extract}, finish, lambda: ['sum', 'n', 'ink', 'label'])
  mesh = make_mesh(0, devices=jax.devices()[:1])
  left_out = jnp.asarray([3.0, 5.0])
  variables = jax.vmap(lambda x: {'x': x})(left_out)
  data = jax.device_get(source.rows(next(source.blocks(ROWS)), np.arange(ROWS)))
  ink, label = data['image'].sum((1, 2, 3)), data['label']
  for streams in ((), ('test',)):
    made = passes.make_pass({'e': e}, method, source, batch_size, mesh, True, None, streams)
    both, _ = made.finish(made.start(variables, {'left_out': left_out}, jax.random.key(0)))
    for number, found in zip((3, 5), both, strict=True):
      kept = (label != number) | (not streams)
      values = {name: estimate.value for name, estimate in found['e'].items()}
      assert {estimate.n for estimate in found['e'].values()} == {kept.sum()}
      want = {'sum': ink[kept].sum(), 'n': kept.sum(), 'ink': ink[kept].sum()}
      assert values == pytest.approx(want | {'label': label[kept].sum()}, rel=1e-5)


def test_other_data_is_a_stream_of_its_own(project):
  config = load_config('configs/vae.py:digits,smoke')
  table = splits.table(config.data, 'test', None)
  rows, others = subset(table, np.arange(ROWS)), subset(table, np.arange(100, 123))
  method = factory.make_method(config, sources.example(config.data, rows))
  extract = lambda v, batch, key, hyper: ({}, {'ink': jnp.sum(batch['image'], axis=(1, 2, 3))})
  finish = lambda sums, rows: {s: (float(np.sum(x['ink'])), None) for s, x in rows.items()}
  e = Eval({'test': extract, 'mine': extract}, finish, lambda: ['test', 'mine'])
  mesh = make_mesh(0, devices=jax.devices()[:1])
  test, mine = (sources.test(config.data, t) for t in (rows, others))
  made = passes.make_pass({'e': e}, method, test, 8, mesh, others={'mine': mine})
  (found,), _ = made.finish(made.start({'x': jnp.zeros(1)}, {}, jax.random.key(0)))
  for name, t in (('test', rows), ('mine', others)):
    image = t.load()['image'].astype(np.float64) / 255
    assert found['e'][name].value == pytest.approx(image.sum(), rel=0.01), name


def test_statistics_on_the_host_have_one_thread_of_each_blas(project):
  threads = lambda: [x['num_threads'] for x in threadpool_info() if x['user_api'] == 'blas']
  config, seen = load_config('configs/vae.py:digits,smoke'), []
  rows = subset(splits.table(config.data, 'test', None), np.arange(8))
  method = factory.make_method(config, sources.example(config.data, rows))
  extract = lambda v, batch, key, hyper: ({}, {'label': batch['label']})
  e = Eval({'test': extract}, lambda sums, rows: seen.extend(threads()) or {}, list)
  mesh = make_mesh(0, devices=jax.devices()[:1])
  with threadpool_limits(2, 'blas'):
    before = threads()
    made = passes.make_pass({'e': e}, method, sources.test(config.data, rows), 8, mesh)
    made.finish(made.start({'x': jnp.zeros(1)}, {}, jax.random.key(0)))
    assert before and threads() == before
  assert seen == [1] * len(before)


def test_a_pass_ends_where_no_eval_tests_further_examples(project):
  """For each split: here 17 of the tested one, and all of other data."""
  config = load_config('configs/vae.py:digits,smoke')
  table = splits.table(config.data, 'test', None)
  rows = subset(table, np.arange(ROWS))
  method = factory.make_method(config, sources.example(config.data, rows))
  extract = lambda v, batch, key, hyper: ({'n': batch['mask'].sum()}, {'label': batch['label']})
  finish = lambda sums, rows: {
    f'{name}_{s}': (float(x), None)
    for s in rows
    for name, x in (('n', sums[s]['n']), ('labels', rows[s]['label'].sum()))
  }
  evals = {
    'a': Eval({'test': extract, 'mine': extract}, finish, list, limit=17),
    'b': Eval({'test': extract}, finish, list, limit=5),
    'c': Eval({'mine': extract}, finish, list),
  }
  mesh, source = make_mesh(0, devices=jax.devices()[:1]), sources.test(config.data, rows)
  made = passes.make_pass(evals, method, source, 8, mesh, others={'mine': source})
  seen = []
  show = lambda output, done, total: seen.append((done, total))
  (found,), _ = made.finish(made.start({'x': jnp.zeros(1)}, {}, jax.random.key(0), show=show))
  label = table.load()['label'][:ROWS].astype(int)
  first = [(8, 17), (16, 17), (17, 17)]
  assert seen == first + [(min(8 * k, ROWS), ROWS) for k in range(1, 8)]
  for name, stream, n in (
    ('a', 'test', 17),
    ('a', 'mine', 17),
    ('b', 'test', 5),
    ('c', 'mine', 50),
  ):
    values = found[name]
    assert values[f'n_{stream}'].value == n
    assert values[f'n_{stream}'].n == (17 if name == 'a' else n)
    assert values[f'labels_{stream}'].value == label[:n].sum()


def test_a_class_is_not_left_out_of_rows_without_labels(project):
  config = load_config('configs/anomaly.py:digits,smoke')
  rows = without_labels(splits.table(config.data, 'test', None))
  method = factory.make_method(config, sources.example(config.data, rows))
  evals, _ = make_evals(['elbo'], config, method, sources.example(config.data, rows))
  mesh, source = make_mesh(0, devices=jax.devices()[:1]), sources.test(config.data, rows)
  with pytest.raises(UserError, match='whose rows have no labels'):
    passes.make_pass(evals, method, source, 8, mesh, leave_out=('train', 'test'))
  passes.make_pass(evals, method, source, 8, mesh, leave_out=('train',))
