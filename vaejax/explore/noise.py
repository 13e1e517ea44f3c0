"""The noise of samples as latents, for a GAN and whatever else has no posterior."""

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.api.run import Run
from vaejax.core import given_noise
from vaejax.core.batched import compiled, in_batches
from vaejax.explore.latents import Latents, names_of

# Rows of the traced sample, which tell noise of each picture from other noise: no size of a net.
ROWS = 61
MAX_SIZE = 4096  # numbers of the noise of a picture that a page moves


def noise_latents(run: Run) -> Latents | None:
  """The noise of a run's samples as its latents. None if it has no samples, if they need more than
  a label, or if the noise is not of N(0, 1) for each sample."""
  method, example = run.method, run.example
  if method.sample is None or 'source' in method.given:
    return None
  is_given = 'label' in method.given

  def sample(key, label):
    given = {'label': label} if is_given else {}
    return (example.to_unit(method.sample(run.variables, key, len(label), given)[example.data]),)

  draws = given_noise.make(sample, jax.ShapeDtypeStruct((ROWS,), jnp.int32)).draws
  alike = all(d.kind == 'normal' and d.form.shape[:1] == (ROWS,) for d in draws)
  forms = tuple(jax.ShapeDtypeStruct(draw.form.shape[1:], np.float32) for draw in draws)
  names, parts = names_of(forms)
  if not alike or not 0 < len(names) <= MAX_SIZE:
    return None
  ends = np.cumsum([length for _, length in parts])[:-1]

  def pictures(rows, index):
    flat = jnp.split(rows['z'], ends, axis=1)
    noise = [x.reshape(-1, *form.shape) for x, form in zip(flat, forms, strict=True)]
    made = given_noise.make(sample, jax.ShapeDtypeStruct(rows['label'].shape, jnp.int32))
    return made(noise, rows['label'])[0].astype(jnp.float32)

  program = compiled(pictures, None)

  def decode(z: np.ndarray, labels, rows: int) -> np.ndarray:
    label = np.zeros(len(z), np.int32) if labels is None else np.asarray(labels, np.int32)
    return in_batches(program, {'z': np.asarray(z, np.float32), 'label': label}, len(z), rows)

  def draw(n: int, seed: int, temperature: float, labels) -> np.ndarray:
    z = temperature * np.random.default_rng(seed).normal(size=(n, len(names)))
    return z.astype(np.float32)

  zeros = np.zeros(len(names), np.float32)
  return Latents(names, parts, zeros, zeros + 1, draw, decode, None, is_given)
