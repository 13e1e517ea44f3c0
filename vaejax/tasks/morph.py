"""Make a looping GIF that walks through latent space, or from picture to picture.

Without --inputs and --split it walks through draws of the prior, `walks` walks next to each other,
each through `points` draws and back to its first. With pictures it is one walk through all of them
in order. A walk follows arcs around the centre of the latents, or straight lines, see
inference/paths.py: the centre is 0 if the prior is N(0, I), else the mean of the aggregate
posterior. At pictures it slows down.

A walk of a model that is given labels keeps one class: its own, or `label`. The files have the
command in their metadata. An MP4 needs the extra `video`.
"""

from pathlib import Path

import jax
import numpy as np

from vaejax.data import classes
from vaejax.errors import UserError
from vaejax.inference import paths, space
from vaejax.reporting import images, movie, previews
from vaejax.task_type import Result, Setting

SETTINGS = {
  'points': Setting(6, 'draws of the prior in a walk', low=2, high=1000),
  'walks': Setting(9, 'walks next to each other', low=1, high=100),
  'steps': Setting(16, 'frames from one point to the next', low=1, high=1000),
  'path': Setting('spherical', 'form of a walk', tuple(paths.KINDS)),
  'temperature': Setting(1.0, 'scale of the draws', low=0, high=100),
  'label': Setting('', 'the class of all walks'),
  'fps': Setting(12, 'frames a second', low=1, high=50),
  'mp4': Setting(False, "write an MP4 too (pip install -e '.[video]')"),
}
ENDINGS = {'.mp4': 'mp4'}
NEEDS_PICTURES = False
ROWS = 8
SHOWN, AT_ONCE = 8, 256  # frames in the picture, frames decoded between two lines of progress


def run(model, pictures, settings, seed, progress) -> Result:
  """The frames of every walk, [walks, frames, H, W, C]."""
  space.check_continuous(model, 'morph')
  if settings['mp4']:
    movie.check()
  given_pictures = pictures.image is not None
  if given_pictures:
    if len(pictures.image) < 2:
      raise UserError('morph needs two pictures or more, or none for draws. Give another one')
    given = model.conditions(pictures.fields)
    points = jax.tree.map(lambda z: np.asarray(z)[None], model.encode(pictures.image, **given))
    given = {name: value[None] for name, value in given.items()}
  else:
    points, given = draws(model, settings, seed)
  arcs = settings['path'] == 'spherical'
  centre = space.measure(model, pictures.train, seed).centre if arcs else None
  walks, count = jax.tree.leaves(points)[0].shape[:2]
  steps, ease = settings['steps'], given_pictures
  frames = []
  for i in range(walks):
    of_walk = jax.tree.map(lambda z, i=i: z[i], points)
    z = paths.through(of_walk, steps, settings['path'], centre, closed=True, ease=ease)
    # The nearer of the two points that a frame is between gives its conditions.
    near = (np.arange(count * steps) + steps // 2) // steps % count
    frames.append(decode(model, z, {name: value[i][near] for name, value in given.items()}))
    progress(i + 1, walks)
  frames = np.stack(frames)
  x = previews.shown(frames, model.example)
  moving = np.stack([images.grid(x[:, t]) for t in range(x.shape[1])])
  few = np.linspace(0, x.shape[1], SHOWN, endpoint=False).astype(int)
  rows = [('', walk[few]) for walk in x]
  files = {'.gif': gif(moving, settings['fps'])}
  files |= {'.mp4': mp4(moving, settings['fps'])} if settings['mp4'] else {}
  return Result(frames, rows, frames=moving, files=files)


def draws(model, settings, seed: int):
  """Draws of the prior [walks, points, ...], and their conditions. Raises UserError for a model
  that is given more than labels, and for a label that does not fit."""
  if model.method.latent is None:
    raise UserError('this run has no prior to draw from. Give pictures, with --split=test')
  walks, points, example = settings['walks'], settings['points'], model.example
  needed, label = model.method.latent.conditions, settings['label']
  if other := [name for name in needed if name != 'label']:
    raise UserError(f'morph needs the {other[0]} of each picture. Give pictures with --split=test')
  if label and 'label' not in needed:
    raise UserError('this run is not given labels. Leave out label')
  fields = {}
  if needed:
    value = classes.index(label, example.class_names, example.classes) if label else None
    kinds = np.arange(walks) % example.classes if value is None else np.full(walks, value)
    fields = {'label': np.repeat(kinds.astype(np.int32), points)}
  prior, _ = model.method.latent.prior(model.variables, walks * points, fields)
  z = jax.device_get(prior.sample(jax.random.key(seed), settings['temperature']))
  split = lambda x: np.reshape(x, (walks, points, *x.shape[1:]))
  given = model.conditions(fields) if needed else {}
  return jax.tree.map(split, z), {name: split(value) for name, value in given.items()}


def decode(model, z, given) -> np.ndarray:
  """Pictures [T, H, W, C] of latents [T, ...]."""
  n, parts = len(jax.tree.leaves(z)[0]), []
  for first in range(0, n, AT_ONCE):
    part = slice(first, first + AT_ONCE)
    of_part = jax.tree.map(lambda x, part=part: np.asarray(x[part]), z)
    parts.append(model.decode(of_part, **{name: value[part] for name, value in given.items()}))
  return np.concatenate(parts)


def gif(frames: np.ndarray, fps: int):
  """The writer of a GIF of uint8 [T, h, w, C]."""

  def write(path: Path, command: str) -> None:
    images.write_gif(path, frames, command=command, milliseconds=round(1000 / fps))

  return write


def mp4(frames: np.ndarray, fps: int):
  """The writer of an MP4 of uint8 [T, h, w, C]."""

  def write(path: Path, command: str) -> None:
    movie.write_mp4(path, np.stack([images.enlarge(frame) for frame in frames]), fps, command)

  return write
