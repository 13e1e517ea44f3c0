"""The interface: a method is nets plus a tuple of players; a step is one round of their turns."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

Batch = Mapping[str, jax.Array]  # 'image' [B, H, W, C], 'video' [B, T, H, W, C], 'label' [B], ...
Hyper = Mapping[str, jax.Array]  # 'lr', 'beta', ...: array leaves, so they sweep and schedule
Metrics = Mapping[str, jax.Array]
Buffer = Mapping[str, jax.Array]  # the raw rows that one chunk of steps draws from


@struct.dataclass
class Variables:
  """Everything that nets hold: `params` move by gradients, `extra` by the forward pass. Nets named
  in `frozen` use their statistics as they stand, in training too; a step sets it for its losses."""

  params: Mapping[str, Any]  # {net: tree}
  extra: Mapping[str, Any]  # {net: {collection: tree}}
  frozen: tuple[str, ...] = struct.field(pytree_node=False, default=())


@struct.dataclass
class State:
  """All of a run: with the config it is enough to go on bit for bit."""

  step: jax.Array
  key: jax.Array
  variables: Variables
  opt: Mapping[str, Any]  # {player: optax state}
  ema: Variables | None
  hyper: Hyper


def averaged(state: State) -> Variables:
  """The variables to evaluate and sample with: the moving average where one is kept."""
  return state.variables if state.ema is None else state.ema


LossFn = Callable[[Variables, Batch, jax.Array, Hyper], tuple[jax.Array, tuple[Metrics, Any]]]


class Player(NamedTuple):
  """A loss, the nets that it moves, and its optimizer.

  Attributes:
    name: of the player; metrics and errors carry it.
    loss: (variables, batch, key, hyper) -> (scalar, (metrics, new extra)).
    owns: the nets whose params this player moves; a net may have two owners.
    tx: optax transformation at rate 1: it gives a direction, the rate is `hyper[lr]`. None until
      the config's `optimizer` has given it one (see core.optim.equip).
    lr: the entry of `hyper` that holds the rate.
    turns: updates in one round, each on its own examples.
  """

  name: str
  loss: LossFn
  owns: tuple[str, ...]
  tx: optax.GradientTransformation | None = None
  lr: str = 'lr'
  turns: int = 1


class Latent(NamedTuple):
  """A latent-variable model p(z|c) p(x|z, c) and its q(z|x, c); vaejax/latent.py derives all else.

  Each function gives a distribution and the variables that its nets leave, as `lens.apply` does.
  z is an array [B, ...] or a tuple of them, x is in the data's own range.

  Attributes:
    prior: (variables, n, given) -> p(z|given) of n latents.
    posterior: (variables, batch, *, train) -> q(z|x).
    likelihood: (variables, z, given, *, target, train) -> p(x|z); `target` is x while training.
    data: the field that x is.
    conditions: the fields c that every density is conditioned on, also when x is scored.
  """

  prior: Callable[..., tuple[Any, Variables]]
  posterior: Callable[..., tuple[Any, Variables]]
  likelihood: Callable[..., tuple[Any, Variables]]
  data: str = 'image'
  conditions: tuple[str, ...] = ()


class Method(NamedTuple):
  """A model family, as pure functions. All data is in its own range, from `example.low` to
  `example.high`, in and out; Example.to_data and to_unit are the borders.

  Attributes:
    init: (key, batch) -> Variables.
    players: who moves what, in the order of their turns.
    sample: (variables, key, n, given, *, temperature, draw) -> Batch of n examples; `given` is a
      Batch of n of the fields below, of any or of none. None where a method generates nothing.
    metrics: (variables, batch, key, hyper) -> {name: [B]}, per example, nothing is trained; rows
      where a 'mask' [B] in the batch is 0 are padding.
    predict: {name: (variables, batch, key) -> Batch}: 'encode', 'decode', 'reconstruct',
      'criticise', 'translate' (an 'image' in the style of a 'style_image'), and 'log_weight':
      log p(x, z) - log q(z|x) in nats for one draw of z, [B].
    dims: how many discrete values an example has, so that bits per dimension mean something; 0
      where its likelihood is a density, or where there is none.
    given: the fields that `sample` may be given: 'label', 'video'.
    latent: the three distributions of a latent-variable model; None for a GAN.
  """

  init: Callable[[jax.Array, Batch], Variables]
  players: tuple[Player, ...]
  sample: Callable[..., Batch] | None
  metrics: Callable[[Variables, Batch, jax.Array, Hyper], Metrics]
  predict: Mapping[str, Callable[[Variables, Batch, jax.Array], Batch]]
  dims: int = 0
  given: tuple[str, ...] = ()
  latent: Latent | None = None


class Prior(NamedTuple):
  """A part of a latent-variable model, made by nets/priors/NAME.py.

  Attributes:
    nets: {} where nothing is learned, else {'prior': net}.
    inputs: (n, label) -> {net: the arguments that shape it}.
    of: (nets, posterior) -> the `prior` of a Latent.
  """

  nets: Mapping[str, Any]
  inputs: Callable[..., Mapping[str, tuple]]
  of: Callable[..., Callable[..., tuple[Any, Variables]]]


class Eval(NamedTuple):
  """A family of test values: what is looked at on the device, what the host makes of it.

  Attributes:
    extract: {stream: (variables, batch, key, hyper) -> (sums, rows)}, pure, vmapped over the
      members of a sweep. The streams are 'test', the split that is tested, in its order; 'train',
      the training split in its order; and 'samples', as many of the method's own as the tested split
      has rows, in the data's own range, with the fields that they were given, as 'label'. Where
      batch['mask'] [B] is 0 a row is padding. sums: a tree that is added up over batches. rows:
      {name: [B, ...]}, kept of every example; rows of one name and stream are the same for all
      evals of a pass, and are computed once.
    finish: ({stream: sums}, {stream: {name: [N, ...]}}) -> {name: (value, its standard error, or
      None where that is not known)}, on the host.
    names: () -> the names of the values, without a pass.
    protocol: what else a value depends on.
    limit: of how many examples rows are kept, 0: all.
  """

  extract: Mapping[str, Callable[..., tuple[Any, Batch]]]
  finish: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, tuple[float, float | None]]]
  names: Callable[[], Sequence[str]]
  protocol: Mapping[str, Any] = MappingProxyType({})
  limit: int = 0


class Example(NamedTuple):
  """What a method must know of the data, and all that sampling needs.

  Attributes:
    fields: shape and dtype of each field of one example, without a batch axis.
    classes: number of label classes, or None.
    low, high: the range of the values of the data.
    levels: how many values an element takes: 256, or 2 where it was binarised; 0 for real numbers,
      which are in their own units on both sides of the border.
    data: the field that is modelled, 'image' or 'video'.
    styles: in how many styles images are, whose index is the field 'style'; 0 for as they come.
  """

  fields: Mapping[str, jax.ShapeDtypeStruct]
  classes: int | None = None
  low: float = 0.0
  high: float = 1.0
  levels: int = 256
  data: str = 'image'
  styles: int = 0

  def to_data(self, x) -> jax.Array:
    """uint8, or floats in [0, 1], as a method takes them; real numbers as they are."""
    x = jnp.asarray(x)
    if not self.levels:
      return x.astype(jnp.float32)
    unit = x.astype(jnp.float32) / 255 if x.dtype == jnp.uint8 else x
    return self.low + (self.high - self.low) * unit

  def to_unit(self, x) -> jax.Array:
    """What a method gives as floats in [0, 1], clipped; real numbers as they are."""
    return x if not self.levels else self.to_picture(x)

  def to_picture(self, x) -> jax.Array:
    """What a method gives, for the eye: in [0, 1]."""
    return jnp.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)


def zeros(example: Example, n: int) -> Batch:
  """A batch of n blank examples, to trace and initialise with."""
  return {k: jnp.zeros((n, *f.shape), f.dtype) for k, f in example.fields.items()}


class Source(NamedTuple):
  """One split of a dataset, ready to be drawn from.

  Attributes:
    example: shapes, dtypes, classes and range of what `draw` and `rows` give.
    size: number of examples.
    resident: whether the split lives on the device.
    row_shardable: whether a part of a batch can be drawn without the rest of it.
    buffer_spec: how a buffer lies on a mesh, as a tree of PartitionSpec or the first levels of one.
    buffers: (first step, last step) -> iterator of (buffer, steps it serves) on the host.
    draw: (buffer, key, step, part=(0, 1)) -> the batch of that step, or part i of n equal parts of
      it, (i, n); pure, on the device.
    blocks: n -> iterator of buffers over the split in order, n rows a block.
    rows: (buffer, index [n]) -> Batch in the split's own order, noise fixed by the index.
  """

  example: Example
  size: int
  resident: bool
  row_shardable: bool
  buffer_spec: Any
  buffers: Callable[[int, int], Any]
  draw: Callable[..., Batch]
  blocks: Callable[[int], Any]
  rows: Callable[[Buffer, jax.Array], Batch]
