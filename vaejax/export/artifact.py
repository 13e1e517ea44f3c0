"""What is exported, and the files that it becomes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from vaejax.export.ports import Function, Port


class Export(NamedTuple):
  """What is exported of a run.

  Attributes:
    run: the vaejax.api.run.Run.
    functions: {name: function}.
    settings: further settings of formats, by name.
    log: gets a line on what cannot be exported.
  """

  run: Any
  functions: Mapping[str, Function]
  settings: Mapping[str, Any]
  log: Callable[[str], None]


class File(NamedTuple):
  """A file of an export.

  Attributes:
    path: where it is.
    function: the name of its function; '' if it is none.
    inputs, outputs: the ports that it takes and gives, in order.
    noise: which of its inputs are draws: {name: their kind}.
    seeded: whether its first input is a seed.
    batch: the number of rows that it takes; None: any.
    quantised: 'float16', 'int8', …; '': float32.
    measured: what else is known of it, for the card.
    computes: its function, if that is not the export's of this name.
  """

  path: Path
  function: str = ''
  inputs: tuple[Port, ...] = ()
  outputs: tuple[Port, ...] = ()
  noise: Mapping[str, str] = {}
  seeded: bool = False
  batch: int | None = None
  quantised: str = ''
  measured: Mapping[str, Any] = {}
  computes: Function | None = None


def examples(function: Function, n: int, seed: int = 0) -> list[np.ndarray]:
  """Inputs of a function with n rows: uniform within the range of a port, else of N(0, 1)."""
  random = np.random.default_rng(seed)
  arrays = []
  for port in function.inputs:
    form = port.form(n)
    if port.name == 'index':
      x = np.arange(n)
    elif port.name == 'temperature':
      x = np.asarray(0.9)
    elif form.dtype.kind == 'i':
      x = random.integers(int(port.low or 0), int(port.high or 0) + 1, form.shape)
    elif port.low is None:
      x = random.normal(size=form.shape)
    else:
      x = random.uniform(port.low, port.high, form.shape)
    arrays.append(np.asarray(x, form.dtype))
  return arrays


def key_of(seed: int) -> jax.Array:
  """The key of an export's draws: that of the first 256 rows of Run's methods."""
  return jax.random.fold_in(jax.random.key(seed), 0)
