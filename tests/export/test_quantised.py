"""Quantised exports: what they may change, how much smaller they are, and what the card says."""

import json

import numpy as np
import pytest
from untrained import untrained

from vaejax.cli.main import main
from vaejax.errors import UserError
from vaejax.export import feeds, latency, quality
from vaejax.export.formats import npz
from vaejax.export.quantise import float16, int8_weights
from vaejax.export.write import write

KINDS = 'float16', 'int8_weights', 'int8'
CONV = 'vae.py:smoke,net=conv,model.channels=16,32'


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
  """A run with convolutions, decode and elbo in all kinds, and the lines that were logged."""
  pytest.importorskip('jax2onnx')
  out, lines = tmp_path_factory.mktemp('exported'), []
  settings = {'quantise': KINDS, 'split': 'train'}
  write(untrained(CONV), ('onnx', 'npz'), out, ('decode', 'elbo'), '', settings, lines.append)
  assert all(line.startswith('without a judge: ') for line in lines)
  return out


def test_int8_is_within_half_a_step_of_each_channel():
  x = np.random.default_rng(0).normal(size=(3, 3, 5, 7)).astype(np.float32)
  x *= np.logspace(-20, 20, 7, dtype=np.float32)
  x[..., 2] = 0
  for axis in (-1, 0, 3):
    small, scale = int8_weights.rounded(x, axis)
    shape = [1] * 4
    shape[axis] = -1
    step = scale.reshape(shape)
    assert small.dtype == np.int8 and scale.shape == (x.shape[axis],)
    assert (np.abs(small * step - x) <= 0.5001 * step).all()
  assert np.abs(small).max(axis=(0, 1, 2)).tolist() == [127, 127, 0, 127, 127, 127, 127]


def test_float16_is_within_rounding_and_keeps_what_is_too_large():
  x = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
  large, whole = np.full(100, 1e5, np.float32), np.arange(100)
  made = float16.arrays({'x': x, 'large': large, 'whole': whole})
  assert made['x'].dtype == np.float16 and np.abs(made['x'] - x).max() <= 2**-11 * np.abs(x).max()
  assert made['large'] is large and made['whole'] is whole


@pytest.mark.slow
def test_weights_are_read_as_the_card_says(exported):
  named = npz.named(untrained(CONV).variables)
  card = json.loads((exported / 'card.json').read_text())
  reading = {file['path']: file['reading'] for file in card['files'] if 'reading' in file}
  assert set(reading) == {'weights.float16.npz', 'weights.int8.npz'}
  assert "arrays[name].astype('float32') * arrays[name + '/scale']" in reading['weights.int8.npz']
  with np.load(exported / 'weights.int8.npz') as arrays:
    for name, x in named.items():
      y = arrays[name].astype('float32')
      scale = arrays[f'{name}/scale'] if f'{name}/scale' in arrays else np.float32(0)
      y = y * scale if scale.any() else y
      assert y.shape == x.shape and (np.abs(y - x) <= 0.501 * scale).all()
    assert any(x.dtype == np.int8 for x in arrays.values())
  with np.load(exported / 'weights.float16.npz') as arrays:
    assert all(np.allclose(arrays[name], x, rtol=1e-3, atol=1e-6) for name, x in named.items())


def test_weights_alone_need_no_runtime(tmp_path):
  write(untrained(CONV), ('npz',), tmp_path, ('decode',), '', {'quantise': ('int8',)})
  assert {path.name for path in tmp_path.glob('*.npz')} == {'weights.npz', 'weights.int8.npz'}
  page = (tmp_path / 'card.md').read_text()
  assert 'Read `weights.int8.npz`' in page and 'Milliseconds' not in page


@pytest.mark.slow
def test_functions_stay_near_those_in_float32(exported):
  run = untrained(CONV)
  z = run.encode(feeds.read_rows(run, 'train', 64)['image'])
  expected = run.decode(z)
  for kind, most in {'float16': 1e-4, 'int8_weights': 1e-3, 'int8': 0.01}.items():
    session = latency.session(exported / f'decode.{kind}.onnx')
    (made,) = session.run(None, {'latents': z})
    assert 0 < np.abs(made - expected).max() < most, kind


@pytest.mark.slow
def test_files_are_smaller_and_the_card_says_what_they_cost(exported):
  card = json.loads((exported / 'card.json').read_text())
  files = {file['path']: file for file in card['files']}
  size = {name: file['bytes'] for name, file in files.items()}
  assert size['elbo.float16.onnx'] < 0.75 * size['elbo.onnx']
  assert size['elbo.int8.onnx'] < size['elbo.float16.onnx']
  assert size['weights.int8.npz'] < 0.4 * size['weights.npz']
  timed = [file for file in files.values() if 'milliseconds' in file]
  assert len(timed) == 8
  for file in timed:
    milliseconds = file['milliseconds']
    assert len(milliseconds) == 4 and all(0 < x < 10_000 for x in milliseconds.values())
    assert milliseconds['batch 64, 1 thread'] > milliseconds['batch 1, 1 thread']
  for kind in KINDS:
    file = files[f'elbo.{kind}.onnx']
    change = file['elbo']['value'] - files['elbo.onnx']['elbo']['value']
    assert file['elbo_change']['value'] == pytest.approx(change, abs=1e-3)
    assert file['elbo_change']['error'] < file['elbo']['error']
    assert file['quantised'] == kind and 'difference' not in file
  assert card['quantised']['calibrated_on'] == '512 rows of train'
  page = (exported / 'card.md').read_text()
  assert '| decode.int8.onnx |' in page and 'is fastest with the session option' in page
  assert (
    "- Left out: the judge's agreement and the Fréchet distance, because there is no judge" in page
  )


def test_wrong_kinds_and_missing_rows_are_one_line(copied, tmp_path, capsys):
  command = ['export', f'--workdir={copied}', f'--out={tmp_path}/out']
  wrong = {
    '--to=onnx --quantise=int9': "--quantise='int9' is unknown (did you mean 'int8'?)",
    '--to=stablehlo --quantise=int8': '--quantise=int8 is for the formats onnx and npz. Add one',
    '--to=onnx --quantise=int8 --split=nope': '--quantise=int8 needs rows of data: ',
  }
  for words, text in wrong.items():
    assert main([*command, *words.split()]) == 2
    error = capsys.readouterr().err
    assert text in error and error.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_a_run_without_its_data_has_no_values_and_a_reason(tmp_path):
  run = untrained(CONV)
  config = run.config.copy_and_resolve_references()
  config.data.name = f'{tmp_path}/gone'
  lost = object.__new__(type(run))
  lost.__dict__ |= run.__dict__ | {'config': config}
  lines = []
  held = quality.held_out(lost, lines.append)
  assert held.rows is None and str(tmp_path) not in held.reason
  assert len(lines) == 1 and f'{tmp_path}/gone' in lines[0]
  with pytest.raises(UserError):
    feeds.read_rows(lost, 'train', 4)


@pytest.mark.slow
def test_a_video_is_quantised_step_by_step(tmp_path):
  pytest.importorskip('jax2onnx')
  run, lines = untrained('rvae.py:smoke'), []
  settings = {'quantise': ('int8',), 'split': 'train'}
  write(run, ('onnx',), tmp_path, ('observe', 'advance'), '', settings, lines.append)
  assert all(line.startswith('without a judge: ') for line in lines)
  files = {file['path']: file for file in json.loads((tmp_path / 'card.json').read_text())['files']}
  assert all(0 < files[f'{name}.int8.onnx']['change'] < 0.1 for name in ('observe', 'advance'))
