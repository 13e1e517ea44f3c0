"""The latent space of a trained model: the form of its latents, their centre and their scale."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.distributions import Gaussian
from vaejax.errors import UserError
from vaejax.types import Example, Method, Variables, zeros

ROWS = 4096  # training rows from which the aggregate posterior is measured


class Space(NamedTuple):
  """Centre and scale of latents, each in the structure of one example's latents.

  Attributes:
    centre: the mean, [...].
    scale: the standard deviation, [...].
    origin: 'the prior' or 'the aggregate posterior'.
  """

  centre: Any
  scale: Any
  origin: str


def form(method: Method, variables: Variables, example: Example) -> Any:
  """Shape and dtype of one example's latents, a jax.ShapeDtypeStruct or a tuple of them."""
  batch = {'label': jnp.zeros(1, jnp.int32), **zeros(example, 1)}
  encode = lambda: method.predict['encode'](variables, batch, jax.random.key(0))['mean']
  strip = lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
  return jax.tree.map(strip, jax.eval_shape(encode))


def check_continuous(model, task: str) -> None:
  """Raises UserError unless a run has latents of real numbers that can be decoded to images."""
  name, method = model.config.method, model.method
  if not {'encode', 'decode'} <= method.predict.keys():
    raise UserError(
      f'{task} needs latents that can be decoded, but a run of {name} has none. Use a VAE'
    )
  if model.example.data != 'image':
    raise UserError(f'{task} needs a run on images, but this one is on {model.example.data}s')
  leaves = jax.tree.leaves(form(method, model.variables, model.example))
  if not all(jnp.issubdtype(x.dtype, jnp.floating) for x in leaves):
    raise UserError(
      f'{task} needs latents of real numbers, but those of this run are codes, between which '
      'there is nothing. Use a run with Gaussian latents'
    )


def standard(method: Method, variables: Variables, example: Example) -> Space | None:
  """Centre 0 and scale 1 if the prior is N(0, I); None for any other prior."""
  if method.latent is None:
    return None
  blank = {'label': jnp.zeros(1, jnp.int32), **zeros(example, 1)}
  given = {name: blank[name] for name in method.latent.conditions}
  prior, _ = method.latent.prior(variables, 1, given)
  if not isinstance(prior, Gaussian) or np.any(prior.mean) or np.any(prior.log_scale):
    return None
  shape = prior.mean.shape[1:]
  return Space(np.zeros(shape, np.float32), np.ones(shape, np.float32), 'the prior')


def aggregate(draws: Any) -> Space:
  """Mean and standard deviation of draws of q(z|x) of many x, [N, ...] or a tuple of such arrays:
  those of the aggregate posterior."""
  mean = jax.tree.map(lambda x: np.asarray(x).mean(axis=0), draws)
  scale = jax.tree.map(lambda x: np.asarray(x).std(axis=0), draws)
  return Space(mean, scale, 'the aggregate posterior')


def measure(model, train, seed: int = 0) -> Space:
  """The space of a run: of its prior if that is N(0, I), else of the aggregate posterior of ROWS
  training rows. A learned prior, or one for each class, has no scale of its own along an axis, but
  the trained model's latents have.

  Args:
    train: n -> the first n training rows in parts, see task_type.Pictures.
  """
  space = standard(model.method, model.variables, model.example)
  if space is not None:
    return space
  if train is None:
    raise UserError(
      'the prior of this run is not N(0, I), so its scale is measured on training rows, but there '
      'are none. Use a run whose data is available'
    )
  data = model.example.data
  # In one call, because its noise depends on the index of a row.
  parts = [{data: rows[data], **model.conditions(rows)} for rows in train(ROWS)]
  rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
  return aggregate(model.encode(rows.pop(data), draw=True, seed=seed, **rows))
