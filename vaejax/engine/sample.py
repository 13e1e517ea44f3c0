"""Samples of a run, as an array or a picture; no data is read."""

import io
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.engine import images, workdir
from vaejax.engine.files import write_atomic
from vaejax.errors import UserError
from vaejax.types import averaged

AT_ONCE = 256


def sample(
  folder: Path,
  n: int,
  seed: int = 0,
  temperature: float = 1.0,
  draw: bool = False,
  weights: str = 'ema',
  label: int | None = None,
  out: Path | None = None,
  say=print,
) -> Path:
  """Writes n samples of a run's newest checkpoint and returns the path. Raises UserError.

  Args:
    folder: the run's workdir.
    n: how many images.
    seed: of the draw; the same seed gives the same images.
    temperature: scale of the prior's standard deviation.
    draw: a draw from p(x|z) rather than its mean.
    weights: 'ema', the average where one is kept, or 'raw'.
    label: the class to sample from, of a method that may be given one; None: of any.
    out: a .npy, float32 [n, H, W, C] in [0, 1], or a .png grid; default in the workdir.
  """
  out = out or folder / 'samples.png'
  if out.suffix not in ('.png', '.npy'):
    raise UserError(f'--out={out}: it takes a name that ends in .png or .npy')
  if not out.absolute().parent.is_dir() and out.parent != folder:
    raise UserError(f'--out={out}: there is no folder {out.parent}')
  if out.is_dir():
    raise UserError(f'--out={out} is a folder: it takes the name of a file')
  run = workdir.open_run(folder, say)
  if run.method.sample is None:
    raise UserError(f'{folder} is a run of {run.config.method}, which has no samples to give')
  variables = averaged(run.state) if weights == 'ema' else run.state.variables
  size, given = min(n, AT_ONCE), {}
  if label is not None:
    check_label(run, label)
    given = {'label': jnp.full(size, label)}

  @jax.jit
  def batch(key):
    found = run.method.sample(variables, key, size, given, temperature=temperature, draw=draw)
    return found[run.example.data]

  key = jax.random.key(seed)
  parts = [np.asarray(batch(jax.random.fold_in(key, i))) for i in range(-(-n // size))]
  found = np.concatenate(parts)[:n].astype(np.float32)
  if out.suffix == '.png':
    images.write_png(out, images.grid(found))
  else:
    buffer = io.BytesIO()
    np.save(buffer, found, allow_pickle=False)
    write_atomic(out, buffer.getvalue())
  return out


def check_label(run: workdir.Run, label: int) -> None:
  """Raises UserError where a run cannot be given that label."""
  if 'label' not in run.method.given:
    raise UserError(f'--label={label}: {run.config.method} takes no label; train configs/cvae.py')
  if not 0 <= label < run.example.classes:
    raise UserError(f'--label={label} is out of range: it takes 0 to {run.example.classes - 1}')
