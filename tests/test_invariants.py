"""What must hold for every config, at its smoke size; a new config is tested by being there."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from chunks import averaged_chunk

from vaejax import latent
from vaejax.config.load import load_config
from vaejax.core import factory, optim, sharding
from vaejax.core.stack import member_state
from vaejax.core.step import create_state, make_step, make_sweep
from vaejax.data import load
from vaejax.runs import checkpoint, restore
from vaejax.types import Method, Source, State

CONFIGS = Path(__file__).parent.parent / 'configs'

# Every config as it is, and the VAE in its other shapes.
BATCH_NORM = {'net': 'conv', 'model.channels': '8', 'norm': 'batch', 'ema': '0.9'}
RESNET = {'net': 'resnet', 'model.channels': '8', 'likelihood': 'sigma_vae', 'accumulate': '2'}
GAUSSIAN = {'likelihood': 'gaussian_pixel', 'clip': '10', 'optimizer.name': 'adamw'}
# One game of one player and one of two in seconds; all the others in the slow tests.
DEFAULT = ('vae', 'gan')
CASES = [
  pytest.param((stem, {}), id=stem, marks=[] if stem in DEFAULT else pytest.mark.slow)
  for stem in sorted(path.stem for path in CONFIGS.glob('*.py'))
]
CASES += [
  pytest.param((f'source:{system}', {}), id=f'source, {system}', marks=pytest.mark.slow)
  for system in ('conv28', 'shared_mlp', 'conv32', 'gan', 'rvae', 'style')
]
CASES += [
  pytest.param(('gan:wasserstein', {}), id='gan, wasserstein', marks=pytest.mark.slow),
  pytest.param(('gan:hinge,conditional', {}), id='gan, hinge, conditional', marks=pytest.mark.slow),
  pytest.param(('vae', BATCH_NORM), id='conv, batch norm, ema', marks=pytest.mark.slow),
  pytest.param(('beta_vae', RESNET), id='resnet, sigma_vae, accumulate', marks=pytest.mark.slow),
  pytest.param(('iwae', GAUSSIAN), id='iwae, gaussian, clip', marks=pytest.mark.slow),
]


class Case(NamedTuple):
  """A config made ready to run, and its own chunk compiled."""

  config: Any
  rows: Any
  method: Method
  source: Source
  init: Any  # (key, hyper) -> the first state
  state: State
  chunk: Any
  traces: list


def build(name: str, settings: dict[str, str]) -> Case:
  stem, _, words = name.partition(':')
  config = load_config(f'{CONFIGS}/{stem}.py:smoke,{words}', settings.items())
  rows = load.table(config.data, 'train', None)
  method = factory.make_method(config, load.example(config.data, rows))
  source = load.train(config.data, rows, examples(config, method), config.seed)
  optimizer, traces = config.optimizer, []
  step = make_step(
    method,
    optim.schedules(config.schedule, config.steps),
    optimizer.ema,
    optimizer.accumulate,
  )

  def counted(state, batch):
    traces.append(1)
    return step(state, batch)

  def init(key, hyper):
    state = create_state(method, key, hyper, source.example)
    return state.replace(ema=state.variables) if optimizer.ema else state

  init = jax.jit(init)
  state = init(jax.random.key(config.seed), dict(config.hyper))
  chunk = jax.jit(averaged_chunk(counted, source.draw))
  return Case(config, rows, method, source, init, state, chunk, traces)


def examples(config, method: Method) -> int:
  """How many one step draws."""
  return config.batch_size * max(player.turns for player in method.players)


@pytest.fixture(scope='module', params=CASES)
def case(request):
  return build(*request.param)


def run(case: Case, *lengths: int, state=None):
  """The state after chunks of these lengths, and each chunk's metrics."""
  state, every = case.state if state is None else state, []
  (buffer, _), *_ = case.source.buffers(int(state.step), case.config.steps)
  for length in lengths:
    state, metrics = case.chunk(state, buffer, np.int32(length))
    every.append(jax.device_get(metrics))
  return state, every


def assert_identical(a: State, b: State):
  """Bit for bit, in every leaf."""
  a, b = (jax.device_get(s.replace(key=jax.random.key_data(s.key))) for s in (a, b))
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for (path, x), y in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
    assert x.dtype == y.dtype and x.tobytes() == y.tobytes(), jax.tree_util.keystr(path)


def flat(tree) -> np.ndarray:
  """All leaves as one vector."""
  return np.concatenate([np.ravel(x) for x in jax.device_get(jax.tree.leaves(tree))])


def test_it_trains(case):
  quarter = case.config.steps // 4
  _, every = run(case, *[quarter] * 4)
  assert all(np.isfinite(value).all() for metrics in every for value in metrics.values())
  if len(case.method.players) == 1:
    assert every[-1]['loss'] < every[0]['loss']


def test_chunks_compose(case):
  whole, (metrics,) = run(case, 10)
  parts, halves = run(case, 5, 5)
  assert int(whole.step) == 10
  assert_identical(whole, parts)
  for name, value in metrics.items():
    # float32 sums of ten terms, in another order.
    mean = np.mean([half[name] for half in halves])
    np.testing.assert_allclose(value, mean, rtol=1e-5, atol=1e-6, err_msg=name)


def test_one_trace_whatever_the_lengths(case):
  run(case, 1, 2, 3)
  run(case, 4)
  assert len(case.traces) == 1
  assert case.chunk._cache_size() == 1


def test_no_host_transfer_inside_a_chunk(case):
  (buffer, _), *_ = case.source.buffers(0, case.config.steps)
  arguments = jax.block_until_ready((case.state, buffer, jnp.int32(3)))
  with jax.transfer_guard('disallow'):
    jax.block_until_ready(case.chunk(*arguments))
  # The guard is blind to callbacks from compiled code.
  program = case.chunk.lower(*arguments).as_text()
  assert 'stablehlo.while' in program and 'callback' not in program


def test_resumed_in_memory_is_never_stopped(case):
  saved = jax.device_get(checkpoint.encode(run(case, 5)[0]))
  resumed = jax.tree.map(jnp.asarray, checkpoint.decode(saved))
  assert_identical(run(case, 5, state=resumed)[0], run(case, 10)[0])


def test_resumed_from_disk_is_never_stopped(case, tmp_path):
  with checkpoint.manage(tmp_path, case.config.checkpoint) as checkpoints:
    checkpoints.save(run(case, 5)[0])
  create = lambda: factory.initial_state(case.method, case.config, case.source.example)
  device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  said = []
  resumed = restore.restore(tmp_path, checkpoint.abstract_state(create, device), said.append)
  assert not said
  assert_identical(resumed, run(case, 5)[0])
  # Through the host: bound to a device, the state would compile the chunk again.
  resumed = checkpoint.decode(jax.device_get(checkpoint.encode(resumed)))
  assert_identical(run(case, 5, state=resumed)[0], run(case, 10)[0])


def test_a_player_moves_only_what_it_owns(case):
  for player in case.method.players:
    if len(case.method.players) == 1:
      after = run(case, 1)[0]
    else:
      alone = case.method._replace(players=(player,))
      batch = jax.jit(case.source.draw)(
        next(case.source.buffers(0, 1))[0], case.state.key, case.state.step
      )
      after = jax.jit(make_step(alone))(case.state, batch)[0]
    before, after = case.state.variables.params, after.variables.params
    moved = {net for net in before if (flat(before[net]) != flat(after[net])).any()}
    assert moved == set(player.owns)


def test_extra_moves_only_in_training(case):
  (buffer, _), *_ = case.source.buffers(0, case.config.steps)
  state, _ = run(case, 1)
  for before, after in zip(*map(jax.tree.leaves, (case.state, state)), strict=True):
    assert before.shape == after.shape
  before, after = case.state.variables.extra, state.variables.extra
  assert not before or (flat(before) != flat(after)).any()
  # Out of training nothing but statistics at rest: an example does not feel the others.
  batch = jax.jit(case.source.draw)(buffer, state.key, state.step)
  few = {name: value[:5] for name, value in batch.items()}
  if 'reconstruct' in case.method.predict:
    reconstruct = jax.jit(case.method.predict['reconstruct'])
    data = case.source.example.data
    many, one = (reconstruct(state.variables, b, state.key)[data] for b in (batch, few))
    np.testing.assert_allclose(many[:5], one, atol=1e-5)


def test_weights_average_to_the_bound(case):
  """log p(x, z) - log q(z|x) from the three distributions, and the ELBO of the method's own."""
  model, v, draws = case.method.latent, case.state.variables, 100
  if model is None:
    pytest.skip('no latent-variable model')
  (buffer, _), *_ = case.source.buffers(0, case.config.steps)
  batch = jax.jit(case.source.draw)(buffer, case.state.key, case.state.step)
  one = lambda key: (
    latent.log_weight(model, v, batch, key),
    case.method.metrics(v, batch, key, case.state.hyper)['elbo'],
  )
  keys = jax.random.split(jax.random.key(1), draws)
  weight, elbo = jax.jit(lambda keys: jax.lax.map(one, keys))(keys)
  assert weight.shape == elbo.shape == (draws, len(batch[case.source.example.data]))
  error = np.sqrt((np.var(weight, axis=0) + np.var(elbo, axis=0)) / draws)
  gap = np.abs(np.mean(weight, axis=0) - np.mean(elbo, axis=0))
  # Of many rows, one is off by five of its errors once in a million.
  assert (gap < 5 * error + 1e-4 * np.abs(np.mean(elbo, axis=0))).all()
  # Rows that differ from each other by more than that: a constant would not do.
  assert np.std(np.mean(weight, axis=0)) > np.median(error)


def test_what_is_decoded_is_in_the_range_that_is_encoded(case):
  predict, example = case.method.predict, case.source.example
  if case.method.latent is None:
    pytest.skip('no latent-variable model')
  (buffer, _), *_ = case.source.buffers(0, case.config.steps)
  batch = jax.jit(case.source.draw)(buffer, case.state.key, case.state.step)
  code = predict['encode'](case.state.variables, batch, case.state.key)
  again = predict['decode'](
    case.state.variables, {**batch, 'latents': code['mean']}, case.state.key
  )[example.data]
  own = predict['reconstruct'](case.state.variables, batch, case.state.key)[example.data]
  frames = 1 if example.data == 'video' else None  # decoding then sees its own frames
  np.testing.assert_allclose(again[:, :frames], own[:, :frames], atol=1e-4)
  assert jax.tree.structure(code['mean']) == jax.tree.structure(code['latents'])
  if case.config.model.likelihood == 'bernoulli':
    assert example.low <= again.min() and again.max() <= example.high


# Adam's first steps are nearly sign(gradient), which turns rounding into a step of full size; so
# runs that take another path through the same maths are compared under plain SGD.
STEPS, RATE, TOLERANCE = 3, 1e-4, 2e-6


class Plain(NamedTuple):
  """The case under SGD: its step and two members, seeds and hyper-parameters of their own."""

  step: Any
  members: list[State]
  after: list[State]


@pytest.fixture(scope='module')
def plain(case):
  sgd, config = optax.sgd(1.0), case.config
  players = tuple(player._replace(tx=sgd) for player in case.method.players)
  rates = {player.lr for player in players}
  method = case.method._replace(players=players)
  step = make_step(method, None, config.optimizer.ema, config.optimizer.accumulate)

  def member(number: int, rate: float) -> State:
    other = {name: value + 0.1 * number for name, value in config.hyper.items()}
    hyper = other | dict.fromkeys(rates, rate * (1 + number))
    state = case.init(jax.random.key(3 + number), hyper)
    return state.replace(opt={player.name: sgd.init({}) for player in players})

  (buffer, _), *_ = case.source.buffers(0, STEPS)
  chunk = jax.jit(averaged_chunk(step, case.source.draw))
  train = lambda state: chunk(state, buffer, np.int32(STEPS))[0]
  far = lambda a, b: np.abs(flat(a.variables.params) - flat(b.variables.params)).max()
  # The step of a loss that is steep, as a sum over pixels is, or of one that is flat.
  first = member(0, RATE)
  rate = RATE * max(1.0, 0.02 / far(first, train(first)))
  members = [member(0, rate), member(1, rate)]
  after = [train(state) for state in members]
  for one, other in zip(members, after, strict=True):
    # Far more than the tolerance below: what is compared is the training.
    assert 1000 * TOLERANCE < far(one, other) < 1
  return Plain(step, members, after)


def assert_close(a: State, b: State):
  pairs = zip(*map(jax.tree.leaves_with_path, (a.variables, b.variables)), strict=True)
  for (path, x), (_, y) in pairs:
    np.testing.assert_allclose(x, y, rtol=1e-5, atol=TOLERANCE, err_msg=jax.tree_util.keystr(path))


def test_members_of_a_sweep_are_the_single_runs(case, plain):
  (buffer, _), *_ = case.source.buffers(0, STEPS)
  step, draw = make_sweep(plain.step, case.source.draw)
  stack = jax.tree.map(lambda *x: jnp.stack(x), *plain.members)
  batches = jax.jit(draw)(buffer, stack.key, stack.step)
  one, other = batches[case.source.example.data]
  assert (one != other).any()  # an order of its own for each
  after, metrics = jax.jit(averaged_chunk(step, draw))(stack, buffer, np.int32(STEPS))
  assert all(value.shape == (2,) for value in metrics.values())
  for number, state in enumerate(plain.members):
    batch = jax.jit(case.source.draw)(buffer, state.key, state.step)
    for name, value in batch.items():
      np.testing.assert_array_equal(batches[name][number], value)
    one = member_state(after, number)
    assert int(one.step) == STEPS
    assert_close(one, plain.after[number])


def test_eight_devices_are_one(case, plain):
  mesh = sharding.make_mesh(case.config.batch_size // case.config.optimizer.accumulate)
  if mesh.size != 8:
    pytest.skip(f'{jax.device_count()} devices')
  put = sharding.MeshPlacement(mesh)
  source = load.train(
    case.config.data, case.rows, examples(case.config, case.method), case.config.seed, put
  )
  (buffer, _), *_ = source.buffers(0, STEPS)
  chunk = jax.jit(averaged_chunk(plain.step, sharding.shard_draw(mesh, source)))
  after, _ = chunk(put(plain.members[0]), buffer, np.int32(STEPS))
  assert all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(after.variables))
  assert_close(after, plain.after[0])


@pytest.mark.slow
def test_a_sweep_over_eight_devices_is_its_single_runs(case, plain):
  """Two members, each over four devices, which hold only their own."""
  if case.config.method not in ('vae', 'gan', 'rvae'):
    pytest.skip('shown by a game of one player, of two, and of frames')
  parts = case.config.batch_size // case.config.optimizer.accumulate
  mesh = sharding.make_mesh(parts, members=2, layout=sharding.Layout(2, 4))
  step, draw = make_sweep(plain.step, case.source.draw)
  step, draw = sharding.shard_step(mesh, step), sharding.shard_draw(mesh, case.source, draw)
  stack = jax.tree.map(lambda *x: jnp.stack(x), *plain.members)
  stack = jax.device_put(stack, jax.tree.map(sharding.state_sharding(mesh, stacked=True), stack))
  (buffer, _), *_ = case.source.buffers(0, STEPS)
  after, _ = jax.jit(averaged_chunk(step, draw))(
    stack, sharding.MeshPlacement(mesh)(buffer), np.int32(STEPS)
  )
  kernel = jax.tree.leaves(after.variables)[0]
  assert {part.data.shape[0] for part in kernel.addressable_shards} == {1}
  for number, one in enumerate(plain.after):
    assert_close(member_state(after, number), one)
