"""The scripts beside ONNX files make the run's pictures where there is nothing of ours."""

import runpy
import shutil
import subprocess
import sys
import venv

import numpy as np
import ort_web
import pytest
from PIL import Image
from untrained import untrained

from vaejax.export import runners
from vaejax.export.artifact import File
from vaejax.export.ports import BATCH, Port
from vaejax.export.write import write
from vaejax.units import Units

ABSENT = """
import importlib.util
assert not any(map(importlib.util.find_spec, ('jax', 'vaejax', 'PIL'))), 'more than onnxruntime'
"""


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
  """exported(run) -> the folder of its ONNX files."""
  pytest.importorskip('jax2onnx')
  folders = {}

  def export(name):
    if name not in folders:
      folders[name] = tmp_path_factory.mktemp('onnx')
      functions = ('sample',) if name == 'gan.py:smoke' else ('decode',)
      write(untrained(name), ('onnx',), folders[name], functions)
    return folders[name]

  return export


@pytest.fixture(scope='module')
def bare_python(tmp_path_factory):
  """Python with onnxruntime alone."""
  folder = tmp_path_factory.mktemp('venv')
  venv.create(folder, with_pip=False)
  python = folder / 'bin' / 'python'
  command = [sys.executable, '-m', 'pip', '--python', str(python), 'install', '-q', 'onnxruntime']
  done = subprocess.run(command, capture_output=True, text=True)
  if done.returncode:
    pytest.skip(f'pip cannot install onnxruntime: {done.stderr.strip()[-300:]}')
  return python


def by_python(python, exported, folder) -> np.ndarray:
  folder.mkdir()
  subprocess.run([python, '-I', '-c', ABSENT], check=True)
  subprocess.run([python, '-I', exported / 'run.py'], check=True, cwd=folder)
  return read(folder)


def by_node(exported, folder) -> np.ndarray:
  if not shutil.which('node'):
    pytest.skip('there is no Node on this machine')
  # Node looks for packages beside the script, wherever it is started.
  shutil.copytree(exported, folder)
  (folder / 'node_modules').symlink_to(ort_web.folder().absolute() / 'node_modules')
  subprocess.run(['node', 'run.mjs'], check=True, cwd=folder)
  return read(folder)


def read(folder) -> np.ndarray:
  with Image.open(folder / 'pictures.ppm') as picture:
    return np.asarray(picture).astype(int)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['cvae.py:smoke', 'gan.py:smoke'])
def test_python_and_node_make_the_pictures_of_the_run(
  exported, bare_python, name, tmp_path, monkeypatch
):
  pytest.importorskip('onnxruntime')
  folder = exported(name)
  pictures = [by_python(bare_python, folder, tmp_path / 'python')]
  pictures.append(by_node(folder, tmp_path / 'node'))
  assert pictures[0].std() > 1 and np.abs(pictures[0] - pictures[1]).max() <= 1
  monkeypatch.chdir(tmp_path)
  inputs = runpy.run_path(str(folder / 'run.py'))['inputs']
  noise = inputs.get('noise', inputs.get('latents'))
  assert abs(noise.mean()) < 0.4 and 0.7 < noise.std() < 1.3
  if name == 'gan.py:smoke':
    return  # a run is never given its noise
  x = np.repeat(untrained(name).decode(inputs['latents'], label=inputs['label']), 3, -1)
  assert np.abs(pictures[0] - 255 * x.reshape(pictures[0].shape)).max() <= 1


def test_the_scripts_know_their_model(tmp_path):
  label = Port('label', (BATCH,), '', 'int32', 0, 6)
  z = Port('latents', (BATCH, 2), '')
  example = untrained('cvae.py:smoke').example
  written = runners.write([File(tmp_path / 'decode.onnx', 'decode', (z, label))], example, tmp_path)
  assert [file.path.name for file in written] == ['run.mjs', 'run.py']
  for file in written:
    text, template = file.path.read_text(), (runners.TEMPLATES / file.path.name).read_text()
    changed = set(text.splitlines()) - set(template.splitlines())
    assert len(changed) == 1 and "'decode.onnx', 7, 0.0, 1.0" in changed.pop()
    assert len(text.splitlines()) <= 32


def test_what_random_numbers_do_not_suit_has_no_scripts(tmp_path):
  example = untrained('cvae.py:smoke').example
  files = [
    File(tmp_path / 'decode.onnx', 'decode', (Port('latents', (BATCH, 2), '', 'int32'),)),
    File(tmp_path / 'sample.onnx', 'sample', (Port('noise', (2,), ''),), (), {'noise': 'gumbel'}),
  ]
  assert runners.write(files, example, tmp_path) == [] and not list(tmp_path.iterdir())


def test_pictures_of_real_numbers_show_the_range_of_their_units():
  units = Units('asinh', (2.0,), (0.5,), (3.0,), (-1.0,), (1.0,))
  low, high = runners.shown_range(untrained('cvae.py:smoke').example._replace(units=units))
  assert np.allclose(units.picture(units.forward([low, high])), [0, 1], atol=1e-6)
