"""The JSON of a request, checked: known names, finite numbers, arrays of the right size."""

import base64
import binascii
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vaejax.errors import UserError


class Body:
  """A JSON object whose values are taken one by one. Raises UserError for what is wrong."""

  def __init__(self, text: bytes):
    def refuse(name):
      raise UserError(f'{name} is not a finite number')

    try:
      values = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
      reason = error if isinstance(error, UserError) else 'the request is not JSON'
      raise UserError(f'{reason}') from None
    if not isinstance(values, dict):
      raise UserError('the request is not a JSON object')
    self.values: dict[str, Any] = values

  def done(self) -> None:
    """Raises UserError if a value is left that nobody took."""
    if self.values:
      raise UserError(f'unknown value {next(iter(self.values))[:40]!r}')

  def number(self, name: str, low: float, high: float, default: float) -> float:
    """A number from `low` to `high`."""
    value = self.values.pop(name, default)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
      raise UserError(f'{name} is not a number from {low:g} to {high:g}')
    return float(value)

  def whole(self, name: str, low: int, high: int, default: int) -> int:
    """A whole number from `low` to `high`."""
    value = self.values.pop(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
      raise UserError(f'{name} is not a whole number from {low} to {high}')
    return value

  def label(self, classes: int, needed: bool) -> int | None:
    """A class; the first one if a run needs one and none is given, None if a run is given none."""
    value = self.values.pop('label', None)
    if not classes or (value is None and not needed):
      if value is not None:
        raise UserError('this run is not given a label')
      return None
    if value is None:
      return 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < classes:
      raise UserError(f'label is not a whole number from 0 to {classes - 1}')
    return value

  def vector(self, name: str, size: int) -> np.ndarray:
    """Finite numbers, float32 [size]."""
    value = self.values.pop(name, None)
    if not isinstance(value, list) or len(value) != size:
      raise UserError(f'{name} is not a list of {size} numbers')
    plain = all(isinstance(x, int | float) and not isinstance(x, bool) for x in value)
    limit = float(np.finfo(np.float32).max)
    if not plain or not all(abs(x) <= limit for x in value):
      raise UserError(f'{name} has values that are not finite numbers')
    return np.asarray(value, np.float32)

  def array(self, name: str, shape: Sequence[int]) -> np.ndarray:
    """Bytes in base64, uint8 of this shape; of the first axis, -1 stands for any number above 0."""
    value = self.values.pop(name, None)
    if not isinstance(value, str):
      raise UserError(f'{name} is missing')
    try:
      data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
      raise UserError(f'{name} is not base64') from None
    one = math.prod(shape[1:])
    known = len(data) == one * shape[0] if shape[0] > 0 else len(data) and len(data) % one == 0
    if not known:
      size = ' x '.join('N' if n < 0 else str(n) for n in shape)
      raise UserError(f'{name} has {len(data)} bytes, but {size} are needed')
    return np.frombuffer(data, np.uint8).reshape(-1, *shape[1:])
