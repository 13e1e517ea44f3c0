"""Samples of a run as an array, a picture or a GIF. Only given frames and sources are read
from data."""

from pathlib import Path

import numpy as np

from vaejax.api.files import as_picture, check_out, read_rows, write_arrays
from vaejax.api.run import Run
from vaejax.errors import UserError
from vaejax.reporting import images


def write_samples(
  run: Run,
  n: int | None = None,
  out: Path | None = None,
  seed: int = 0,
  temperature: float = 1.0,
  draw: bool = False,
  label: int | str | None = None,
  given: int = 0,
  futures: int = 0,
  rollout: bool = False,
) -> Path:
  """Writes n samples of a run, by default 64 images or 16 videos, and returns the path. A run that
  needs sources is given those of test rows, at most as many as there are.

  Args:
    out: a .npy, float32 [n, H, W, C] as Run.sample returns them, or [n * futures, T, H, W, C] for
      videos; a .png grid, with a row for each video; or a .gif of videos. In a picture of
      continued videos the test video comes before its futures. By default samples.png in the run's
      folder.
    seed, temperature, draw: see Run.sample.
    label: the class to sample from, its number or name, for a conditional run; None: any class.
    given: number of first frames of test videos that the samples continue.
    futures: number of continuations of each of these n videos; 0: one.
    rollout: continue with the means of the prior instead of draws.

  Raises UserError.
  """
  n = n or (16 if run.example.data == 'video' else 64)
  out = check_out(run, out, 'samples.png', ('.png', '.npy', '.gif'))
  check(run, out, given, futures, rollout, draw)
  conditions, futures = {} if label is None else {'label': label}, futures or 1
  if given:
    videos = np.concatenate([rows['video'] for rows in read_rows(run, 'test', n)])
    if n > len(videos):
      raise UserError(
        f'cannot continue n={n} videos: the test split has {len(videos)}. Use at most as many'
      )
    conditions['video'] = np.repeat(videos[:, :given], futures, axis=0)
  if 'source' in run.method.given:
    sources = np.concatenate([rows['source'] for rows in read_rows(run, 'test', n)])
    n = len(sources)
    conditions['source'] = sources
  temperature = 0.0 if rollout else temperature
  settings = {'seed': seed, 'temperature': temperature, 'draw': draw}
  samples = run.sample(n * futures, **settings, **conditions)
  if out.suffix == '.npy':
    return write_arrays(out, np.save, samples)
  samples = as_picture(run, samples)
  if given:
    samples = samples.reshape(n, futures, *samples.shape[1:])
    samples = np.concatenate([as_picture(run, videos)[:, None], samples], axis=1)
    samples = samples.reshape(-1, *samples.shape[2:])
  out.parent.mkdir(parents=True, exist_ok=True)
  if out.suffix == '.gif':
    images.write_gif(out, images.video_grid(samples, futures + 1 if given else None))
  else:
    images.write_png(out, images.grid(samples))
  return out


def check(run: Run, out: Path, given: int, futures: int, rollout: bool, draw: bool) -> None:
  """Raises UserError for settings that do not fit the run or each other."""
  name = run.config.method
  if out.suffix == '.gif' and run.example.data != 'video':
    raise UserError(f'cannot write {out}: {name} makes images. Use a name in .png or .npy')
  if (given or futures or rollout) and 'video' not in run.method.given:
    raise UserError(f'{name} cannot continue videos. Leave out given, futures and rollout')
  if futures and not given:
    raise UserError(f'futures={futures} continue given frames. Set given too, for example given=5')
  if rollout and (draw or futures > 1):
    raise UserError('a rollout has no random draws. Leave out draw and futures')
  if given and given >= (frames := run.example.fields['video'].shape[0]):
    raise UserError(
      f'given={given} is too much for videos of {frames} frames. Use 1 to {frames - 1}'
    )
