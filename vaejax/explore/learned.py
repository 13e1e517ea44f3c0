"""What the page learns from rows of the run's data: examples, styles and attributes."""

import base64
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from vaejax.api.files import read_rows, rows_of
from vaejax.api.run import Run
from vaejax.errors import UserError
from vaejax.explore.capabilities import source_shape
from vaejax.explore.latents import Latents
from vaejax.explore.pictures import to_rgba, with_alpha
from vaejax.inference import attributes
from vaejax.inference.flat import flatten
from vaejax.runs import trained

EXAMPLES = 12  # pictures that one can choose
ROWS = 4096  # training rows from which attributes and styles are learned
AT_ONCE = 256  # of them, after which one looks whether the server ends
MAX_ATTRIBUTES = 20
FOUND = 'examples', 'labels', 'sources', 'styles', 'attributes'
NONE: dict[str, Any] = {name: [] for name in FOUND}


class Stopped(Exception):
  """The server ends before all is learned."""


def learn(
  run: Run, latents: Latents | None, stopped: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
  """JSON of examples of the test split with their labels (-1: none) and of pictures to translate,
  of one training picture of each style, and of attributes, which are directions of the latents.
  Raises UserError if the data is not there, and Stopped once stopped() is true."""
  rows = next(read_rows(run, 'test', EXAMPLES))
  labels = rows.get('label', np.full(EXAMPLES, -1))
  examples = encoded(to_rgba(rows[run.example.data], run.example))
  result = NONE | {'examples': examples, 'labels': labels.tolist()}
  if source_shape(run) and 'source' in rows:
    result['sources'] = encoded(with_alpha(rows['source']))
  if run.example.styles and 'transfer' in run.method.predict:
    result['styles'] = encoded(to_rgba(styles(run), run.example))
  if latents and latents.encode and run.example.data == 'image':
    result['attributes'] = directions(run, stopped)
  return result


def encoded(x: np.ndarray) -> list[str]:
  """Each picture or video uint8 [N, ...] in base64."""
  return [base64.b64encode(pixels.tobytes()).decode() for pixels in x]


def styles(run: Run) -> np.ndarray:
  """The first training picture of each style."""
  part = next(read_rows(run, 'train', ROWS))
  firsts = [np.flatnonzero(part['style'] == k)[:1] for k in range(run.example.styles)]
  return part['image'][np.concatenate(firsts)]


def directions(run: Run, stopped: Callable[[], bool]) -> list[dict[str, Any]]:
  """[{'name', 'direction': [D]}]: for each class the mean of its latents minus that of the others,
  unless the run is given the label, and for each factor how the latents change from its lowest to
  its highest value, by linear regression."""
  example, found = run.example, []
  conditional = 'label' in run.method.latent.conditions
  by_class = bool(example.classes) and not conditional and example.classes <= MAX_ATTRIBUTES
  if not by_class and not example.factors:
    return []
  z, rows = encoded_rows(run, stopped)
  if by_class:
    names = example.class_names or tuple(map(str, range(example.classes)))
    for value, name in enumerate(names):
      has, known = rows['label'] == value, rows['label'] >= 0
      if 1 < has.sum() < known.sum():
        shift = attributes.of_means(z[known & ~has], z[has])
        found.append({'name': str(name), 'direction': shift.offset})
  for column, (name, values) in enumerate(example.factors[: MAX_ATTRIBUTES - len(found)]):
    value = rows['factors'][:, column].astype(np.float64)
    own, value = z[value >= 0], value[value >= 0]
    if len(value) > 2 and value.std() > 0:
      slope = (value - value.mean()) @ (own - own.mean(axis=0))
      slope /= np.square(value - value.mean()).sum()
      found.append({'name': name, 'direction': slope * (values - 1)})
  for attribute in found:
    attribute['direction'] = attribute['direction'].astype(float).tolist()
  return found


def encoded_rows(run: Run, stopped: Callable[[], bool]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
  """The means of q(z|x) of the first ROWS training rows, [N, D], and their labels [N] and factors
  [N, F], those that the data has. Raises Stopped between two parts."""
  _, source = trained.open_split(run, 'train', log=run.log)
  latents, fields = [], []
  for rows in rows_of(run, source, ROWS, AT_ONCE):
    if stopped():
      raise Stopped
    x = rows[run.example.data]
    latents.append(flatten(run.encode(x, **run.conditions(rows)))[0])
    none = {'label': np.zeros(len(x), np.int32)}  # of data without labels: no class has others
    fields.append(none | {name: rows[name] for name in ('label', 'factors') if name in rows})
  columns = {name: np.concatenate([part[name] for part in fields]) for name in fields[0]}
  return np.concatenate(latents), columns


def learn_or_say(
  run: Run, latents: Latents | None, log: Callable[[str], None], stopped=lambda: False
) -> dict[str, Any]:
  """`learn`; if it fails, NONE, and a line that says what the page lacks. A mistake of the program
  is logged with its traceback."""
  lacks = 'the page has no examples and no attributes'
  try:
    return learn(run, latents, stopped)
  except Stopped:
    pass
  except UserError as error:
    log(f'{lacks}: {error}')
  except Exception:
    log(f'{lacks}, because of a mistake of the program\n{traceback.format_exc()}')
  return NONE
