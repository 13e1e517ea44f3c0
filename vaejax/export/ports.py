"""What a function that leaves Python is: its inputs, its outputs, and how it is computed."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

BATCH = 'batch'


class Port(NamedTuple):
  """An input or an output of a function.

  Attributes:
    shape: its shape; the first axis may be BATCH.
    low, high: the range of its values, None where there is no bound.
  """

  name: str
  shape: tuple[int | str, ...]
  about: str
  dtype: str = 'float32'
  low: float | None = None
  high: float | None = None

  def form(self, batch: Any) -> jax.ShapeDtypeStruct:
    """Its shape and dtype, with a number of rows, which may be symbolic."""
    shape = tuple(batch if n == BATCH else n for n in self.shape)
    return jax.ShapeDtypeStruct(shape, np.dtype(self.dtype))


class Function(NamedTuple):
  """A pure function of a run.

  Attributes:
    about: what it computes, in one sentence.
    inputs, outputs: its ports.
    call: (key, *inputs) -> outputs, a tuple; the run's variables are constants in it.
    reference: (seed, *inputs) -> outputs by the public methods of the run, for at most 256 rows.
  """

  name: str
  about: str
  inputs: tuple[Port, ...]
  outputs: tuple[Port, ...]
  call: Callable[..., tuple]
  reference: Callable[..., tuple]


class Parts:
  """What the functions of a run consist of."""

  def __init__(self, run):
    self.run, self.example, self.method = run, run.example, run.method
    self.variables, self.data = run.variables, run.example.data
    self.conditions = run.method.latent.conditions if run.method.latent else ()
    units = self.example.units
    self.range = {} if units else {'low': 0.0, 'high': 1.0}
    latents = run.latents() if 'encode' in run.method.predict else None
    self.leaves, self.structure = jax.tree.flatten(latents)

  def image(self, name: str, about: str) -> Port:
    """An image of the data, or a video."""
    shape = self.example.fields[self.data].shape
    return Port(name, (BATCH, *shape), about, **self.range)

  def source(self, about: str, name: str = 'source') -> Port:
    shape = self.example.fields['source'].shape
    return Port(name, (BATCH, *shape), about, low=0.0, high=1.0)

  @property
  def fields(self) -> tuple[str, ...]:
    """The fields of its examples besides the data, of those that can be given."""
    return tuple(name for name in ('label', 'source') if name in self.example.fields)

  def given(self, names=None) -> tuple[Port, ...]:
    """The conditions of a model, or the fields of these names."""
    top = (self.example.classes or 1) - 1
    ports = {
      'label': Port('label', (BATCH,), 'the number of the class', 'int32', 0, top),
    }
    if 'source' in self.example.fields:
      ports['source'] = self.source('what the picture is conditioned on')
    return tuple(ports[name] for name in (self.conditions if names is None else names))

  def latents(self, prefix: str, about: str) -> tuple[Port, ...]:
    several = len(self.leaves) > 1
    return tuple(
      Port(f'{prefix}_{i}' if several else prefix, (BATCH, *x.shape), about, str(x.dtype))
      for i, x in enumerate(self.leaves)
    )

  def inward(self, rows: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as users have them in the data's own range."""
    to_source = self.example._replace(levels=256, units=None).to_data
    convert = {self.data: self.example.to_data, 'style_image': self.example.to_data}
    convert['source'] = to_source
    return {k: convert[k](x) if k in convert else x for k, x in rows.items()}

  def outward(self, batch: Mapping[str, Any]) -> tuple:
    return (self.example.to_unit(batch[self.data]).astype(jnp.float32),)

  def function(self, name, about, inputs, outputs, compute, reference) -> Function:
    """A Function of compute(key, {input: array})."""
    names = [port.name for port in inputs]
    named = lambda arrays: dict(zip(names, arrays, strict=True))
    call = lambda key, *arrays: compute(key, named(arrays))

    def check(seed, *arrays):
      with jax.default_matmul_precision('highest'):
        return tuple(map(np.asarray, reference(seed, named(arrays))))

    return Function(name, about, tuple(inputs), tuple(outputs), call, check)
