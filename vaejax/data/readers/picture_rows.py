"""Decodes rows of picture files."""

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vaejax import units
from vaejax.data import real
from vaejax.data.fit import fit_image
from vaejax.data.readers import listing, pictures
from vaejax.data.settings import Settings
from vaejax.errors import UserError

UNIT_ROWS, UNIT_BYTES = 1000, 2**28  # most training rows, and most bytes, that units are fitted to


class Decoder(NamedTuple):
  """How a file becomes an image [h, w, channels] of a dtype, as plain data for other processes.

  Attributes:
    size, fit: see data.fit.
    background: red, green and blue behind what is transparent.
    shape: the shape [H, W, C] of a row.
    surround: what is around a padded picture, see fit.surround.
  """

  channels: int
  dtype: str
  size: int | None
  fit: str
  background: tuple[int, int, int]
  shape: tuple[int, int, int]
  surround: str = ''

  @property
  def identity(self) -> list:
    """What the rows depend on, as JSON values."""
    return list(self)[: None if self.surround else -1]


def decode(root: str, names: list[str], decoder: Decoder, indices) -> np.ndarray:
  """The images of the files at `indices` [n], [n, H, W, C]. Raises UserError."""
  images = np.empty((len(indices), *decoder.shape), decoder.dtype)
  for i, index in enumerate(indices):
    path = os.path.join(root, names[index])
    image = pictures.decode(path, decoder.channels, decoder.background)
    if image.dtype != images.dtype:
      raise UserError(
        f'{listing.shown(path)} has pixels of {image.dtype}, but most pictures here '
        f'{images.dtype}. Convert it, or move it away'
      )
    if not decoder.size and image.shape != decoder.shape:
      raise UserError(
        f'{listing.shown(path)} is {image.shape[1]}x{image.shape[0]}, but others are '
        f'{decoder.shape[1]}x{decoder.shape[0]}. Set data.size to one side for all'
      )
    images[i] = fit_image(image, decoder.size, None, decoder.fit, decoder.surround)
  return images


def fit_units(
  decode: Callable[[np.ndarray], np.ndarray], size: int, decoder: Decoder, settings: Settings
) -> units.Units:
  """The units of real numbers, fitted to evenly spaced ones of `size` training rows. Raises
  UserError if `data.transform` does not fit them."""
  bytes_each = int(np.prod(decoder.shape)) * np.dtype(decoder.dtype).itemsize
  count = max(1, min(size, UNIT_ROWS, UNIT_BYTES // bytes_each))
  return real.fit_units(decode(np.linspace(0, size - 1, count).astype(int)), settings)
