"""Codes of a tested split, for the evals of latents."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from vaejax.distributions import Gaussian
from vaejax.errors import UserError
from vaejax.types import Example, Method, zeros


def abstract(method: Method, example: Example, of: Callable):
  """The shapes and dtypes of `of(variables, batch)` for one example, without computing it."""
  blank = {'label': jnp.zeros(1, jnp.int32), **zeros(example, 1), 'mask': jnp.ones(1)}
  return jax.eval_shape(lambda: of(method.init(jax.random.key(0), blank), blank))


def has_gaussian_posterior(method: Method, example: Example) -> bool:
  """Whether q(z|x) is a diagonal Gaussian."""
  if method.latent is None:
    return False
  q = abstract(method, example, lambda v, batch: method.latent.posterior(v, batch)[0])
  return isinstance(q, Gaussian)


def check_latents(name: str, method: Method, config) -> None:
  """Raises UserError for a method without latents."""
  if 'encode' not in method.predict:
    raise UserError(f'the {name} eval needs latents, but the method {config.method!r} has none')


def extract(method: Method, gaussian: bool) -> Callable:
  """(variables, batch, key) -> rows [B, L]: 'code_mean', 'code_sample' and, for a Gaussian
  posterior, 'code_scale'. Latents that are whole numbers are left out."""
  names = {'mean': 'code_mean', 'latents': 'code_sample'}
  names |= {'scale': 'code_scale'} if gaussian else {}

  def flat(tree) -> jax.Array:
    leaves = [x.reshape(x.shape[0], -1) for x in jax.tree.leaves(tree)]
    return jnp.concatenate([x for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)], axis=-1)

  def rows(variables, batch, key):
    code = method.predict['encode'](variables, batch, key)
    return {new: flat(code[old]) for old, new in names.items()}

  return rows
