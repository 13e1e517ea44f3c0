"""Samples of a run, as an array, a picture or a film; only given frames are read from data."""

from pathlib import Path

import numpy as np

from vaejax.api.files import array_file, rows, writable
from vaejax.api.run import Run
from vaejax.errors import UserError
from vaejax.reporting import gif, images
from vaejax.runs import trained


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
    seed, temperature, draw: see Run.sample.
    weights: 'ema', the average where one is kept, or 'raw'.
    which: checkpoint: 'latest', 'best' or a step.
    member: of a sweep, whose samples go to its own folder by default.
    say: is told of checkpoints that are passed over.
    label: the class to sample from, of a method that may be given one; None: of any.
    given: the first frames of test videos to go on from; None: from nothing.
    futures: how often each of those n videos is continued, 1 by default.
    rollout: by the means of the prior, nothing is drawn.
    out: a .npy, float32 [n, H, W, C] as Run.sample gives them, or [n * futures, T, H, W, C] of
      videos; a .png grid, a row for each video; or a .gif of videos. Where frames are given, the
      test video is before its futures in a picture. Default: samples.png in the run's folder.
    data_dir: of the test videos, by default the run's.
  """
  run = Run(trained.open_run(folder, say, which, member=member), weights)
  n = n or (16 if run.example.data == 'video' else 64)
  out = writable(run.folder, out, 'samples.png', ('.png', '.npy', '.gif'))
  check(run, out, label, given, futures, rollout, draw)
  temperature, futures = 0.0 if rollout else temperature, futures or 1
  conditions = {} if label is None else {'label': label}
  if given:
    videos = np.concatenate([x['video'] for x in rows(run, 'test', n, data_dir)])
    if n > len(videos):
      raise UserError(f'--n={n}: the test split has {len(videos)} videos to go on from')
    conditions['video'] = np.repeat(videos[:, :given], futures, axis=0)
  settings = {'seed': seed, 'temperature': temperature, 'draw': draw}
  found = run.sample(n * futures, **settings, **conditions)
  if out.suffix == '.npy':
    return array_file(out, np.save, found)
  found = np.asarray(run.example.to_picture(run.example.to_data(found)))
  if given:
    truth = np.asarray(run.example.to_picture(run.example.to_data(videos)))[:, None]
    found = np.concatenate([truth, found.reshape(n, futures, *found.shape[1:])], axis=1)
    found = found.reshape(-1, *found.shape[2:])
  out.parent.mkdir(parents=True, exist_ok=True)
  if out.suffix == '.gif':
    gif.write_gif(out, gif.film(found, futures + 1 if given else None))
  else:
    images.write_png(out, images.grid(found))
  return out


def check(run: Run, out: Path, label, given, futures, rollout, draw) -> None:
  """Raises UserError where a run cannot be asked for that."""
  name = run.config.method
  if run.method.sample is None:
    raise UserError(f'{run.folder} is a run of {name}, which has no samples to give')
  if label is not None and 'label' not in run.method.given:
    raise UserError(f'--label={label}: this run takes no label; train one with model.conditional')
  if label is not None and not 0 <= label < run.example.classes:
    raise UserError(f'--label={label} is out of range: it takes 0 to {run.example.classes - 1}')
  if out.suffix == '.gif' and run.example.data != 'video':
    raise UserError(f'--out={out}: {name} makes images: it takes a name that ends in .png or .npy')
  asked = {'--given': given, '--futures': futures, '--rollout': rollout}
  asked = [flag for flag, value in asked.items() if value]
  if asked and 'video' not in run.method.given:
    raise UserError(f'{asked[0]}: {name} continues no videos; leave it out')
  if futures and not given:
    raise UserError('--futures continues given frames: set --given=K too')
  if rollout and (draw or (futures or 1) > 1):
    raise UserError('--rollout draws nothing: leave out --draw and --futures')
  if given and given >= (length := run.example.fields['video'].shape[0]):
    raise UserError(f'--given={given}: videos of {length} frames take 1 to {length - 1}')
