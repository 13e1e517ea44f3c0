"""Checks the images, labels and latents that users pass, and converts them to arrays.

Every function raises UserError, in one line, for input that it cannot use.
"""

import math
from typing import Any

import jax
import numpy as np

from vaejax.data.classes import index, named_by_numbers
from vaejax.errors import UserError
from vaejax.lookup import nearest
from vaejax.types import Example


def pixels(name: str, x: Any, example: Example, frames: bool = False) -> np.ndarray:
  """Returns images [N, H, W, C], also from [N, H, W] with one channel, or videos [N, T, H, W, C].

  They are uint8, or float32 in [0, 1]; real numbers are float32 in their own units. With `frames`,
  videos may be shorter than those of the data.
  """
  shape = example.fields[example.data].shape
  x = array(name, x)
  if shape[-1] == 1 and x.ndim == len(shape) and x.shape[1:] != shape[1:]:
    x = x[..., None]
  lengths = range(1, shape[0]) if frames else shape[:1]
  if x.ndim != len(shape) + 1 or x.shape[1] not in lengths or x.shape[2:] != shape[1:]:
    sizes = [f'1 to {shape[0] - 1}' if frames else shape[0], *shape[1:]]
    hint = f'. For a single one use {name}[None]' if x.shape == shape else ''
    raise UserError(
      f'{name} has the shape {list(x.shape)}, but this run needs [N, {", ".join(map(str, sizes))}]'
      f'{hint}'
    )
  if example.levels == 2 and (x.dtype == bool or (x.dtype == np.uint8 and x.max(initial=0) <= 1)):
    x = x * np.uint8(255)  # black and white as 0 and 1, as it may be in the data itself
  x = intensities(name, x, not example.units)
  if example.units and example.units.transform == 'log' and x.size and x.min() <= 0:
    raise UserError(f'{name} has {x.min():g}, but this run needs positive numbers')
  return x


def sources(x: Any, n: int, example: Example) -> np.ndarray:
  """Returns a source for each of n examples, or one for all: uint8, or float32 in [0, 1]."""
  shape, x = example.fields['source'].shape, array('source', x)
  if shape[-1] == 1 and x.shape[-2:] == shape[:2]:
    x = x[..., None]
  if x.shape == shape:
    x = x[None]
  if x.shape[1:] != shape or len(x) not in (1, n):
    size = ', '.join(map(str, shape))
    mask = ''
    if shape[-1] == example.fields[example.data].shape[-1] + 1:
      mask = ', whose last channel is 1 where the image is seen'
    raise UserError(
      f'source has the shape {list(x.shape)}, but this run needs [{n}, {size}], or [{size}] for '
      f'one source{mask}'
    )
  return np.broadcast_to(intensities('source', x, eight_bit=True), (n, *shape))


def intensities(name: str, x: np.ndarray, eight_bit: bool) -> np.ndarray:
  """Checks the dtype and range of pixels, and returns uint8 or float32."""
  needs = 'uint8, or floats from 0 to 1' if eight_bit else 'real numbers in their own units'
  if eight_bit and x.dtype == np.uint8:
    return x
  if x.dtype.kind != 'f' and (eight_bit or x.dtype.kind not in 'iu' or x.dtype == np.uint8):
    raise UserError(f'{name} has the dtype {x.dtype}, but this run needs {needs}')
  x = x.astype(np.float32)
  if not np.isfinite(x).all():
    raise UserError(f'{name} has non-finite values, but this run needs {needs}')
  if eight_bit and x.size and not 0 <= x.min() <= x.max() <= 1:
    hint = '. Divide by 255' if x.min() >= 0 and 1 < x.max() <= 255 else ''
    raise UserError(
      f'{name} has values from {x.min():g} to {x.max():g}, but this run needs {needs}{hint}'
    )
  return x


def array(name: str, x: Any) -> np.ndarray:
  """Returns an array of numbers."""
  try:
    x = np.asarray(x)
  except (ValueError, TypeError):
    raise UserError(f'{name} is not an array: its parts have different shapes') from None
  if x.dtype.kind not in 'fiub':
    raise UserError(f'{name} has the dtype {x.dtype}. Use an array of numbers')
  return x


def labels(
  name: str, x: Any, n: int, classes: int | None, class_names: tuple[str, ...] = ()
) -> np.ndarray:
  """Returns int32 [N] from a label for each example, or one for all, below `classes` if known.

  Text is the name of a class. A number is the number of a class, or its name if classes are called
  by other numbers, such as 1 to 10.
  """
  if classes and named_by_numbers(class_names) and (y := array_of_numbers(x)) is not None:
    x = y.astype(str)
  if classes and np.asarray(x, object).size and isinstance(np.asarray(x, object).flat[0], str):
    x = named(name, np.asarray(x, object), classes, class_names)
  x = array(name, x)
  largest = classes - 1 if classes else np.iinfo(np.int32).max
  if x.dtype.kind not in 'iu':
    raise UserError(f'{name} has the dtype {x.dtype}. Use whole numbers from 0 to {largest}')
  if x.shape not in ((), (n,)):
    raise UserError(f'{name} has the shape {list(x.shape)}. Use a label for each example, [{n}]')
  if x.size and x.min() == -1:
    raise UserError(f'{name} is -1, no label, for some examples. This run needs 0 to {largest}')
  if x.size and not 0 <= x.min() <= x.max() <= largest:
    raise UserError(f'{name} has values from {x.min()} to {x.max()}. Use 0 to {largest}')
  return np.broadcast_to(x.astype(np.int32), (n,))


def array_of_numbers(x: Any) -> np.ndarray | None:
  """Returns whole numbers as an array, None for anything else, of which errors are raised later."""
  try:
    y = np.asarray(x)
  except (ValueError, TypeError):
    return None
  return y if y.dtype.kind in 'iu' else None


def named(name: str, x: np.ndarray, classes: int, class_names: tuple[str, ...]) -> np.ndarray:
  """Returns the numbers of the classes with these names, in the shape of x."""
  if wrong := [value for value in x.flat if not isinstance(value, str)]:
    raise UserError(f'{name} has both names and {wrong[0]!r}. Use names, or numbers')
  numbers = {value: index(value, class_names, classes) for value in set(x.flat)}
  return np.asarray([numbers[value] for value in x.flat], np.int32).reshape(x.shape)


def fields(
  given: dict[str, Any],
  optional: tuple[str, ...],
  needed: tuple[str, ...],
  n: int,
  example: Example,
) -> dict[str, np.ndarray]:
  """Returns the fields of n examples that were given by name, each an array [n, ...]."""
  known = dict.fromkeys((*needed, *optional))
  for name in given:
    if name not in known:
      hint = f'. Use {", ".join(known)}' if known else ''
      raise UserError(f'this run cannot be given {name!r}{nearest(name, known)}{hint}')
  given = {name: x for name, x in given.items() if x is not None}
  if missing := [name for name in needed if name not in given]:
    raise UserError(f'this run needs the {missing[0]} of every example. Add {missing[0]}=...')
  arrays = {}
  for name, x in given.items():
    if name == example.data:
      arrays[name] = pixels(name, x, example, frames=True)
    elif name == 'source':
      arrays[name] = sources(x, n, example)
    else:
      known_classes = (example.classes, example.class_names) if name == 'label' else (None,)
      arrays[name] = labels(name, x, n, *known_classes)
    if len(arrays[name]) != n:
      raise UserError(f'{name} has {len(arrays[name])} examples, but there are {n}')
  return arrays


def latents(z: Any, abstract: Any) -> Any:
  """Returns latents of N examples, in the structure and dtypes of `abstract`, those of one."""
  parts, structure = jax.tree.flatten(abstract)
  several = isinstance(abstract, tuple)
  if several and not (isinstance(z, tuple | list) and len(z) == len(parts)):
    raise UserError(f'latents of this run are a tuple of {len(parts)} arrays, as from encode')
  arrays = []
  for number, (x, part) in enumerate(zip(z if several else [z], parts, strict=True)):
    name = f'latents[{number}]' if several else 'latents'
    x, kinds = array(name, x), 'iu' if part.dtype.kind == 'i' else 'fiu'
    if x.shape[1:] != part.shape or not x.ndim:
      shape = ', '.join(['N', *map(str, part.shape)])
      raise UserError(f'{name} has the shape {list(x.shape)}, but this run needs [{shape}]')
    if x.dtype.kind not in kinds:
      needs = 'whole' if kinds == 'iu' else 'real'
      raise UserError(f'{name} has the dtype {x.dtype}, but this run needs {needs} numbers')
    arrays.append(x.astype(part.dtype))
  if len({len(x) for x in arrays}) > 1:
    raise UserError(f'latents have {[len(x) for x in arrays]} examples. Use the same number')
  return jax.tree.unflatten(structure, arrays)


def integer(name: str, n: Any, low: int, high: int = 2**31 - 1) -> int:
  """Returns a whole number from `low` to `high`."""
  if not isinstance(n, int | np.integer) or isinstance(n, bool) or not low <= n <= high:
    raise UserError(f'{name}={n!r} is not a whole number from {low} to {high:,}')
  return int(n)


def nonnegative(name: str, x: Any) -> float:
  """Returns a finite number of 0 or more."""
  real = isinstance(x, int | float | np.number) and not isinstance(x, bool)
  if not real or not 0 <= x < math.inf:
    raise UserError(f'{name}={x!r} is not a number of 0 or more')
  return float(x)


def class_prior(p: Any, classes: int) -> np.ndarray:
  """Returns p(y) of every class, float32 [classes], from numbers in proportion to it; None: the
  same for all."""
  p = np.ones(classes) if p is None else array('class_prior', p).astype(np.float64)
  if p.shape != (classes,) or not (p >= 0).all() or not 0 < p.sum() < math.inf:
    raise UserError(
      f'class_prior is not a probability of each of {classes} classes. Use [{classes}]'
    )
  return np.asarray(p / p.sum(), np.float32)
