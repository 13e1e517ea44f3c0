"""The pictures that a task is given: rows of a split, files and folders, or arrays."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vaejax.api import inputs
from vaejax.api.files import labelled, read_rows
from vaejax.api.run import Run
from vaejax.data.fit import FITS, colour, fit_image, surround
from vaejax.data.paths import PICTURES
from vaejax.data.readers import listing, pictures
from vaejax.errors import UserError
from vaejax.plural import counted
from vaejax.task_type import Pictures


def of_split(run: Run, split: str, n: int | None) -> Pictures:
  """The first n rows of a split of the run's data (None: all). Raises UserError."""
  parts = list(labelled(run, split, read_rows(run, split, n)))
  fields = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
  image, name = fields.pop(run.example.data), f'{run.config.data.name} {split}'
  return Pictures(image, fields, (), split, name, partial(read_rows, run, 'train'))


def of_arrays(run: Run, field: str, shape: tuple[int, ...], x: Any, fields: Mapping) -> Pictures:
  """Arrays that a user gives: pictures [N, *shape] of a field, as Run's methods take images."""
  example = run.example
  if field == example.data and shape == example.fields[field].shape:
    x = inputs.pixels(f'{field}s', x, example)
  else:
    x = checked(f'{field}s', x, shape)
  x = np.asarray(example.to_unit(example.to_data(x)), np.float32)
  train = partial(read_rows, run, 'train')
  if field == example.data:
    return Pictures(x, dict(fields), train=train, origin='arrays')
  return Pictures(None, {field: x, **fields}, train=train, origin='arrays')


def checked(name: str, x: Any, shape: tuple[int, ...]) -> np.ndarray:
  """Pictures [N, *shape] of another size than the run's. Raises UserError."""
  x = inputs.array(name, x)
  if shape[-1] == 1 and x.ndim == 3:
    x = x[..., None]
  if x.ndim != 4 or x.shape[1:] != shape:
    raise UserError(
      f'{name} has the shape {list(x.shape)}, but [N, {", ".join(map(str, shape))}] is needed'
    )
  return inputs.intensities(name, x, eight_bit=True)


def of_files(
  run: Run, field: str, shape: tuple[int, ...], text: str, fit: str, n: int | None
) -> Pictures:
  """Pictures of files or folders, separated by commas, at [H, W, C] = shape."""
  paths = files_of(text)[:n]
  images = read(paths, shape, fit, run.config.data.get('background', 'auto'))
  made = of_arrays(run, field, shape, images, {})
  return made._replace(names=tuple(str(path) for path in paths), origin=text)


def files_of(text: str) -> list[Path]:
  """The picture files of paths separated by commas, those of a folder by name. Raises UserError for
  a path that does not exist, and for a folder without pictures."""
  whole = Path(text).expanduser()
  paths = [whole] if whole.exists() else [Path(p).expanduser() for p in text.split(',') if p]
  files = []
  for path in paths:
    if path.is_dir():
      inside = [path / name for name in listing.scan(str(path)).names]
      if not inside:
        raise UserError(f'the folder {path} has no pictures. Give one with {", ".join(PICTURES)}')
      files += inside
    elif path.is_file():
      files.append(path)
    else:
      raise UserError(f'there is no file or folder {path}. Give pictures or a folder of them')
  if not files:
    raise UserError(f'{text!r} names no pictures. Give files or a folder')
  return files


def read(paths, shape: tuple[int, ...], fit: str = '', background: str = 'auto') -> np.ndarray:
  """The pictures of files as uint8 [N, *shape].

  Args:
    fit: how a picture gets its size, see data.fit; '' resizes pictures that all have one size.

  Raises UserError for a file that is no picture, and for pictures of several sizes without `fit`.
  """
  height, width, channels = shape
  if height != width:
    raise UserError(f'pictures from files need a run on square images, not {height}x{width}')
  if channels not in (1, 3, 4):
    raise UserError(f'pictures from files have 1, 3 or 4 channels, but this run has {channels}')
  headers = [decoded(pictures.header, path) for path in paths]
  sizes = {(header.height, header.width): path for header, path in zip(headers, paths, strict=True)}
  if len(sizes) > 1 and not fit:
    (first, a), (second, b), *_ = sizes.items()
    raise UserError(
      f'{a} has {first[1]}x{first[0]} pixels and {b} {second[1]}x{second[0]}. Add --fit={FITS[0]}, '
      f'{FITS[1]} or {FITS[2]}, to bring {counted(len(paths), "picture")} to {width}x{height}'
    )
  images = []
  for path in paths:
    image = decoded(pictures.decode, path, channels, colour(background))
    if image.dtype != np.uint8:
      raise UserError(f'{path} has pixels of {image.dtype}. Convert it to 8 bits')
    images.append(fit_image(image, height, None, fit or FITS[0], surround(background, fit)))
  return np.stack(images)


def decoded(function, path: Path, *arguments):
  """function(path, ...), without advice about settings of training."""
  try:
    return function(str(path), *arguments)
  except pictures.Damaged as error:
    raise UserError(str(error).partition('. Repair')[0] + '. Repair it, or leave it out') from None
