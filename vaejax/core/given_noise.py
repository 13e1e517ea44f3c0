"""A function as a flat program: its random draws are inputs, and constants are computed.

Where there is no generator of random numbers, a program takes its noise as an argument. A traced
function draws from its key by functions of jax.random, which appear as calls of their names. Draws
replace them, and what else is done with keys is then not used any more.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.errors import UserError

KINDS = {'_normal': 'normal', '_uniform': 'uniform', '_gumbel': 'gumbel'}
# Calls that are replaced by what they call.
CALLS = 'jit', 'pjit', 'closed_call', 'core_call', 'custom_jvp_call', 'custom_vjp_call', 'remat2'


class Draw(NamedTuple):
  """Noise that a function draws: 'normal', 'gumbel' or 'uniform' (the standard ones), its shape and
  dtype, and the key that it is drawn from."""

  kind: str
  form: jax.ShapeDtypeStruct
  key: jax.Array

  def sample(self) -> jax.Array:
    """What the function itself draws; an array of keys gives one draw each."""
    shape = self.form.shape[self.key.ndim :]
    draw = lambda key: getattr(jax.random, self.kind)(key, shape, self.form.dtype)
    for _ in range(self.key.ndim):
      draw = jax.vmap(draw)
    return draw(self.key)


class Slot(NamedTuple):
  """A value of a program, by its number."""

  number: int


class Operation(NamedTuple):
  """One primitive, as an equation of a jaxpr. Inputs are slots or constants."""

  equation: Any
  inputs: tuple
  outputs: tuple[Slot, ...]


class Program(NamedTuple):
  """A function (noise, *arguments) -> outputs, where noise and outputs are tuples of arrays.

  Attributes:
    draws: the noise that it takes, in order.
    operations: what it computes.
    noise, arguments: its inputs.
    outputs: slots or constants.
  """

  draws: tuple[Draw, ...]
  operations: tuple[Operation, ...]
  noise: tuple[Slot, ...]
  arguments: tuple[Slot, ...]
  outputs: tuple

  @property
  def used(self) -> set[Slot]:
    """The slots that its outputs depend on."""
    inputs = (x for operation in self.operations for x in operation.inputs)
    return {x for x in (*inputs, *self.outputs) if isinstance(x, Slot)}

  def __call__(self, noise: Sequence, *arguments) -> tuple:
    values = dict(zip((*self.noise, *self.arguments), (*noise, *arguments), strict=True))
    read = lambda x: values[x] if isinstance(x, Slot) else x
    for operation in self.operations:
      outputs = bind(operation.equation, list(map(read, operation.inputs)))
      values |= dict(zip(operation.outputs, outputs, strict=True))
    return tuple(map(read, self.outputs))


def make(function: Callable[..., tuple], *forms, key: jax.Array | None = None) -> Program:
  """The program of function(key, *arguments), whose arguments have these forms; batch axes may be
  symbolic. `key` is the one that draws are made from, see Draw."""
  key = jax.random.key(0) if key is None else key
  closed = jax.make_jaxpr(function)(key, *forms)
  builder = _Builder()
  arguments = tuple(builder.slot() for _ in closed.jaxpr.invars[1:])
  outputs = tuple(builder.inline(closed.jaxpr, closed.consts, (key, *arguments)))
  operations = _needed(builder.operations, outputs)
  every = tuple(draw for draw, _ in builder.draws), tuple(slot for _, slot in builder.draws)
  whole = Program(every[0], operations, every[1], arguments, outputs)
  pairs = [pair for pair in builder.draws if pair[1] in whole.used]
  noise = tuple(slot for _, slot in pairs)
  return whole._replace(draws=tuple(draw for draw, _ in pairs), noise=noise)


def check(program: Program) -> None:
  """Raises UserError if a program still draws by itself: in a loop, or by another function of
  jax.random than those of KINDS."""
  for operation in program.operations:
    equation = operation.equation
    if 'key<' in str([x.aval for x in equation.invars]) or 'key<' in str(equation.params):
      raise UserError(
        f'its random draws ({equation.primitive.name}) cannot be given to it as an input. Export '
        'it to stablehlo, which draws by itself'
      )


def bind(equation, inputs: Sequence) -> list:
  """The outputs of one primitive."""
  outputs = equation.primitive.bind(*inputs, **equation.params)
  return list(outputs) if equation.primitive.multiple_results else [outputs]


class _Builder:
  """Collects the operations and draws of a jaxpr."""

  def __init__(self):
    self.operations: list[Operation] = []
    self.draws: list[tuple[Draw, Slot]] = []
    self.count = 0

  def slot(self) -> Slot:
    """A new slot."""
    self.count += 1
    return Slot(self.count)

  def inline(self, jaxpr, constants: Sequence, inputs: Sequence) -> list:
    """Adds the equations of a jaxpr, and returns its outputs as slots or constants."""
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *inputs), strict=True))
    read = lambda x: x.val if hasattr(x, 'val') else values[x]
    for equation in jaxpr.eqns:
      given = list(map(read, equation.invars))
      values |= dict(zip(equation.outvars, self.add(equation, given), strict=True))
    return list(map(read, jaxpr.outvars))

  def add(self, equation, inputs: list) -> list:
    """Adds an equation, and returns its outputs."""
    if equation.primitive.name in CALLS:
      kind = KINDS.get(equation.params.get('name'))
      if kind and not isinstance(inputs[0], Slot) and standard(kind, inputs):
        return [self.draw(kind, equation.outvars[0].aval, inputs[0])]
      inner = equation.params.get('jaxpr', equation.params.get('call_jaxpr'))
      constants = getattr(inner, 'consts', ())
      return self.inline(getattr(inner, 'jaxpr', inner), constants, inputs)
    fixed = all(isinstance(n, int) for x in equation.outvars for n in x.aval.shape)
    if fixed and not draws(equation) and not any(isinstance(x, Slot) for x in inputs):
      with jax.ensure_compile_time_eval():
        return [host(x) for x in bind(equation, inputs)]
    outputs = tuple(self.slot() for _ in equation.outvars)
    self.operations.append(Operation(equation, tuple(inputs), outputs))
    return list(outputs)

  def draw(self, kind: str, aval, key) -> Slot:
    """Adds a draw, and returns its slot."""
    slot = self.slot()
    self.draws.append((Draw(kind, jax.ShapeDtypeStruct(aval.shape, aval.dtype), key), slot))
    return slot


def draws(equation) -> bool:
  """Whether an equation makes numbers of keys, which are no constants, or has a loop that does."""
  is_key = lambda x: jnp.issubdtype(x.aval.dtype, jax.dtypes.prng_key)
  takes, gives = any(map(is_key, equation.invars)), all(map(is_key, equation.outvars))
  return (takes and not gives) or 'key<' in str(equation.params)


def standard(kind: str, inputs: Sequence) -> bool:
  """Whether a draw is of the standard distribution of its kind; a uniform one has a range."""
  return kind != 'uniform' or [*map(float, inputs[1:])] == [0, 1]


def host(x):
  """A constant as a NumPy array; a key stays as it is."""
  return x if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else np.asarray(x)


def _needed(operations: Sequence[Operation], outputs: Sequence) -> tuple[Operation, ...]:
  """The operations that outputs depend on, in order."""
  needed, kept = {x for x in outputs if isinstance(x, Slot)}, []
  for operation in reversed(operations):
    if needed.intersection(operation.outputs):
      needed |= {x for x in operation.inputs if isinstance(x, Slot)}
      kept.append(operation)
  return tuple(reversed(kept))
