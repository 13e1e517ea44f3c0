"""The latents that a page moves: of each picture one vector of real numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from vaejax.api.run import Run
from vaejax.core.batched import compiled
from vaejax.errors import UserError
from vaejax.inference import space
from vaejax.inference.flat import flatten

DRAWN = 256  # draws of the prior at once, and those that the scale is measured on
MEASURED = 4096  # pictures or frames that are decoded to order the latents
MEASURED_LATENTS = 512  # of more latents, so many at equal distances are ordered


class Latents(NamedTuple):
  """Latents of D real numbers. Labels are int [N], and None for a run that is given none.

  Attributes:
    names: of each latent.
    parts: (name, length) of the arrays that a vector consists of.
    centre, scale: mean and standard deviation under the prior, [D] each.
    draw: (n, seed, temperature, labels) -> draws of the prior, float32 [n, D].
    decode: (z [N, D], labels, rows) -> pictures as Run gives them, computed `rows` at a time.
    encode: (pictures, labels) -> float32 [N, D]; None for a run that cannot encode.
    takes_label: whether `draw` and `decode` are given a label of every picture.
  """

  names: tuple[str, ...]
  parts: tuple[tuple[str, int], ...]
  centre: np.ndarray
  scale: np.ndarray
  draw: Callable[..., np.ndarray]
  decode: Callable[..., np.ndarray]
  encode: Callable[..., np.ndarray] | None
  takes_label: bool = False


def latents_of(run: Run) -> Latents | None:
  """The latents of a run; None if they are codes, if pictures need more than them and a label, or
  if it has none that it can decode."""
  model = run.method.latent
  if model is None or set(model.conditions) - {'label'} or 'decode' not in run.method.predict:
    return None
  form = run.latents()  # kept for the copies of `sized`, or each would trace the encoder
  try:
    _, restore = flatten(jax.tree.map(lambda x: np.zeros((1, *x.shape), x.dtype), form))
  except UserError:
    return None

  def prior(v, key, temperature, labels):
    given = {} if labels is None else {'label': labels}
    return model.prior(v, DRAWN, given)[0].sample(key, temperature)

  program = compiled(prior, None)

  def draw(n: int, seed: int, temperature: float, labels) -> np.ndarray:
    padded = None if labels is None else np.resize(labels, DRAWN).astype(np.int32)
    if n > DRAWN:
      raise UserError(f'n={n} draws are too many. Use at most {DRAWN}')
    key = jax.random.key(seed)
    z = jax.device_get(program(run.variables, key, np.float32(temperature), padded))
    return flatten(z)[0][:n].astype(np.float32)

  def decode(z: np.ndarray, labels, rows: int) -> np.ndarray:
    return run.sized(rows).decode(restore(z), **conditions(run, labels))

  def encode(x: np.ndarray, labels) -> np.ndarray:
    return flatten(run.sized(1).encode(x, **conditions(run, labels)))[0].astype(np.float32)

  names, parts = names_of(form)
  centre, scale = spread(run, draw)
  takes_label = 'label' in model.conditions
  return Latents(names, parts, centre, scale, draw, decode, encode, takes_label)


def conditions(run: Run, labels: np.ndarray | None) -> dict[str, Any]:
  """The labels as the methods of a run take them, which is given them if they are not None."""
  return {} if labels is None else run.conditions({'label': np.asarray(labels, np.int32)})


def names_of(form: Any) -> tuple[tuple[str, ...], tuple[tuple[str, int], ...]]:
  """The names of latents, z3 or z3,0,1 of a map, z2:3 of the second of several arrays; and the
  names and lengths of the arrays."""
  leaves, names, parts = jax.tree.leaves(form), [], []
  for number, leaf in enumerate(leaves, 1):
    own = f'z{number}' if len(leaves) > 1 else 'z'
    between = ':' if len(leaves) > 1 else ''
    names += [f'{own}{between}{",".join(map(str, index))}' for index in np.ndindex(leaf.shape)]
    parts.append((own, int(np.prod(leaf.shape))))
  return tuple(names), tuple(parts)


def spread(run: Run, draw: Callable[..., np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
  """Mean and standard deviation of each latent under the prior, [D] each: those of N(0, I), or of
  draws, of all classes alike."""
  needs_label = bool(run.method.latent.conditions)
  labels = np.arange(DRAWN) % run.example.classes if needs_label else None
  z = draw(DRAWN, 0, 1.0, labels)
  if space.standard(run.method, run.variables, run.example) is not None:
    return np.zeros(z.shape[1], np.float32), np.ones(z.shape[1], np.float32)
  return z.mean(axis=0), np.maximum(z.std(axis=0), 1e-6)


def activity(latents: Latents, classes: int, frames: int, rows: int) -> np.ndarray:
  """How much each latent changes the picture, [D]: the root mean square difference of the pixels
  between one standard deviation above and one below draws of the prior. 0 for those of more than
  MEASURED_LATENTS that are left out.

  Args:
    classes: of which the draws are in turn; 0 for a run without labels.
    frames: of a picture, 1 unless it is a video.
    rows: pictures decoded at a time.
  """
  size = len(latents.names)
  index = np.unique(np.linspace(0, size - 1, min(size, MEASURED_LATENTS)).astype(int))
  draws = int(np.clip(MEASURED // (2 * len(index) * frames), 1, 8))
  labels = np.arange(draws) % classes if classes else None
  starts = latents.draw(draws, 1, 1.0, labels)
  values = np.zeros(size)
  for start, label in zip(starts, [None] * draws if labels is None else labels, strict=True):
    moved = np.tile(start, (2, len(index), 1))
    for side, step in enumerate((-1, 1)):
      moved[side, np.arange(len(index)), index] += step * latents.scale[index]
    given = None if label is None else np.full(2 * len(index), label)
    x = latents.decode(moved.reshape(-1, size), given, rows).reshape(2, len(index), -1)
    values[index] += np.square(x[1] - x[0]).mean(axis=1)
  return np.sqrt(values / draws)
