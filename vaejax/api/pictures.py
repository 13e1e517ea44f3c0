"""The pictures that a task is given: rows of a split, files and folders, or arrays."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from vaejax.api import inputs
from vaejax.api.files import labelled, read_rows
from vaejax.api.run import Run
from vaejax.data.picture_files import files_of, read
from vaejax.errors import UserError
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
    x = np.asarray(example.to_unit(example.to_data(x)), np.float32)
  else:
    x = checked(f'{field}s', x, shape)
    x = x / np.float32(255) if x.dtype == np.uint8 else x  # not rounded to the levels of the data
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
