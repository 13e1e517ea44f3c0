"""Exported functions give what the run gives, in each format."""

import json

import jax
import numpy as np
import pytest

import vaejax
from vaejax.cli.main import main
from vaejax.errors import RunError, UserError
from vaejax.export import functions, parity
from vaejax.export.artifact import Export
from vaejax.export.formats import npz, onnx, stablehlo
from vaejax.export.write import write


@pytest.fixture(scope='module')
def run(trained):
  return vaejax.load(trained)


@pytest.fixture(scope='module')
def exported(run, tmp_path_factory):
  """That run as StableHLO and weights."""
  out = tmp_path_factory.mktemp('exported')
  write(run, ('stablehlo', 'npz'), out, licence='CC0-1.0')
  return out


def test_stablehlo_is_the_run_for_any_number_of_rows(run, exported):
  decode = stablehlo.load(exported / 'decode.stablehlo')
  for n in (1, 7):
    z = np.random.default_rng(n).normal(size=(n, 4)).astype('f')
    np.testing.assert_allclose(decode([z])[0], run.decode(z), atol=1e-5)


def test_stablehlo_samples_from_a_seed(run, exported):
  sample = stablehlo.load(exported / 'sample.stablehlo')
  rows = np.arange(5, dtype='i4'), np.float32(0.7)
  expected = run.sample(5, seed=9, temperature=0.7)
  np.testing.assert_allclose(sample([np.uint32(9), *rows])[0], expected, atol=1e-5)
  assert np.abs(sample([np.uint32(8), *rows])[0] - expected).max() > 1e-3


def test_stablehlo_is_for_three_kinds_of_devices(exported):
  data = bytearray((exported / 'decode.stablehlo').read_bytes())
  assert set(jax.export.deserialize(data).platforms) == {'cpu', 'cuda', 'tpu'}


def test_weights_are_those_of_the_run(run, exported):
  with np.load(exported / 'weights.npz', allow_pickle=False) as arrays:
    names = npz.named(run.variables)
    assert set(arrays) == set(names) and len(names) == 8
    for name, x in names.items():
      np.testing.assert_array_equal(arrays[name], x)


def test_the_card_says_what_it_is(run, exported):
  card = json.loads((exported / 'card.json').read_text())
  assert card['licence'] == 'CC0-1.0' and card['step'] == 20 and card['data']['rows'] > 1000
  assert set(card['functions']) == set(functions.make(run))
  (image,) = card['functions']['encode']['inputs']
  assert image['shape'] == ['batch', 8, 8, 1] and (image['low'], image['high']) == (0, 1)
  of_functions = [file for file in card['files'] if 'function' in file]
  assert len(of_functions) == 5 and all(0 <= f['difference'] <= 1e-5 for f in of_functions)
  assert card['values']['elbo']['split'] == 'test'
  text = (exported / 'card.md').read_text()
  assert 'Licence of the weights: CC0-1.0' in text and '| decode.stablehlo |' in text


def test_a_wrong_file_is_seen(run, tmp_path):
  chosen = functions.choose(run, ('decode',))
  (file,) = stablehlo.write(Export(run, chosen, {}, print), tmp_path)
  job = parity.job('stablehlo', file, chosen['decode'])
  assert parity.measure([job])[0] <= 1e-5
  wrong = job._replace(expected=tuple(x + 1e-3 for x in job.expected))
  assert parity.measure([wrong])[0] > 1e-4
  for bad in (np.nan, np.inf):
    with pytest.raises(RunError, match='not finite'):
      parity.difference([np.zeros(2)], [np.asarray([bad, 0])])
  with pytest.raises(RunError, match='instead of'):
    parity.measure([job._replace(expected=(job.expected[0][:2],))])
  file.path.write_bytes(b'broken')
  with pytest.raises(RunError, match='cannot be loaded'):
    parity.measure([job])


@pytest.mark.parametrize(
  ('words', 'message'),
  [
    (['--to=tflite'], "--to='tflite' is unknown"),
    (['--to=npz', '--functions=clasify'], 'has no clasify to export'),
    (['--to=npz', '--functions=advance'], 'Choose from decode, encode'),
    (['--to=npz', '--out={file}'], 'is a file. Use the name of a folder'),
  ],
)
def test_mistakes_are_one_line(words, message, trained, tmp_path, capsys):
  file = tmp_path / 'file'
  file.write_text('')
  words = [word.replace('{file}', str(file)) for word in words]
  assert main(['export', f'--workdir={trained}', f'--out={tmp_path / "out"}', *words]) == 2
  lines = capsys.readouterr().err.strip().splitlines()
  assert len(lines) == 1 and message in lines[0]
  assert not (tmp_path / 'out').exists()


def test_a_function_that_differs_is_an_error(run, tmp_path, monkeypatch):
  made = functions.make(run)
  decode = made['decode']
  wrong = decode._replace(call=lambda key, z: (decode.call(key, z)[0] + 1e-3,))
  monkeypatch.setattr(functions, 'make', lambda run: {'decode': wrong})
  with pytest.raises(RunError, match=r'differs from the run by 1.*do not use it'):
    write(run, ('stablehlo',), tmp_path / 'out')


def test_values_of_other_weights_are_not_in_the_card(run, exported, tmp_path, monkeypatch):
  monkeypatch.setattr(run, 'weights', 'raw' if run.weights == 'ema' else 'ema')
  write(run, ('npz',), tmp_path / 'out')
  assert json.loads((tmp_path / 'out' / 'card.json').read_text())['values'] == {}


def test_a_newer_jax_is_one_line_and_nothing_is_written(run, tmp_path, monkeypatch):
  monkeypatch.setattr(jax, '__version_info__', (0, 12, 0))
  with pytest.raises(UserError, match=r'jax2onnx 0.13, which goes with jax 0.10'):
    write(run, ('npz', 'onnx'), tmp_path / 'out')
  assert not (tmp_path / 'out').exists()


@pytest.mark.slow
@pytest.mark.parametrize(
  'config',
  [
    'cvae.py:smoke,net=conv,norm=batch,model.channels=8,16',
    'vae.py:smoke,prior=vampprior,components=10',
    'iwae.py:two,smoke',
    'rvae.py:smoke,lstm',
    'style.py:smoke',
    'gan.py:smoke,conditional',
    'unit.py:smoke',
    'm2.py:smoke',
    'vae.py:smoke,classify,net=resnet',
    'translate.py:smoke',
  ],
)
def test_onnx_of_every_family(config, tmp_path):
  if jax.__version_info__[:2] > onnx.NEWEST:
    pytest.skip('jax2onnx does not go with this jax')
  vaejax.train(f'configs/{config}', tmp_path / 'run')
  run, lines = vaejax.load(tmp_path / 'run'), []
  paths = write(run, ('onnx', 'stablehlo'), tmp_path / 'out', log=lines.append)
  made = {path.name for path in paths}
  of_one_row = [line for line in lines if 'takes 1 row' in line]
  assert lines == of_one_row and ('m2' in config) == bool(lines)
  assert made >= {f'{name}.onnx' for name in functions.make(run)}
  operations = operations_of(tmp_path / 'out')
  assert not operations & {'ConvTranspose', 'RandomNormal', 'RandomNormalLike', 'RandomUniform'}
  if 'conv' in config:
    assert 'Conv' in operations


def operations_of(folder) -> set[str]:
  """The operators of all models of a folder."""
  import onnx as format

  models = [format.load(path) for path in folder.glob('*.onnx')]
  return {node.op_type for model in models for node in model.graph.node}
