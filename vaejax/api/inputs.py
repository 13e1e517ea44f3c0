"""What users hand in, checked: images, labels and latents become arrays of one form. Every function
raises UserError, in one line, for what it does not take."""

from typing import Any

import jax
import numpy as np

from vaejax.errors import UserError
from vaejax.lookup import nearest
from vaejax.types import Example


def pixels(name: str, x: Any, example: Example, frames: bool = False) -> np.ndarray:
  """Images [N, H, W, C] or [N, H, W] of one channel, videos [N, T, H, W, C]: as uint8, or as floats
  in [0, 1]; of real numbers, float32 in their own units. With `frames`, the first of a video's."""
  wanted = example.fields[example.data].shape
  x = array(name, x)
  if wanted[-1] == 1 and x.ndim == len(wanted) and x.shape[1:] != wanted[1:]:
    x = x[..., None]
  given = x.shape[1:]
  fits = len(given) == len(wanted) and given[1:] == wanted[1:] and 0 < given[0] < wanted[0]
  if not (fits if frames else given == wanted):
    shown = f'[N, {f"1 to {wanted[0] - 1}" if frames else wanted[0]}, '
    shown += f'{", ".join(map(str, wanted[1:]))}]'
    one = f'; of one alone give {name}[None]' if x.shape == wanted else ''
    raise UserError(f'{name}: the shape is {list(x.shape)}, and this run takes {shown}{one}')
  return values(name, x, bool(example.levels))


def values(name: str, x: np.ndarray, eight_bit: bool) -> np.ndarray:
  """The same, of which dtype and range alone are checked."""
  accepted = 'uint8, or floats from 0 to 1' if eight_bit else 'real numbers in their own units'
  if eight_bit and x.dtype == np.uint8:
    return x
  if x.dtype.kind != 'f' and (eight_bit or x.dtype.kind not in 'iu' or x.dtype == np.uint8):
    raise UserError(f'{name}: the dtype is {x.dtype}, and this run takes {accepted}')
  x = x.astype(np.float32)
  if not np.isfinite(x).all():
    raise UserError(f'{name}: some values are not finite, and this run takes {accepted}')
  if eight_bit and x.size and not 0 <= x.min() <= x.max() <= 1:
    divide = ': divide by 255' if x.min() >= 0 and 1 < x.max() <= 255 else ''
    raise UserError(
      f'{name}: values go from {x.min():g} to {x.max():g}, and this run takes {accepted}{divide}'
    )
  return x


def array(name: str, x: Any) -> np.ndarray:
  """What numpy makes of a value: an array of numbers with an axis of examples."""
  try:
    x = np.asarray(x)
  except (ValueError, TypeError):
    raise UserError(f'{name}: the parts differ in shape, and make no array') from None
  if x.dtype.kind not in 'fiub':
    raise UserError(f'{name}: the dtype is {x.dtype}, and this takes an array of numbers')
  return x


def labels(name: str, x: Any, n: int, classes: int | None) -> np.ndarray:
  """Whole numbers from 0 to `classes` - 1 (None: any), int32 [N]; one alone is of all examples."""
  x = array(name, x)
  top = f'0 to {classes - 1}' if classes else '0 on'
  if x.dtype.kind not in 'iu':
    raise UserError(f'{name}: the dtype is {x.dtype}, and this takes whole numbers from {top}')
  if x.shape not in ((), (n,)):
    raise UserError(
      f'{name}: the shape is {list(x.shape)}, and this takes one of each example, [{n}]'
    )
  if x.size and not 0 <= x.min() <= x.max() <= (classes - 1 if classes else x.max()):
    raise UserError(f'{name}: values go from {x.min()} to {x.max()}, and this takes {top}')
  return np.broadcast_to(x.astype(np.int32), (n,))


def fields(
  given: dict[str, Any], takes: tuple[str, ...], wants: tuple[str, ...], n: int, example: Example
) -> dict[str, np.ndarray]:
  """The fields of N examples that come by name, each an array [N, ...].

  takes: those that may be given, of which `wants` must be.
  """
  for name in given:
    if name not in takes:
      known = f'it takes {", ".join(takes)}' if takes else 'it takes no field'
      raise UserError(f'this run has no use for {name!r} here{nearest(name, takes)}: {known}')
  missing = [name for name in wants if given.get(name) is None]
  if missing:
    raise UserError(f'this run needs the {missing[0]} of every example: give {missing[0]}=...')
  found = {}
  for name, x in given.items():
    if x is None:
      continue
    if name == example.data:
      found[name] = pixels(name, x, example, frames=True)
    else:
      found[name] = labels(name, x, n, example.classes if name == 'label' else None)
    if len(found[name]) != n:
      raise UserError(f'{name}: {len(found[name])} examples, where there are {n}')
  return found


def latents(z: Any, like: Any) -> Any:
  """Latents as the run's own `encode` gives them: of the structure and dtypes of `like`, whose
  shapes have no axis of examples."""
  parts, structure = jax.tree.flatten(like)
  if not isinstance(like, tuple):
    given = [z]
  elif isinstance(z, tuple | list) and len(z) == len(parts):
    given = list(z)
  else:
    raise UserError(f'latents of this run are a tuple of {len(parts)} arrays, as encode gives them')
  found = []
  for number, (x, part) in enumerate(zip(given, parts, strict=True)):
    name = f'latents[{number}]' if isinstance(like, tuple) else 'latents'
    x, whole = array(name, x), part.dtype.kind == 'i'
    if x.shape[1:] != part.shape or not x.ndim:
      shape = ', '.join(['N', *map(str, part.shape)])
      raise UserError(f'{name}: the shape is {list(x.shape)}, and this run takes [{shape}]')
    if x.dtype.kind not in ('iu' if whole else 'fiu'):
      kind = 'whole' if whole else 'real'
      raise UserError(f'{name}: the dtype is {x.dtype}, and this takes {kind} numbers')
    found.append(x.astype(part.dtype))
  if len({len(x) for x in found}) > 1:
    raise UserError(f'latents: {[len(x) for x in found]} examples; give as many of each')
  return jax.tree.unflatten(structure, found)


def count(name: str, n: Any, least: int, most: int = 2**31 - 1) -> int:
  """A whole number from `least` to `most`."""
  whole = isinstance(n, int | np.integer) and not isinstance(n, bool)
  if not whole or not least <= n <= most:
    raise UserError(f'{name}={n!r}: it takes a whole number from {least} to {most:,}')
  return int(n)
