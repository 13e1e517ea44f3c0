"""The user's local file of the weights of FID's InceptionV3."""

import functools
import hashlib
import pickle
from pathlib import Path

from vaejax.errors import UserError
from vaejax.perceptual import inception, torch_file

# As pytorch-fid and torch-fidelity publish it. Features of other weights are not those of FID.
NAME = 'pt_inception-2015-12-05-6726825d.pth'
SHA256 = '6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2'
ADVICE = (
  f'Get {NAME} from https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights (or '
  'weights-inception-2015-12-05-6726825d.pth of torch-fidelity, which is the same file)'
)


@functools.cache
def load(path: Path | None, field: str) -> inception.Weights:
  """The weights in a file, whose path the config's `field` gives.

  Raises UserError if there is none, or if it is another file.
  """
  if path is None:
    raise UserError(f'FID and KID need a file of Inception weights. {ADVICE}, and set {field}=PATH')
  try:
    data = path.read_bytes()
  except OSError as error:
    raise UserError(f'{field}={path} cannot be read ({error.strerror}). {ADVICE}') from None
  if (checksum := hashlib.sha256(data).hexdigest()) != SHA256:
    raise UserError(
      f'{field}={path} has the SHA-256 {checksum[:16]}, but the weights of FID have '
      f'{SHA256[:16]}. {ADVICE}'
    )
  return parse(data)


def parse(data: bytes) -> inception.Weights:
  """The weights in the bytes of such a file. Raises UserError."""
  try:
    return inception.fold(torch_file.arrays(data))
  except (ValueError, KeyError, pickle.UnpicklingError) as error:
    raise UserError(f'the file of Inception weights cannot be read ({error}). {ADVICE}') from None
