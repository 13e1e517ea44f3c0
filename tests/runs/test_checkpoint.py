import pickle
import shutil
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from running import values

from vaejax.core import sharding
from vaejax.core.devices import make_mesh
from vaejax.errors import RunError, UserError
from vaejax.runs import checkpoint, restore
from vaejax.training.boundary import take_snapshot
from vaejax.types import State, Variables

KEEP = {'keep': 2, 'best': ''}
STEPS = [10, 20]


def make_state(step, width=4):
  """A State of odd leaves: a key, scalars, bfloat16, an optimizer's named tuples."""
  key = jax.random.key(step)
  params = {
    'net': {'w': jax.random.normal(key, (3, width)), 'b': jnp.full((2,), 0.1, jnp.bfloat16)}
  }
  # Names have slashes where spectral norm gives them.
  variables = Variables(params, {'net': {'stats': {'w/u': jnp.int32(step)}}})
  opt = {'vae': optax.adam(1e-3).init(params)}
  return State(jnp.int32(step), key, variables, opt, variables, {'lr': jnp.float32(0.1 + step)})


def like(width=4, sharding=None, opt=True):
  return checkpoint.abstract_state(lambda: make_state(0, width), sharding or one_device(), opt)


def one_device():
  return jax.sharding.SingleDeviceSharding(jax.devices()[0])


def bits(state):
  return [np.asarray(x).tobytes() for x in jax.tree.leaves(checkpoint.encode(state))]


def write(workdir, metrics, config=KEEP):
  with checkpoint.manage(workdir, **config) as checkpoints:
    for step, values in metrics.items():
      checkpoints.save(make_state(step), values or ())


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  """A workdir with two checkpoints, not to be changed."""
  workdir = tmp_path_factory.mktemp('saved')
  write(workdir, dict.fromkeys(STEPS))
  return workdir


@pytest.fixture
def copied(saved, tmp_path):
  """The same, to be changed."""
  return shutil.copytree(saved, tmp_path / 'run')


def test_a_full_disk_is_found_before_anything_is_written(tmp_path, monkeypatch, capfd):
  """That orbax's threads find it is a page for each."""
  monkeypatch.setattr(shutil, 'disk_usage', lambda path: SimpleNamespace(free=2**16))
  with (
    pytest.raises(RunError, match='the disk is full; there is no checkpoint yet'),
    checkpoint.manage(tmp_path, **KEEP) as checkpoints,
  ):
    checkpoints.save(make_state(10))
  assert not list((tmp_path / 'checkpoints').iterdir()) and capfd.readouterr() == ('', '')


def newest_files(workdir):
  newest = workdir / 'checkpoints' / '20'
  return sorted(path for path in newest.rglob('*') if path.is_file())


def test_what_is_saved_comes_back_bit_for_bit(saved):
  said = []
  state = restore.restore(saved, like(), said.append)
  assert not said and bits(state) == bits(make_state(20))
  assert jax.tree.structure(state) == jax.tree.structure(make_state(20))


def test_without_its_optimizers(saved):
  state = restore.restore(saved, like(opt=False))
  assert state.opt == {} and bits(state) == bits(make_state(20).replace(opt={}))


def test_onto_eight_devices_and_back(saved, tmp_path):
  eight = sharding.replicated(make_mesh(8))
  state = restore.restore(saved, like(sharding=eight))
  assert all(x.sharding == eight for x in jax.tree.leaves(state.variables))
  with checkpoint.manage(tmp_path, **KEEP) as checkpoints:
    checkpoints.save(state)
  assert bits(restore.restore(tmp_path, like())) == bits(make_state(20))


def test_no_checkpoint_is_none(tmp_path):
  assert restore.restore(tmp_path, like()) is None
  assert checkpoint.steps(tmp_path) == []


@pytest.mark.parametrize(
  'damage',
  [
    'truncated',
    *(pytest.param(d, marks=pytest.mark.slow) for d in ('emptied', 'zeroed', 'noise', 'missing')),
  ],
)
def test_any_damaged_file(saved, tmp_path, capfd, damage):
  fell_back = set()
  for number, file in enumerate(newest_files(saved)):
    workdir = shutil.copytree(saved, tmp_path / str(number))
    file = workdir / file.relative_to(saved)
    content = file.read_bytes()
    if damage == 'missing':
      file.unlink()
    else:
      noise = np.random.default_rng(number).bytes(len(content))
      half = content[: len(content) // 2]
      file.write_bytes(
        {'truncated': half, 'emptied': b'', 'zeroed': bytes(len(content)), 'noise': noise}[damage]
      )
    said = []
    state = restore.restore(workdir, like(), said.append)
    assert capfd.readouterr() == ('', '')
    # What is harmless for orbax is harmless here: but never are the values others than were saved.
    assert bits(state) == bits(make_state(int(state.step)))
    if int(state.step) == 10:
      fell_back.add(file.parent.name)
      (line,) = said
      assert line.startswith(f'{workdir}/checkpoints/20 cannot be read (') and len(line) < 300
    else:
      assert not said
    restore.set_aside(workdir, int(state.step))
    write(workdir, {30: [{'elbo': 1.0}]}, {'keep': 2, 'best': 'elbo'})
    assert checkpoint.steps(workdir)[-1] == 30
  assert {'meta', 'state', 'd'} <= fell_back


def test_a_whole_folder_missing(copied):
  shutil.rmtree(copied / 'checkpoints' / '20' / 'state')
  said = []
  assert int(restore.restore(copied, like(), said.append).step) == 10
  assert len(said) == 1 and 'files are missing' in said[0]


def test_altered_values_are_caught(copied, tmp_path):
  other = make_state(20).replace(hyper={'lr': jnp.float32(7)})
  with checkpoint.manage(tmp_path / 'other', **KEEP) as checkpoints:
    checkpoints.save(other)
  state = copied / 'checkpoints' / '20' / 'state'
  shutil.rmtree(state)
  shutil.copytree(tmp_path / 'other' / 'checkpoints' / '20' / 'state', state)
  assert values(copied, 20)['hyper.lr'] == 7  # orbax sees nothing wrong
  said = []
  assert int(restore.restore(copied, like(), said.append).step) == 10
  assert 'hyper/lr differs from its checksum' in said[0]


def test_none_that_can_be_read(copied):
  for step in STEPS:
    (copied / 'checkpoints' / str(step) / 'meta' / 'metadata').write_text('{')
  said = []
  with pytest.raises(UserError, match='none of the checkpoints'):
    restore.restore(copied, like(), said.append)
  assert len(said) == 2


def test_another_model_says_in_which_parameters(saved):
  said, net = [], {'bias': jnp.zeros(3), 'w': jnp.zeros((3, 5))}
  now = lambda: make_state(0).replace(variables=Variables({'net': net, 'more': net}, {}))
  with pytest.raises(UserError) as error:
    restore.restore(saved, checkpoint.abstract_state(now, one_device()), said.append)
  assert not said  # whether one before could be read is not asked
  text = str(error.value)
  assert f'{saved} was trained with other code: ' in text and f'init_from={saved}' in text
  for words in (
    'net/w is float32[3, 4] in checkpoint 20 and float32[3, 5] now',
    'net/bias is new',
    'more/bias is new',
    'more/w is new',
    'net/b is missing',
    'and 1 more',
  ):
    assert words in text
  assert 'opt/' not in text  # what follows from it


def test_another_optimizer_is_another_model(saved):
  opt = {'vae': optax.sgd(1e-3, momentum=0.9).init(make_state(0).variables.params)}
  now = lambda: make_state(0).replace(opt=opt)
  with pytest.raises(UserError, match='other code: opt/vae/0/trace/net/b is new'):
    restore.restore(saved, checkpoint.abstract_state(now, one_device()))


class Boom:
  """Runs code when it is unpickled."""

  def __init__(self, target):
    self.target = target

  def __reduce__(self):
    return open, (str(self.target), 'w')


def test_a_pickle_is_never_opened(saved, tmp_path):
  trap = tmp_path / 'trap'
  content = pickle.dumps(Boom(trap))
  pickle.loads(content).close()  # the trap works
  trap.unlink()
  array = np.array([Boom(trap)], dtype=object)
  for number, file in enumerate(newest_files(saved)):
    workdir = shutil.copytree(saved, tmp_path / str(number))
    file = workdir / file.relative_to(saved)
    file.write_bytes(content)
    np.save(file.with_name(file.name + '.npy'), array, allow_pickle=True)
    (file.parent / 'checkpoint').write_bytes(content)  # flax's and orbax's old name
    restore.restore(workdir, like(), lambda line: None)
  assert not trap.exists()


@pytest.mark.parametrize(
  ('best', 'kept'),
  [('', [40, 50]), ('elbo', [20, 40, 50]), ('-loss', [30, 40, 50]), ('unknown', [40, 50])],
)
def test_the_latest_and_the_best_are_kept(tmp_path, best, kept):
  nan = float('nan')
  metrics = {
    10: [{'elbo': -9.0, 'loss': 9.0}],
    20: [{'elbo': -1.0, 'loss': 8.0}],
    30: [{'elbo': -5.0, 'loss': -2.0}],
    40: None,
    50: [{'elbo': nan, 'loss': nan}],
  }
  config = {'keep': 2, 'best': best}
  # In two processes' worth of managers: what is best is known from the disk alone.
  write(tmp_path, {step: metrics[step] for step in (10, 20, 30)}, config)
  write(tmp_path, {step: metrics[step] for step in (40, 50)}, config)
  assert checkpoint.steps(tmp_path) == kept


def test_the_best_of_each_member_is_kept(tmp_path):
  nan = float('nan')
  elbos = {10: (-1, -9, nan), 20: (-2, -3, nan), 30: (-2, -4, nan), 40: (-9, -9, nan)}
  metrics = {step: [{'elbo': elbo} for elbo in each] for step, each in elbos.items()}
  write(tmp_path, metrics, {'keep': 1, 'best': 'elbo'})
  assert checkpoint.steps(tmp_path) == [10, 20, 40]
  assert [restore.select_step(tmp_path, 'best', 'elbo', place) for place in (0, 1)] == [10, 20]
  with pytest.raises(UserError, match=r'no checkpoint has a value of elbo. Use latest or'):
    restore.select_step(tmp_path, 'best', 'elbo', 2)


def test_leftovers_are_removed(copied):
  for name in ('30.orbax-checkpoint-tmp', '10.deleted'):
    (copied / 'checkpoints' / name / 'state').mkdir(parents=True)
  assert checkpoint.steps(copied) == STEPS
  write(copied, {})
  assert sorted(p.name for p in (copied / 'checkpoints').iterdir()) == ['10', '20']


def test_later_ones_are_set_aside(copied):
  restore.set_aside(copied, 10)
  assert checkpoint.steps(copied) == [10] and (copied / 'broken' / '20' / 'meta').is_dir()


def test_a_snapshot_is_saved_as_it_was(tmp_path):
  """It is written while the run goes on: what becomes of the original does not matter."""
  state = jax.jit(lambda: make_state(10))()
  expected = bits(state)
  with checkpoint.manage(tmp_path, **KEEP) as checkpoints:
    checkpoints.save(take_snapshot(state)[0])
    jax.tree.map(lambda x: x.delete(), state)
  assert bits(restore.restore(tmp_path, like())) == expected
