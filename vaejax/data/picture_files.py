"""Pictures from files and folders that a user names, at one size."""

import os
from pathlib import Path

import numpy as np

from vaejax.data.fit import FITS, colour, fit_image, surround
from vaejax.data.paths import PICTURES
from vaejax.data.readers import listing, pictures
from vaejax.errors import UserError
from vaejax.plural import counted


def files_of(text: str) -> list[Path]:
  """The picture files of paths separated by commas, those of a folder by name. Raises UserError for
  a path that does not exist, and for a folder without pictures."""
  # A folder may have a comma in its name. os.path.exists is False for a text of many names, which
  # would be too long for one.
  whole = bool(text) and os.path.exists(os.path.expanduser(text))
  paths = [Path(part).expanduser() for part in ([text] if whole else text.split(',')) if part]
  files = []
  for path in paths:
    if os.path.isdir(path):
      inside = [path / name for name in listing.scan(str(path)).names]
      if not inside:
        raise UserError(f'the folder {path} has no pictures. Give one with {", ".join(PICTURES)}')
      files += inside
    elif os.path.isfile(path):
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
    image = eight_bit(path, channels, colour(background))
    images.append(fit_image(image, height, None, fit or FITS[0], surround(background, fit)))
  return np.stack(images)


def eight_bit(path: Path, channels: int, background: tuple[int, int, int]) -> np.ndarray:
  """The picture of a file, uint8 [h, w, channels]. Raises UserError if it has more bits."""
  image = decoded(pictures.decode, path, channels, background)
  if image.dtype != np.uint8:
    raise UserError(f'{path} has pixels of {image.dtype}. Convert it to 8 bits')
  return image


def decoded(function, path: Path, *arguments):
  """function(path, ...), without advice about settings of training."""
  try:
    return function(str(path), *arguments)
  except pictures.Damaged as error:
    raise UserError(str(error).partition('. Repair')[0] + '. Repair it, or leave it out') from None
