"""Jitted programs over any number of rows on the host, compiled once per shape."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from vaejax.types import Batch


def in_batches(program: Callable[..., Any], rows: Batch, n: int, size: int) -> Any:
  """Returns program(rows, index) for n rows, on the host.

  The program gets `size` rows at a time, padded with zeros at the end, and their indices. So it is
  compiled once, and its result for a row does not depend on how many rows there are.
  """
  pad = lambda x: np.pad(x, [(0, size - len(x)), *[(0, 0)] * (x.ndim - 1)])
  parts = []
  for first in range(0, max(n, 1), size):
    part = jax.tree.map(lambda x, first=first: pad(x[first : first + size]), rows)
    parts.append(jax.device_get(program(part, np.arange(first, first + size))))
  return jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *parts)


def compiled(
  program: Callable[..., Any], static: str | tuple[str, ...] | None
) -> Callable[..., Any]:
  """Returns the program jitted, with matrix products in full precision on accelerators too."""

  def precise(*args, **settings):
    with jax.default_matmul_precision('highest'):
      return program(*args, **settings)

  return jax.jit(precise, static_argnames=static)
