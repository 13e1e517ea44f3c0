"""Exported files, loaded again in a fresh process and compared with the run."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from vaejax.core import given_noise
from vaejax.errors import RunError
from vaejax.export.artifact import File, examples, key_of
from vaejax.export.ports import Function
from vaejax.lookup import lookup

TOLERANCE = 1e-5
ROWS = 5
SEED = 3


class Job(NamedTuple):
  """A file with inputs for it, and what the run gives for them."""

  format: str
  file: File
  inputs: list[np.ndarray]
  expected: tuple[np.ndarray, ...]


def job(format: str, file: File, function: Function) -> Job:
  """The job of a file of a function."""
  n = file.batch or ROWS
  arrays = examples(function, n)
  named = {port.name: x for port, x in zip(function.inputs, arrays, strict=True)}
  named |= {'seed': np.uint32(SEED)}
  if file.noise:
    forms = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays]
    made = given_noise.make(function.call, *forms, key=key_of(SEED))
    draws = [np.asarray(draw.sample()) for draw in made.draws]
    named |= dict(zip(file.noise, draws, strict=True))
  inputs = [named[port.name] for port in file.inputs]
  return Job(format, file, inputs, function.reference(SEED, *arrays))


def difference(outputs: Iterable[np.ndarray], expected: Iterable[np.ndarray]) -> float:
  """The largest difference of two lists of arrays, as a proportion of the largest value of each
  pair or of 1, whichever is larger. Raises RunError if shapes differ, or for a value that is not
  finite."""
  worst = 0.0
  for x, y in zip(outputs, expected, strict=True):
    if x.shape != y.shape:
      raise RunError(f'an exported function gives {list(x.shape)} instead of {list(y.shape)}')
    x, y = x.astype(np.float64), y.astype(np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
      raise RunError('an exported function, or the run itself, gives values that are not finite')
    worst = max(worst, float(np.abs(x - y).max(initial=0) / max(1.0, np.abs(y).max(initial=0))))
  return worst


def measure(jobs: list[Job]) -> list[float]:
  """The difference of each file from the run, in a fresh process that has no run. Raises RunError
  if that fails."""
  with tempfile.TemporaryDirectory() as folder:
    for number, one in enumerate(jobs):
      np.savez(f'{folder}/{number}.in.npz', **{str(i): x for i, x in enumerate(one.inputs)})
    lines = [[one.format, str(one.file.path.absolute())] for one in jobs]
    Path(folder, 'jobs.json').write_text(json.dumps(lines), encoding='utf-8')
    command = [sys.executable, '-m', 'vaejax.export.parity', folder]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    if done.returncode:
      raise RunError(f'the exported files cannot be loaded: {done.stderr.strip()[-2000:]}')
    return [difference(read(f'{folder}/{i}.out.npz'), one.expected) for i, one in enumerate(jobs)]


def environment() -> dict[str, str]:
  """That of the fresh process: this package, and the CPU, as the GPU's memory may be this one's."""
  places = [str(Path(__file__).parents[2]), os.environ.get('PYTHONPATH', '')]
  return os.environ | {'PYTHONPATH': os.pathsep.join(filter(None, places)), 'JAX_PLATFORMS': 'cpu'}


def read(path: str) -> list[np.ndarray]:
  """The arrays of a file in order."""
  with np.load(path) as arrays:
    return [arrays[str(i)] for i in range(len(arrays))]


def run_jobs(folder: str) -> None:
  """Runs the files of `measure`, and writes their outputs."""
  for number, (format, path) in enumerate(
    json.loads(Path(folder, 'jobs.json').read_text(encoding='utf-8'))
  ):
    function = lookup('export.formats', format, 'load').load(Path(path))
    outputs = function(read(f'{folder}/{number}.in.npz'))
    np.savez(f'{folder}/{number}.out.npz', **{str(i): x for i, x in enumerate(outputs)})


if __name__ == '__main__':
  run_jobs(sys.argv[1])
