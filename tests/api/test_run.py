"""A run in Python agrees with the mathematics, with itself, and with the shell."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy import stats

import vaejax
from vaejax.api import inputs, programs
from vaejax.api.run import Run
from vaejax.cli.main import main
from vaejax.config import presets
from vaejax.config.load import load_config
from vaejax.core import factory
from vaejax.data import sources, splits
from vaejax.data.device import transforms
from vaejax.methods.vae import vae
from vaejax.nets import autoencoder
from vaejax.nets.priors import standard
from vaejax.runs.trained import TrainedRun, open_run
from vaejax.types import Example, State, Variables
from vaejax.units import Units

ROOT = Path(__file__).parents[2]
IMAGES = splits.table(load_config(f'{ROOT}/configs/vae.py').data, 'test', None).load()['image']


def untrained(stem: str, **settings) -> Run:
  """Returns the run of a config at its smoke size before its first step."""
  config = load_config(f'{ROOT}/configs/{stem}.py:smoke', settings.items())
  example = sources.example(config.data, splits.table(config.data, 'train', None))
  method = factory.make_method(config, example)
  state = jax.jit(lambda: factory.initial_state(method, config, example))()
  return Run(TrainedRun(Path('w'), config, example, None, method, state, {}), 'ema')


@pytest.fixture(scope='module')
def run(trained):
  return vaejax.load(str(trained))


def test_log_prob_agrees_with_the_analytic_marginal():
  # p(z) = N(0, I), p(x|z) = N(zW + b, s²I), and a posterior that is too wide.
  random, s, shape = np.random.default_rng(0), 0.6, (2, 3, 1)
  w, b = random.normal(0, 0.4, (2, 6)), random.normal(0, 1, 6)
  x = random.normal(size=(40, 2)) @ w + b + s * random.normal(size=(40, 6))
  exact = stats.multivariate_normal.logpdf(x, b, w.T @ w + s**2 * np.eye(6))
  model = {'net': 'mlp', 'widths': (), 'latents': 2, 'likelihood': 'gaussian', 'scale': s}
  model = ConfigDict(presets.AUTOENCODER | model)
  fields = {'image': jax.ShapeDtypeStruct(shape, jnp.float32)}
  example = Example(fields, None, -9.0, 9.0, 0, units=Units())
  nets, prior = autoencoder.make(model, example), standard.make(model, (2,), example, 0)
  method = vae(nets, prior, 2, example)
  blank = {'image': jnp.zeros((1, *shape))}
  variables = method.init(jax.random.key(0), blank)
  covariance = np.linalg.inv(np.eye(2) + w @ w.T / s**2)
  to_mean = w.T @ covariance / s**2
  kernel, wide = np.concatenate([to_mean, np.zeros((6, 2))], 1), np.log(1.7 * np.diag(covariance))
  values = {
    'encoder': [np.array([*(-b @ to_mean), *wide]), kernel],  # biases come before kernels
    'decoder': [b, w],
  }
  fill = lambda net, tree: jax.tree.unflatten(
    jax.tree.structure(tree), [jnp.asarray(v, jnp.float32) for v in values[net]]
  )
  params = {net: fill(net, tree) for net, tree in variables.params.items()}
  assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, variables.params)
  state = State(jnp.zeros((), int), jax.random.key(0), Variables(params, {}), {}, None, {})
  config = ConfigDict({'method': 'vae', 'data': {'name': 'x'}})
  run = Run(TrainedRun(Path('w'), config, example, None, method, state, {}), 'raw')
  found = run.log_prob(x.reshape(-1, *shape), samples=3000)
  assert found.shape == (40,) and found.dtype == np.float32
  np.testing.assert_allclose(found, exact, atol=0.1)
  assert abs(np.mean(found - exact)) < 0.01
  assert np.mean(run.log_prob(x.reshape(-1, *shape), samples=1) - exact) < -0.1


def test_the_result_of_an_example_does_not_depend_on_their_number(run, monkeypatch):
  functions = {
    'encode': run.encode,
    'draw': lambda x: run.encode(x, draw=True, seed=3),
    'reconstruct': run.reconstruct,
    'log_prob': lambda x: run.log_prob(x, samples=5),
  }
  x = np.concatenate([IMAGES, IMAGES])[:300]
  for name, function in functions.items():
    result = function(x)
    assert len(result) == 300 and len(function(x[:0])) == 0, name
    for n in (1, 7):
      np.testing.assert_array_equal(function(x[:n]), result[:n], err_msg=name)
  z = run.encode(x)
  np.testing.assert_array_equal(run.decode(z[:7]), run.decode(z)[:7])
  results = {name: function(x[:20]) for name, function in functions.items()}
  monkeypatch.setattr(run, '_at_once', 8)
  monkeypatch.setattr(programs, 'SCORED', 7)
  for name, function in functions.items():
    np.testing.assert_allclose(function(x[:20]), results[name], rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize('scale', transforms.SCALES)
def test_encode_and_decode_agree_at_every_scale(scale):
  run = untrained('vae', **{'data.scale': scale})
  x, (low, high) = IMAGES[:9], transforms.SCALES[scale]
  z = run.encode(x)
  np.testing.assert_allclose(run.encode(x / 255), z, atol=1e-5)
  np.testing.assert_array_equal(run.encode(x[..., 0]), z)
  found = run.decode(z)
  np.testing.assert_allclose(found, run.reconstruct(x), atol=1e-6)
  assert found.dtype == np.float32 and 0 <= found.min() < found.max() <= 1
  levels = np.round(x / 255 * 16) / 16  # the 17 of digits
  batch = {'image': low + (high - low) * jnp.asarray(levels, jnp.float32)}
  ask = lambda name: run.method.predict[name](run.variables, batch, jax.random.key(0))
  np.testing.assert_allclose(z, ask('encode')['mean'], atol=1e-4)
  wanted = (ask('reconstruct')['image'] - low) / (high - low)
  np.testing.assert_allclose(found, wanted.clip(0, 1), atol=1e-5)


def test_the_same_seed_gives_the_same_samples_in_python_and_in_the_shell(run, trained, tmp_path):
  samples = run.sample(300, seed=5)
  np.testing.assert_array_equal(run.sample(7, seed=5), samples[:7])
  assert np.abs(run.sample(7, seed=6) - samples[:7]).max() > 1e-3
  out = tmp_path / 'x.npy'
  words = 'sample', f'--workdir={trained}', f'--out={out}'
  assert main([*words, '--n=300', '--seed=5']) == 0
  np.testing.assert_array_equal(np.load(out), samples)
  assert main([*words, '--n=3', '--draw', '--temperature=0.5']) == 0
  np.testing.assert_array_equal(run.sample(3, draw=True, temperature=0.5), np.load(out))


def test_many_threads_may_use_one_run(trained):
  run = vaejax.load(trained)  # of which nothing is compiled yet
  ask = lambda i: (run.encode(IMAGES[i : i + 9]), run.sample(5, seed=i))
  with ThreadPoolExecutor(8) as threads:
    found = list(threads.map(ask, range(16)))
  for i, (z, x) in enumerate(found):
    np.testing.assert_array_equal(z, ask(i)[0])
    np.testing.assert_array_equal(x, ask(i)[1])


def test_weights_and_checkpoints(trained):
  raw = vaejax.load(trained, weights='raw')
  saved = open_run(trained, print).state
  for run, variables in ((vaejax.load(trained), saved.ema), (raw, saved.variables)):
    jax.tree.map(np.testing.assert_array_equal, run.variables, variables)
  assert (raw.step, vaejax.load(trained, checkpoint=10).step) == (20, 10)
  assert 'vae of digits, step 20' in repr(raw)


MISTAKES = {
  'one image': (lambda r: r.encode(IMAGES[0]), r'\[8, 8, 1\].* needs \[N, 8, 8, 1\]. .*images\[No'),
  'size': (lambda r: r.encode(IMAGES[:, 1:]), r'\[N, 8, 8, 1\]'),
  'bytes as floats': (lambda r: r.encode(IMAGES * 1.0), 'from 0 to 255.*Divide by 255'),
  'whole numbers': (lambda r: r.encode(IMAGES.astype(int)), 'int64.*needs uint8, or floats'),
  'bool': (lambda r: r.encode(IMAGES > 0), 'bool.*needs uint8, or floats'),
  'text': (lambda r: r.encode(['a', 'b']), 'an array of numbers'),
  'ragged': (lambda r: r.encode([[1], [1, 2]]), 'is not an array'),
  'nan': (lambda r: r.encode(np.full((1, 8, 8, 1), np.nan)), 'non-finite'),
  'label': (lambda r: r.encode(IMAGES, label=3), "cannot be given 'label'"),
  'latents': (lambda r: r.decode(np.zeros((3, 9))), r'needs \[N, 4\]'),
  'latents, dtype': (lambda r: r.decode(np.zeros((3, 4), bool)), 'needs real numbers'),
  'n': (lambda r: r.sample(-1), 'n=-1 is not a whole number from 0'),
  'temperature': (lambda r: r.sample(1, temperature=np.nan), 'temperature=nan'),
  'seed': (lambda r: r.sample(1, seed=2**32), 'seed=4294967296'),
  'samples': (lambda r: r.log_prob(IMAGES, samples=0), 'samples=0'),
  'program': (lambda r: r.classify(IMAGES), 'vae has no classify. Use one of encode, decode'),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_a_mistake_is_one_line(run, name):
  call, message = MISTAKES[name]
  with pytest.raises(vaejax.UserError, match=message) as error:
    call(run)
  assert '\n' not in str(error.value)


def test_what_cannot_be_loaded(trained, tmp_path):
  for call, message in (
    (lambda: vaejax.load(tmp_path / 'none'), 'no workdir'),
    (lambda: vaejax.load(trained, 7), 'Use latest, best or one of the steps 10, 20'),
    (lambda: vaejax.load(trained, member=1), 'is not a sweep'),
    (lambda: vaejax.load(trained, weights='mean'), "weights='mean' is unknown. Use ema or raw"),
  ):
    with pytest.raises(vaejax.UserError, match=message):
      call()


def test_an_unreadable_checkpoint_is_a_warning(copied):
  for path in (copied / 'checkpoints' / '20' / 'state').rglob('*'):
    if path.is_file():
      path.unlink()
  with pytest.warns(UserWarning, match='using the one before it') as found:
    assert vaejax.load(copied).step == 10
  assert found[0].filename == __file__


def test_a_label_can_be_one_for_all_examples():
  run, x = untrained('cvae'), IMAGES[:5]
  three, each = run.encode(x, label=3), run.encode(x, label=[3, 3, 3, 4, 3])
  np.testing.assert_array_equal(three[:3], each[:3])
  assert np.abs(three[3] - each[3]).max() > 1e-4
  assert run.decode(three, label=np.full(5, 3)).shape == (5, 8, 8, 1)
  assert run.log_prob(x, label=3, samples=2).shape == (5,)
  assert np.abs(run.sample(4, label=1) - run.sample(4, label=2)).max() > 1e-4
  for label, message in (
    (None, 'needs the label of every example'),
    (10, 'Use 0 to 9'),
    ([1, 2], r'a label for each example, \[5\]'),
    (1.5, 'whole numbers'),
  ):
    with pytest.raises(vaejax.UserError, match=message):
      run.encode(x, label=label)
  with pytest.raises(vaejax.UserError, match=r"'lable' \(did you mean 'label'\?\)"):
    run.encode(x, lable=3)


def test_latents_of_several_parts_are_a_tuple():
  run, x = untrained('m2'), IMAGES[:5]
  label, code = run.encode(x)
  assert (label.dtype, code.dtype) == (np.int32, np.float32)
  np.testing.assert_array_equal(label, run.classify(x).argmax(1))
  np.testing.assert_allclose(run.classify(x).sum(1), 1, atol=1e-5)
  np.testing.assert_allclose(run.decode((label, code)), run.reconstruct(x), atol=1e-6)
  with pytest.raises(vaejax.UserError, match='a tuple of 2 arrays'):
    run.decode(code)
  with pytest.raises(vaejax.UserError, match=r'latents\[0\].*whole numbers'):
    run.decode((label * 1.0, code))


def test_what_a_gan_can_do():
  run = untrained('gan')
  assert run.sample(3).shape == (3, 8, 8, 1)
  for ask in (run.encode, run.log_prob, run.reconstruct):
    with pytest.raises(vaejax.UserError, match=r'a run of gan has no .*\. Use one of sample'):
      ask(IMAGES)


def test_log_prob_of_a_binary_run_needs_binary_images():
  run = untrained('vae', binarise='threshold', likelihood='bernoulli')
  binary = (IMAGES[:4] > 127).astype(np.float32)
  found = run.log_prob(binary, samples=3)
  np.testing.assert_allclose(run.log_prob((255 * binary).astype(np.uint8), samples=3), found)
  with pytest.raises(vaejax.UserError, match='Binarise them first'):
    run.log_prob(IMAGES[:4], samples=3)


@pytest.mark.slow
def test_transfer():
  run = untrained('style')
  x = np.random.default_rng(0).random((3, *run.example.fields['image'].shape), np.float32)
  found = run.transfer(x, x[::-1])
  assert found.shape == x.shape and 0 <= found.min() <= found.max() <= 1
  assert np.abs(found - run.transfer(x, x)).max() > 1e-5
  with pytest.raises(vaejax.UserError, match='3 images and 2 style images'):
    run.transfer(x, x[:2])


@pytest.mark.slow
def test_samples_continue_given_frames():
  run = untrained('rvae')
  x = np.random.default_rng(0).random((3, *run.example.fields['video'].shape), np.float32)
  found = run.sample(3, video=x[:, :2])
  np.testing.assert_allclose(found[:, :2], x[:, :2], atol=1e-6)
  assert run.encode(x).shape[:2] == x.shape[:2] and run.reconstruct(x).shape == x.shape
  for frames, message in ((x, 'needs .N, 1 to 5, '), (x[:2, :2], '2 examples, but there are 3')):
    with pytest.raises(vaejax.UserError, match=message):
      run.sample(3, video=frames)


def test_the_import_waits_until_something_is_used():
  code = 'import sys, vaejax; print(sorted({"jax", "numpy", "flax", "ml_collections"} & {*sys.modu'
  code += 'les})); vaejax.load; print("jax" in sys.modules, set(vaejax.__all__) - {*dir(vaejax)})'
  out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
  assert out.stdout == '[]\nTrue set()\n', out.stderr
  with pytest.raises(AttributeError, match="no attribute 'lode'"):
    vaejax.lode  # noqa: B018


def test_black_and_white_may_be_0_and_1_as_in_the_data():
  x = np.random.default_rng(0).integers(0, 2, (5, 4, 4, 1), np.uint8)
  binary = Example({'image': jax.ShapeDtypeStruct((4, 4, 1), np.float32)}, None, levels=2)
  for given in (x, x.astype(bool), x * np.uint8(255)):
    np.testing.assert_array_equal(inputs.pixels('images', given, binary), x * 255)
  grey = binary._replace(levels=256)
  np.testing.assert_array_equal(inputs.pixels('images', x, grey), x)
