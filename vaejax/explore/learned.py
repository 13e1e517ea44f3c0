"""What the page learns from rows of the run's data: examples, styles and attributes."""

import base64
from functools import partial
from typing import Any

import jax
import numpy as np

from vaejax.api.files import read_rows
from vaejax.api.run import Run
from vaejax.errors import UserError
from vaejax.evaluation import attribute_rows
from vaejax.explore.capabilities import source_shape
from vaejax.explore.latents import Latents
from vaejax.explore.pictures import to_rgba, with_alpha
from vaejax.inference import attributes
from vaejax.inference.flat import flatten

EXAMPLES = 12  # pictures that one can choose
ROWS = 4096  # training rows from which attributes and styles are learned
MAX_ATTRIBUTES = 20
FOUND = 'examples', 'labels', 'sources', 'styles', 'attributes'
NONE: dict[str, Any] = {name: [] for name in FOUND}


def learn(run: Run, latents: Latents | None) -> dict[str, Any]:
  """JSON of examples of the test split with their labels (-1: none) and of pictures to translate,
  of one training picture of each style, and of attributes, which are directions of the latents.
  Raises UserError if the data is not there."""
  rows = next(read_rows(run, 'test', EXAMPLES))
  labels = rows.get('label', np.full(EXAMPLES, -1))
  examples = encoded(to_rgba(rows[run.example.data], run.example))
  result = NONE | {'examples': examples, 'labels': labels.tolist()}
  if source_shape(run) and 'source' in rows:
    result['sources'] = encoded(with_alpha(rows['source']))
  if run.example.styles and 'transfer' in run.method.predict:
    result['styles'] = encoded(to_rgba(styles(run), run.example))
  if latents and latents.encode and run.example.data == 'image':
    result['attributes'] = directions(run)
  return result


def encoded(x: np.ndarray) -> list[str]:
  """Each picture or video uint8 [N, ...] in base64."""
  return [base64.b64encode(pixels.tobytes()).decode() for pixels in x]


def styles(run: Run) -> np.ndarray:
  """The first training picture of each style."""
  part = next(read_rows(run, 'train', ROWS))
  firsts = [np.flatnonzero(part['style'] == k)[:1] for k in range(run.example.styles)]
  return part['image'][np.concatenate(firsts)]


def directions(run: Run) -> list[dict[str, Any]]:
  """[{'name', 'direction': [D]}]: for each class the mean of its latents minus that of the others,
  unless the run is given the label, and for each factor how the latents change from its lowest to
  its highest value, by linear regression."""
  example, found = run.example, []
  conditional = 'label' in run.method.latent.conditions
  silent = lambda done, total: None
  read = partial(attribute_rows.read, run, partial(read_rows, run, 'train'))
  if example.classes and not conditional and example.classes <= MAX_ATTRIBUTES:
    rows = read(None, ROWS, silent)
    names = example.class_names or tuple(map(str, range(example.classes)))
    for value, name in enumerate(names):
      if 1 < (has := rows.values == value).sum() < (known := rows.values >= 0).sum():
        pick = lambda index, z=rows.z: jax.tree.map(lambda x: x[index], z)
        shift = attributes.of_means(pick(known & ~has), pick(has))
        found.append({'name': str(name), 'direction': shift.offset})
  for column, (name, values) in enumerate(example.factors[: MAX_ATTRIBUTES - len(found)]):
    rows = read(column, ROWS, silent)
    z, value = flatten(rows.z)[0], rows.values.astype(np.float64)
    z, value = z[value >= 0], value[value >= 0]
    if len(value) > 2 and value.std() > 0:
      slope = (value - value.mean()) @ (z - z.mean(axis=0)) / np.square(value - value.mean()).sum()
      found.append({'name': name, 'direction': slope * (values - 1)})
  for attribute in found:
    attribute['direction'] = attribute['direction'].astype(float).tolist()
  return found


def learn_or_say(run: Run, latents: Latents | None, log) -> dict[str, Any]:
  """`learn`; without the data, a line says what the page lacks."""
  try:
    return learn(run, latents)
  except UserError as error:
    log(f'the page has no examples and no attributes: {error}')
    return NONE
