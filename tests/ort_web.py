"""The npm package onnxruntime-web, which browsers and Node run models with."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = Path('node_modules', 'onnxruntime-web')


@functools.cache
def folder() -> Path:
  """A folder with onnxruntime-web in its node_modules: VAEJAX_ORT, or one that npm fills now. Skips
  the test where there is neither."""
  if given := os.environ.get('VAEJAX_ORT'):
    if not Path(given, PACKAGE).is_dir():
      pytest.skip(f'VAEJAX_ORT={given} has no {PACKAGE}')
    return Path(given)
  if not shutil.which('npm'):
    pytest.skip('no npm, which would install onnxruntime-web; VAEJAX_ORT names no folder either')
  made = Path(os.environ['XDG_CACHE_HOME'], 'onnxruntime-web')
  made.mkdir(parents=True, exist_ok=True)
  command = ['npm', 'install', '--no-audit', '--no-fund', '--prefix', str(made), 'onnxruntime-web']
  done = subprocess.run(command, capture_output=True, text=True, timeout=300)
  if done.returncode:
    pytest.skip(f'npm cannot install onnxruntime-web: {done.stderr.strip()[-300:]}')
  return made


def package() -> Path:
  """The folder of the package."""
  return folder() / PACKAGE
