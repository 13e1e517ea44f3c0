"""Samples of a run, as an array, a picture or a film; only given frames are read from data."""

import io
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.engine import animate, images, opening
from vaejax.engine.files import write_atomic
from vaejax.errors import UserError
from vaejax.types import averaged

AT_ONCE = 256  # images, or frames of videos


def sample(
  folder: Path,
  n: int | None = None,
  seed: int = 0,
  temperature: float = 1.0,
  draw: bool = False,
  weights: str = 'ema',
  which: str = 'latest',
  label: int | None = None,
  given: int | None = None,
  futures: int | None = None,
  rollout: bool = False,
  out: Path | None = None,
  data_dir: str | None = None,
  member: int | None = None,
  say=print,
) -> Path:
  """Writes n samples of a checkpoint of a run and returns the path. Raises UserError.

  Args:
    folder: the run's workdir.
    n: how many, by default 64 images or 16 videos.
    seed: of the draw; the same seed gives the same images.
    temperature: scale of the prior's standard deviation.
    draw: a draw from p(x|z) rather than its mean.
    weights: 'ema', the average where one is kept, or 'raw'.
    which: checkpoint: 'latest', 'best' or a step.
    label: the class to sample from, of a method that may be given one; None: of any.
    given: the first frames of test videos to go on from; None: from nothing.
    futures: how often each of those n videos is continued, 1 by default.
    rollout: by the means of the prior, nothing is drawn.
    out: a .npy, float32 [n, H, W, C] in [0, 1], or [n * futures, T, H, W, C] of videos; a .png
      grid, a row for each video; or a .gif of videos. Where frames are given, the test video is
      before its futures in a picture. Default: samples.png in the workdir.
    data_dir: of the test videos, by default the run's.
    member: of a sweep, whose samples go to its own folder by default.
  """
  run = opening.open_run(folder, say, which, member=member)
  n = n or (16 if run.example.data == 'video' else 64)
  out = writable(run.folder, out)
  if run.method.sample is None:
    raise UserError(f'{folder} is a run of {run.config.method}, which has no samples to give')
  check(run, out, label, given, futures, rollout, draw)
  variables = averaged(run.state) if weights == 'ema' else run.state.variables
  temperature, futures = 0.0 if rollout else temperature, futures or 1
  *frames, _, _, _ = run.example.fields[run.example.data].shape
  out.parent.mkdir(parents=True, exist_ok=True)
  total = n * futures
  size = min(total, max(1, AT_ONCE // (frames or [1])[0]))
  parts = -(-total // size)
  videos = test_videos(run, n, data_dir) if given else None

  @jax.jit
  def batch(key, first):
    conditions = first if label is None else {**first, 'label': jnp.full(size, label)}
    settings = {'temperature': temperature, 'draw': draw}
    x = run.method.sample(variables, key, size, conditions, **settings)[run.example.data]
    return run.example.to_unit(x)

  key, found = jax.random.key(seed), []
  for i in range(parts):
    rows = np.minimum(np.arange(i * size, (i + 1) * size), total - 1) // futures
    first = {'video': videos[rows, :given]} if given else {}
    found.append(np.asarray(batch(jax.random.fold_in(key, i), first)))
  found = np.concatenate(found)[:total].astype(np.float32)
  if out.suffix == '.npy':
    buffer = io.BytesIO()
    np.save(buffer, found, allow_pickle=False)
    write_atomic(out, buffer.getvalue())
    return out
  if given:
    truth = np.asarray(run.example.to_unit(videos))[:, None]
    rows = np.concatenate([truth, found.reshape(n, futures, *found.shape[1:])], axis=1)
    found = rows.reshape(-1, *found.shape[1:])
  if out.suffix == '.gif':
    animate.write_gif(out, animate.film(found, futures + 1 if given else None))
  else:
    images.write_png(out, images.grid(found))
  return out


def writable(folder: Path, out: Path | None) -> Path:
  """Where samples are written. Raises UserError where they cannot be."""
  out = out or folder / 'samples.png'
  if out.suffix not in ('.png', '.npy', '.gif'):
    raise UserError(f'--out={out}: it takes a name that ends in .png or .npy, or .gif for videos')
  if not out.absolute().parent.is_dir() and out.parent != folder:
    raise UserError(f'--out={out}: there is no folder {out.parent}')
  if out.is_dir():
    raise UserError(f'--out={out} is a folder: it takes the name of a file')
  return out


def check(run: opening.Run, out: Path, label, given, futures, rollout, draw) -> None:
  """Raises UserError where a run cannot be asked for that."""
  name = run.config.method
  if label is not None and 'label' not in run.method.given:
    other = 'gan.py:conditional' if name == 'gan' else 'cvae.py'
    raise UserError(f'--label={label}: {name} takes no label; train configs/{other}')
  if label is not None and not 0 <= label < run.example.classes:
    raise UserError(f'--label={label} is out of range: it takes 0 to {run.example.classes - 1}')
  if out.suffix == '.gif' and run.example.data != 'video':
    raise UserError(f'--out={out}: {name} makes images: it takes a name that ends in .png or .npy')
  asked = {'--given': given, '--futures': futures, '--rollout': rollout}
  asked = [flag for flag, value in asked.items() if value]
  if asked and 'video' not in run.method.given:
    raise UserError(f'{asked[0]}: {name} continues no videos; train configs/rvae.py')
  if futures and not given:
    raise UserError('--futures continues given frames: set --given=K too')
  if rollout and (draw or (futures or 1) > 1):
    raise UserError('--rollout draws nothing: leave out --draw and --futures')
  if given and given >= (length := run.example.fields['video'].shape[0]):
    raise UserError(f'--given={given}: videos of {length} frames take 1 to {length - 1}')


def test_videos(run: opening.Run, n: int, data_dir: str | None) -> np.ndarray:
  """The first n videos of the test split, [n, T, H, W, C], as the method takes them."""
  _, source = opening.open_split(run, 'test', data_dir)
  if n > source.size:
    raise UserError(f'--n={n}: the test split has {source.size} videos to go on from')
  batch = jax.jit(source.rows)(next(iter(source.blocks(n))), jnp.arange(n))
  return np.asarray(batch['video'])
