"""Which numbers the elements of images are, and how they are stored: 8 bits, 16 bits or floats."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from vaejax.errors import UserError
from vaejax.plural import counted

FLOATS = 'float16', 'float32', 'float64', 'float128'


class Range(NamedTuple):
  """The range of some numbers: their dtype, the smallest, the largest, and whether all are
  whole."""

  dtype: np.dtype
  low: float
  high: float
  whole: bool


class Elements(NamedTuple):
  """How the elements of images are stored.

  Attributes:
    dtype: of stored rows: 'uint8', 'uint16' or 'float32'.
    factor: what stored elements are multiplied by: 255 if they are 0 and 1, so that 1 is white.
    levels: the number of values that an element can take, 0 for floats; see data.table.Table.
    note: a line for the user on how they are read; '' for grey levels of uint8 and for uint16.
  """

  dtype: str
  factor: int = 1
  levels: int = 256
  note: str = ''


def measure(blocks: Iterable[np.ndarray], what: str, first: int = 0) -> Range:
  """The Range of blocks of consecutive rows. `first` is the number of the first row, for errors.

  Raises UserError if they are not numbers, or not finite.
  """
  low, high, whole, dtype = math.inf, -math.inf, True, None
  for block in blocks:
    dtype = block.dtype.newbyteorder('=')  # FITS and IDX files have the other order
    if dtype.kind not in 'buif':
      raise UserError(f'{what} has the dtype {dtype}. Give numbers: uint8, uint16 or floats')
    check_finite(block, what, first)
    low, high = min(low, float(block.min())), max(high, float(block.max()))
    whole = whole and (dtype.kind != 'f' or bool((block == np.rint(block)).all()))
    first += len(block)
  return Range(dtype, low, high, whole)


def check_finite(x: np.ndarray, what: str, first: int = 0) -> None:
  """Raises UserError with the place of the first float that is not finite as float32. `first` is
  the number of the first row of `x`."""
  if x.dtype.kind != 'f':
    return
  with np.errstate(over='ignore'):
    finite = np.isfinite(x.astype(np.float32, copy=False))
  if finite.all():
    return
  row, *place = np.argwhere(~finite)[0]
  others = int((~finite).reshape(len(x), -1).any(axis=1).sum()) - 1
  value = x[(row, *place)]
  more = counted(others, 'more row after it has', 'more rows after it have')
  raise UserError(
    f'{what} has {value:g} in row {first + row} at {[int(i) for i in place]}, and {more} such '
    'values. Replace values that are not finite, or leave these rows out'
  )


def union(ranges: Iterable[Range], what: str) -> Range:
  """The Range of several splits. Raises UserError if their dtypes differ."""
  ranges = list(ranges)
  if len({r.dtype for r in ranges}) > 1:
    names = ' and '.join(sorted({str(r.dtype) for r in ranges}))
    raise UserError(f'{what} has splits of {names}. Give all of them one dtype')
  return Range(
    ranges[0].dtype,
    min(r.low for r in ranges),
    max(r.high for r in ranges),
    all(r.whole for r in ranges),
  )


def choose(x: Range, what: str) -> Elements:
  """How numbers of a Range are stored.

  uint8 stays uint8, and uint16 stays uint16, as real numbers. Booleans, and whole numbers other
  than uint16 that are only 0 and 1, become black and white. Other whole numbers are stored in the
  fewest of 8 or 16 bits that they fit, else as float32. Floats are never changed into grey levels.
  """
  between = f'{x.low:g} to {x.high:g}'
  if x.dtype.kind == 'f':
    hint = ''
    if x.low >= 0 and x.high <= 1:
      hint = '(255 * x).round().astype("uint8")'
    elif x.whole and x.low >= 0 and x.high <= 255:
      hint = 'x.astype("uint8")'
    note = f'{what} has floats from {between}, which are trained as real numbers'
    return Elements('float32', 1, 0, note + (f'. For grey levels, save {hint}' if hint else ''))
  if x.dtype.kind == 'b' or (x.low >= 0 and x.high == 1 and x.dtype != np.uint16):
    note = f'{what} has the values 0 and 1, which are read as black and white'
    return Elements('uint8', 255, 2, note)
  if x.dtype == np.uint8:
    return Elements('uint8')
  if x.dtype == np.uint16:
    return Elements('uint16', 1, 65536)
  note = f'{what} has {x.dtype} from {between}'
  if x.low >= 0 and x.high <= 255:
    return Elements('uint8', 1, 256, f'{note}, which are read as 8 bits')
  if x.low >= 0 and x.high <= 65535:
    return Elements('uint16', 1, 65536, f'{note}, which are read as 16 bits')
  return Elements('float32', 1, 0, f'{note}, which are trained as real numbers (float32)')


def store(x: np.ndarray, elements: Elements) -> np.ndarray:
  """Rows in the dtype in which they are stored; `x` itself if that changes nothing."""
  x = x.astype(elements.dtype, copy=False)
  return x * x.dtype.type(elements.factor) if elements.factor != 1 else x
