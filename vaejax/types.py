"""The interface: a method is nets plus a tuple of players; a step is one round of their turns."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct

from vaejax.stream_type import Stream
from vaejax.units import Units

Batch = Mapping[str, jax.Array]  # 'image' [B, H, W, C], 'video' [B, T, H, W, C], 'label' [B], ...
Hyper = Mapping[str, jax.Array]  # 'lr', 'beta', ...: array leaves, so they sweep and schedule
Metrics = Mapping[str, jax.Array]
Buffer = Mapping[str, jax.Array]  # the raw rows that one chunk of steps draws from


@struct.dataclass
class Variables:
  """The variables of all nets: gradients move `params`, the forward pass moves `extra`.

  Nets in `frozen` use their statistics as at test time, in training too; a step sets it for its
  losses.
  """

  params: Mapping[str, Any]  # {net: tree}
  extra: Mapping[str, Any]  # {net: {collection: tree}}
  frozen: tuple[str, ...] = struct.field(pytree_node=False, default=())


@struct.dataclass
class State:
  """The whole state of a run: with its config, enough to resume bit for bit."""

  step: jax.Array
  key: jax.Array
  variables: Variables
  opt: Mapping[str, Any]  # {player: optax state}, or {'tx', 'constraint'} if it has a constraint
  ema: Variables | None
  hyper: Hyper


def averaged(state: State) -> Variables:
  """The variables to evaluate and sample with: the moving average if there is one."""
  return state.variables if state.ema is None else state.ema


class BatchMeans(NamedTuple):
  """Means over a whole batch, for a loss that is given one of its equal microbatches.

  Attributes:
    values: what `Player.means` returned for each microbatch, averaged.
    microbatches: their number.
  """

  values: Mapping[str, jax.Array]
  microbatches: int


LossFn = Callable[[Variables, Batch, jax.Array, Hyper], tuple[jax.Array, tuple[Metrics, Any]]]


class Constraint(NamedTuple):
  """What a player's parameters obey after each update, such as pruned weights that are 0."""

  tx: optax.GradientTransformation  # of the update: the direction times the rate
  project: Callable[[Any, Any], Any]  # (state of tx, params) -> params that obey it
  metrics: Callable[[Any], Metrics]  # (state of tx) -> what is logged


class Player(NamedTuple):
  """A loss, the nets that it trains, and its optimizer.

  Attributes:
    name: appears in metrics and errors.
    loss: (variables, batch, key, hyper) -> (scalar, (metrics, new extra)).
    owns: the nets whose params this player trains; a net may have two owners.
    tx: optax transformation at rate 1, which returns a direction. None: the one in the config's
      `optimizer` section, see core.optim.equip.
    lr: the entry of `hyper` that is the rate.
    turns: number of updates in a round, each on its own examples.
    batches: number of batches in these examples; rows of the first, the second and so on alternate.
    means: (variables, batch, key, hyper) -> (means over the batch that the loss is not linear in,
      new extra). With microbatches they are computed first, and their BatchMeans are the last
      argument of `loss`, so that its mean over microbatches has the gradient of the whole batch.
      None: the loss is a mean of terms of single examples.
    constraint: of its parameters. None: as `optimizer` says, see core.optim.equip.
  """

  name: str
  loss: LossFn
  owns: tuple[str, ...]
  tx: optax.GradientTransformation | None = None
  lr: str = 'lr'
  turns: int = 1
  batches: int = 1
  means: Callable[..., tuple[Mapping[str, jax.Array], Any]] | None = None
  constraint: Constraint | None = None


class Latent(NamedTuple):
  """A latent-variable model p(z|c) p(x|z, c) and its q(z|x, c); vaejax/latent.py derives the rest.

  Each function returns a distribution and the updated variables, as `lens.apply` does. z is an
  array [B, ...] or a tuple of arrays; x is in the data's own range.

  Attributes:
    prior: (variables, n, given) -> p(z|given) of n latents.
    posterior: (variables, batch, *, train) -> q(z|x).
    likelihood: (variables, z, given, *, target, train) -> p(x|z); `target` is x while training.
    data: the name of the field x.
    conditions: the names of the fields c; all densities are conditioned on them.
  """

  prior: Callable[..., tuple[Any, Variables]]
  posterior: Callable[..., tuple[Any, Variables]]
  likelihood: Callable[..., tuple[Any, Variables]]
  data: str = 'image'
  conditions: tuple[str, ...] = ()


class Method(NamedTuple):
  """A model family, as pure functions.

  Inputs and outputs are in the data's own range, from `example.low` to `example.high`;
  Example.to_data and to_unit convert them for users.

  Attributes:
    init: (key, batch) -> Variables. The batch has one example, which is blank unless `centred`.
    players: in the order of their turns.
    sample: (variables, key, n, given, *, temperature, draw) -> Batch of n examples. `given` is a
      Batch with n rows of any of the fields below. None if the method generates nothing.
    metrics: (variables, batch, key, hyper) -> {name: [B]}, per example at test time. Rows where
      batch['mask'] [B] is 0 are padding.
    pooled: ({name: [N, ...]} of all examples, hyper) -> {name: [N]}: the final metrics, if some
      depend on means over the whole split. None: those of `metrics` are final.
    predict: {name: (variables, batch, key) -> Batch}: 'encode', 'decode', 'reconstruct',
      'criticise', 'transfer' (an 'image' in the style of a 'style_image'), 'to_image' (the 'image'
      of a 'source'), 'to_source' (the 'source' of an 'image'), and 'log_weight':
      log p(x, z) - log q(z|x) in nats for one draw of z, [B].
    dims: number of discrete values in an example, for bits per dimension; 0 if the likelihood is a
      density, or if there is none.
    given: the fields that `sample` accepts: 'label', 'video'.
    latent: the three distributions of a latent-variable model; None for a GAN.
    previous: number of rows before each row that `metrics` needs, as in Eval. Without them in the
      batch, it takes rows of the batch.
    centred: whether `init` is given the mean of the training data as its example.
    stream: how a video goes on frame by frame, if it can.
  """

  init: Callable[[jax.Array, Batch], Variables]
  players: tuple[Player, ...]
  sample: Callable[..., Batch] | None
  metrics: Callable[[Variables, Batch, jax.Array, Hyper], Metrics]
  predict: Mapping[str, Callable[[Variables, Batch, jax.Array], Batch]]
  dims: int = 0
  given: tuple[str, ...] = ()
  latent: Latent | None = None
  pooled: Callable[[Metrics, Hyper], Metrics] | None = None
  previous: int = 0
  centred: bool = False
  stream: Stream | None = None

  @property
  def batches(self) -> int:
    """The number of batches that a step draws."""
    return max(player.turns * player.batches for player in self.players)

  @property
  def conditional(self) -> bool:
    """Whether the method is given the label of every row, in its densities or its critic."""
    return 'label' in (self.latent.conditions if self.latent else self.given)


class Prior(NamedTuple):
  """The prior of a latent-variable model, made by nets/priors/NAME.py.

  Attributes:
    nets: {'prior': net}, or {} if nothing is learned.
    inputs: (n, label) -> {net: the arguments that it is initialised with}.
    of: (nets, posterior) -> the `prior` of a Latent.
  """

  nets: Mapping[str, Any]
  inputs: Callable[..., Mapping[str, tuple]]
  of: Callable[..., Callable[..., tuple[Any, Variables]]]


class Example(NamedTuple):
  """What one example of the data looks like: all that building a method and sampling need.

  Attributes:
    fields: shape and dtype of each field of one example, without a batch axis.
    classes: number of label classes, or None.
    low, high: the range of the data inside a method.
    levels: number of values that an element can take, such as 256 for 8 bits, 65,536 for 16, and 2
      if it was binarised; 0 for floats.
    data: the field that is modelled, 'image' or 'video'.
    styles: number of styles of the images, which the field 'style' names; 0 if they have none.
    units: of real numbers, which are in these units everywhere outside a method; None for 8 bits.
    class_names: the name of each class, () if they have none.
    factors: ((name, number of values), ...) of the field 'factors'.
    shown: the channels that pictures show, (): all.
  """

  fields: Mapping[str, jax.ShapeDtypeStruct]
  classes: int | None = None
  low: float = 0.0
  high: float = 1.0
  levels: int = 256
  data: str = 'image'
  styles: int = 0
  units: Units | None = None
  class_names: tuple[str, ...] = ()
  factors: tuple[tuple[str, int], ...] = ()
  shown: tuple[int, ...] = ()

  def to_data(self, x) -> jax.Array:
    """Converts uint8, or floats in [0, 1], or real numbers in their units, to the range inside a
    method. With 3 to 255 levels, values in [0, 1] are rounded to these."""
    x = jnp.asarray(x)
    if self.units:
      return self.units.forward(x)
    unit = x.astype(jnp.float32) / 255 if x.dtype == jnp.uint8 else x
    if 2 < self.levels < 256:
      unit = jnp.round(unit * (self.levels - 1)) / (self.levels - 1)
    return self.low + (self.high - self.low) * unit

  def to_unit(self, x) -> jax.Array:
    """Converts a method's output to floats in [0, 1], clipped, or real numbers to their units."""
    return self.units.inverse(x) if self.units else self.to_picture(x)

  def to_picture(self, x) -> jax.Array:
    """Converts a method's output to [0, 1], to be shown as a picture."""
    if self.units:
      return self.units.picture(x)
    return jnp.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)


def zeros(example: Example, n: int) -> Batch:
  """A batch of n blank examples, to trace and initialise with."""
  return {k: jnp.zeros((n, *f.shape), f.dtype) for k, f in example.fields.items()}
