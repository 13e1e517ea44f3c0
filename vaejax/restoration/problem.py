"""What is given of pictures that are to be restored, and how it constrains them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.core.batched import compiled, in_batches
from vaejax.data.device import degrade
from vaejax.data.device.styles import LUMA
from vaejax.inference.observation import Observation, degraded, masked, noisy, residual_scale
from vaejax.types import Example

AT_ONCE, RESIDUALS = 256, 256  # pictures at once; training rows that give the scale


class Problem(NamedTuple):
  """Pictures to restore.

  Attributes:
    kind: as in a config's data.source, for example 'mask:half'.
    source: what is given, [N, h, w, c], in [0, 1], see data/device/degrade.py.
  """

  kind: str
  source: np.ndarray

  @property
  def seen(self) -> np.ndarray:
    """Of masks: [N, H, W, 1], 1 where the picture is seen."""
    return self.source[..., -1:]


def degrade_rows(kind: str, image: np.ndarray, seed: int) -> Problem:
  """The problem whose solution is `image` [N, H, W, C] in [0, 1]. What is random in row i depends
  on the seed and on i alone."""
  spec, key = degrade.parse(kind), jax.random.key(seed)

  def program(rows, index):
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
    return degrade.make(spec, rows['image'], keys)

  n = len(image)
  made = in_batches(compiled(program, None), {'image': image}, n, min(n, AT_ONCE))
  return Problem(kind, made)


def hidden(image: np.ndarray, seen: np.ndarray, kind: str) -> Problem:
  """The problem of a mask [H, W, 1] that a user gives."""
  return Problem(kind, np.asarray(degrade.hide(jnp.asarray(image), jnp.asarray(seen))))


def observation_of(kind: str, example: Example) -> Observation:
  """How what is given relates to an image x, in the data's own range."""
  spec = degrade.parse(kind)
  if spec.kind in ('mask', 'noise'):
    return masked() if spec.kind == 'mask' else noisy()
  return degraded(*maps(spec, example))


def maps(spec: degrade.Spec, example: Example) -> tuple[Callable, Callable, Callable]:
  """The degradation of an image without its noise and without rounding, a right inverse of it, and
  a first guess of the image."""
  height, width, channels = example.fields['image'].shape
  if spec.kind == 'noise':
    return (lambda x: x,) * 3
  if spec.kind == 'grey':
    # Of luma, whose weights add up to 1: the same change of every channel.
    luma = lambda x: (x @ jnp.asarray(LUMA))[..., None]
    spread = lambda y: jnp.broadcast_to(y, (*y.shape[:-1], channels))
    return luma, spread, spread
  matrices = [degrade.weights(side, spec.value, spec.filter) for side in (height, width)]
  inverses = [np.linalg.pinv(matrix) for matrix in matrices]  # of a box, these repeat pixels
  along = lambda x, pair: jnp.einsum('nhwc,ah,bw->nabc', x, *pair, precision='highest')
  enlarge = lambda y: jax.image.resize(y, (len(y), height, width, channels), 'cubic')
  return (lambda x: along(x, matrices)), (lambda y: along(y, inverses)), enlarge


def repeat_pixels(y, factor: int):
  """Each pixel of pictures [N, h, w, C] as a square, [N, h·factor, w·factor, C]."""
  return jnp.repeat(jnp.repeat(y, factor, axis=1), factor, axis=2)


def what_is_seen(
  problem: Problem, model: Any, train: Callable
) -> tuple[Mapping[str, np.ndarray], dict[str, Any]]:
  """What was observed in the data's own range, as inference takes it, and its protocol.

  The scale of an observation is the root mean square of what reconstructions of training rows leave
  of it, and of its noise.

  Args:
    train: see task_type.Pictures.
  """
  example, spec = model.example, degrade.parse(problem.kind)
  if spec.kind == 'mask':
    return {'image': to_range(problem.source[..., :-1], example), 'seen': problem.seen}, {}
  down, *_ = maps(spec, example)
  part = next(iter(train(RESIDUALS)))
  latent = model.method.latent
  batch = {**conditions_of(part, model), 'image': example.to_data(part['image'])}
  program = compiled(lambda v, batch: residual_scale(latent, v, batch, down), None)
  width = example.high - example.low
  residual = float(program(model.variables, batch)) / width
  noise = spec.value if spec.kind == 'noise' else 0.0
  total = float(np.hypot(residual, noise))
  rows = lambda value: np.full(len(problem.source), value, np.float32)
  seen = {'source': to_range(problem.source, example), 'scale': rows(total * width)}
  seen |= {'gain': rows((residual / total) ** 2)} if noise else {}
  return seen, {'observation_scale': total}


def conditions_of(rows: Mapping[str, np.ndarray], model: Any) -> dict[str, np.ndarray]:
  """The conditions of a run's latents, in the data's own range, from rows as its methods take
  them."""
  fields = {name: rows[name] for name in model.method.latent.conditions}
  if 'source' in fields:
    fields['source'] = to_range(fields['source'], model.example)
  return fields


def to_range(x: np.ndarray, example: Example) -> np.ndarray:
  """Values of [0, 1] in the data's own range, not rounded to its levels."""
  return example.low + (example.high - example.low) * np.asarray(x, np.float32)
