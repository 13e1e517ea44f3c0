"""Inputs of exported functions from rows of data, to calibrate and compare them."""

from collections.abc import Mapping

import jax
import numpy as np

from vaejax.api.files import labelled, rows_of
from vaejax.core.passes import spaced
from vaejax.export import functions
from vaejax.export.artifact import File
from vaejax.runs import trained

MAX_FRAMES = 8  # of each video

Rows = Mapping[str, np.ndarray]


def read_rows(run, split: str, n: int) -> dict[str, np.ndarray]:
  """n rows of a split of the run's data, or all if there are fewer, equally spaced, in the form
  that Run's methods take. Raises UserError if the data is not there."""
  _, source = trained.open_split(run, split, log=run.log)
  chosen = spaced(source, min(n, source.size))
  parts = list(labelled(run, split, rows_of(run, chosen)))
  return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def make(run, file: File, rows: Rows, seed: int) -> list[dict[str, np.ndarray]]:
  """Inputs of a file for these rows, {input: array} in order, drawn with a seed. There are several
  for a function that goes through a video."""
  names = {port.name for port in file.inputs}
  if any(name.startswith('carry_') for name in names):
    return frames(run, file, rows, seed)
  n = len(rows[run.example.data])
  given = {**rows, 'temperature': 1.0, 'index': np.arange(n)}
  given['style_image'] = rows[run.example.data][::-1]
  if any(name.split('_')[0] == 'latents' for name in names):
    given |= latents(run, rows, seed)
  given |= noise(file, n, seed)
  return [{port.name: np.asarray(given[port.name], port.dtype) for port in file.inputs}]


def noise(file: File, n: int, seed: int) -> dict[str, np.ndarray]:
  """Standard noise for the inputs of a file that are draws, for n rows."""
  random = np.random.default_rng(seed)
  draws = {
    'normal': random.normal,
    'gumbel': random.gumbel,
    'uniform': random.uniform,
  }
  return {
    port.name: draws[file.noise[port.name]](size=port.form(n).shape).astype(port.dtype)
    for port in file.inputs
    if port.name in file.noise
  }


def latents(run, rows: Rows, seed: int) -> dict[str, np.ndarray]:
  """A draw of the latents of rows, under the names of their ports."""
  fields = {port.name: rows[port.name] for port in functions.Parts(run).given()}
  z = run.encode(rows[run.example.data], draw=True, seed=seed, **fields)
  leaves = jax.tree.leaves(z)
  return {f'latents_{i}' if len(leaves) > 1 else 'latents': x for i, x in enumerate(leaves)}


def frames(run, file: File, rows: Rows, seed: int) -> list[dict[str, np.ndarray]]:
  """Inputs of one step of a video, for the first frames of each."""
  video, random = rows[run.example.data], np.random.default_rng(seed)
  observe = functions.choose(run, ('observe',))['observe']
  step = jax.jit(lambda *arrays: observe.call(jax.random.key(0), *arrays))
  *carry, _, noise = (np.zeros(port.form(len(video)).shape, port.dtype) for port in observe.inputs)
  steps = []
  for frame in video[:, :MAX_FRAMES].swapaxes(0, 1):
    noise = random.normal(size=noise.shape).astype(np.float32)
    given = {f'carry_{i}': x for i, x in enumerate(carry)} | {'frame': frame, 'noise': noise}
    steps.append({port.name: np.asarray(given[port.name], port.dtype) for port in file.inputs})
    carry = [np.asarray(x) for x in step(*carry, frame, noise)]
  return steps
