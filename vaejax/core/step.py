"""Steps as pure functions of (state, batch); a chunk loops over steps, a sweep vmaps over runs."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vaejax.core import update
from vaejax.data import left_out
from vaejax.types import (
  Batch,
  BatchMeans,
  Buffer,
  Example,
  Hyper,
  Method,
  Metrics,
  Player,
  State,
  Variables,
  zeros,
)


def create_state(
  method: Method,
  key: jax.Array,
  hyper: Mapping[str, float],
  example: Example,
  taken: Variables | None = None,
  first: Batch | None = None,
) -> State:
  """The state before the first step, without a moving average. Pure.

  `taken` has the variables of nets from another run, which replace those of `method.init`. `first`
  is the batch of one example that nets are initialised with; None: a blank one.
  """
  init_key, run_key = jax.random.split(key)
  variables = method.init(init_key, zeros(example, 1) if first is None else first)
  if taken is not None:
    variables = Variables({**variables.params, **taken.params}, {**variables.extra, **taken.extra})
  owned = lambda player: {name: variables.params[name] for name in player.owns}
  opt = {player.name: update.init(player, owned(player)) for player in method.players}
  return State(
    step=jnp.zeros((), jnp.int32),
    key=run_key,
    variables=variables,
    opt=opt,
    ema=None,
    hyper={name: jnp.asarray(value, jnp.float32) for name, value in hyper.items()},
  )


def microbatch(batch: Batch, index, count: int) -> Batch:
  """Every count-th example from `index` on, so that rows stay on their device."""
  return jax.tree.map(lambda x: x.reshape(-1, count, *x.shape[1:])[:, index], batch)


def examples_of(player: Player, batch: Batch, turn, rounds: int) -> Batch:
  """The examples of a player's turn, from the `rounds` batches of a step."""
  if player.batches == rounds:
    return batch
  if player.batches == 1:
    return microbatch(batch, turn, rounds)
  parts = [microbatch(batch, turn * player.batches + i, rounds) for i in range(player.batches)]
  return jax.tree.map(lambda *x: jnp.stack(x, 1).reshape(-1, *x[0].shape[1:]), *parts)


def unowned(players, variables: Variables) -> tuple[str, ...]:
  """The nets that no player trains."""
  return tuple(sorted(set(variables.params).difference(*(player.owns for player in players))))


def batch_means(player: Player, variables: Variables, batch: Batch, key, hyper, count: int):
  """The BatchMeans of a batch in `count` microbatches, each with the noise of its turn."""

  def body(extra, i):
    values, after = player.means(
      variables.replace(extra=extra),
      microbatch(batch, i, count),
      jax.random.fold_in(key, i),
      hyper,
    )
    return {n: after[n] if n in player.owns else extra[n] for n in extra}, values

  _, values = jax.lax.scan(body, variables.extra, jnp.arange(count))
  return BatchMeans(jax.tree.map(lambda x: jnp.mean(x, axis=0), values), count)


def turn(player: Player, state: State, batch: Batch, key, hyper, microbatches: int, frozen=()):
  """One update of one player, with the mean gradient of equal microbatches. That is the gradient of
  the whole batch, except that BatchNorm normalises each microbatch.

  Its loss returns the statistics of all nets; only those of its own nets are kept.
  """
  params = state.variables.params
  owned = {name: params[name] for name in player.owns}
  means = ()
  if player.means and microbatches > 1:
    variables = state.variables.replace(frozen=frozen)
    means = (batch_means(player, variables, batch, key, hyper, microbatches),)

  def objective(owned, extra, batch, key):
    variables = Variables({**params, **owned}, extra, frozen)
    loss, (metrics, after) = player.loss(variables, batch, key, hyper, *means)
    return loss, (metrics, {n: after[n] if n in owned else extra[n] for n in extra})

  gradient = jax.value_and_grad(objective, has_aux=True)
  if microbatches == 1:
    (loss, (metrics, extra)), grads = gradient(owned, state.variables.extra, batch, key)
  else:

    def accumulate(extra, i):
      examples = microbatch(batch, i, microbatches)
      (loss, (metrics, extra)), grads = gradient(owned, extra, examples, jax.random.fold_in(key, i))
      return extra, (loss, metrics, grads)

    extra, outputs = jax.lax.scan(accumulate, state.variables.extra, jnp.arange(microbatches))
    loss, metrics, grads = jax.tree.map(lambda x: jnp.mean(x, axis=0), outputs)
  owned, opt = update.apply(player, grads, state.opt[player.name], owned, hyper[player.lr])
  variables = Variables({**params, **owned}, extra)
  state = state.replace(variables=variables, opt={**state.opt, player.name: opt})
  return state, {**metrics, 'loss': loss}


def make_step(method: Method, schedules: Mapping | None = None, ema: float = 0.0, microbatches=1):
  """A function (State, Batch) -> (State, Metrics): one round, in which each player takes its turns.

  The batch has B * method.batches examples, B for each batch of an update.

  Args:
    method: its players.
    schedules: {entry of hyper: step -> factor}.
    ema: decay of the moving average of parameters and statistics, 0 for none.
    microbatches: the number of parts that an update's batch is split into.
  """
  players = method.players
  rounds = method.batches

  def step(state: State, batch: Batch) -> tuple[State, Metrics]:
    key = jax.random.fold_in(jax.random.fold_in(state.key, 0), state.step)
    hyper = scheduled(state, schedules)
    rates = {player.lr for player in players}
    frozen = unowned(players, state.variables)
    logged = {name: hyper[name] for name in sorted(rates | set(schedules or ()))}
    for number, player in enumerate(players):
      player_key = jax.random.fold_in(key, number)

      def play(state, t, player=player, key=player_key):
        examples = examples_of(player, batch, t, rounds)
        turn_key = jax.random.fold_in(key, t)
        return turn(player, state, examples, turn_key, hyper, microbatches, frozen)

      if player.turns == 1:
        state, metrics = play(state, 0)
      else:
        state, outputs = jax.lax.scan(play, state, jnp.arange(player.turns))
        metrics = jax.tree.map(lambda x: jnp.mean(x, axis=0), outputs)
      if len(players) > 1:
        metrics['loss_' + player.name] = metrics.pop('loss')
      logged |= metrics | update.metrics(player, state.opt, named=len(players) > 1)
    if ema:
      state = state.replace(ema=update.project(players, state.opt, averaging(state, ema, frozen)))
    return state.replace(step=state.step + 1), logged

  return step


def scheduled(state: State, schedules: Mapping | None) -> Hyper:
  """The hyper-parameters at the state's step: every entry times its schedule's factor."""
  step = jnp.maximum(state.step, ~state.step)  # negative for a frozen member
  factors = {name: factor(step) for name, factor in (schedules or {}).items()}
  return {name: value * factors.get(name, 1) for name, value in state.hyper.items()}


def averaging(state: State, decay: float, frozen=()) -> Variables:
  """The moving average after this step. The decay grows from 0.1, so that it forgets the initial
  values. Nets that no player trains stay the same to the bit."""
  rate = jnp.minimum(decay, (1.0 + state.step) / (10.0 + state.step))
  moved = jax.tree.map(lambda a, b: rate * a + (1 - rate) * b, state.ema, state.variables)
  select = lambda old, new: {name: old[name] if name in frozen else new[name] for name in new}
  return Variables(select(state.ema.params, moved.params), select(state.ema.extra, moved.extra))


class Chunk(NamedTuple):
  """Steps in one program.

  Attributes:
    zeros: (State, Buffer) -> the initial sums of metrics; runs nothing.
    run: (State, sums, Buffer, length) -> (State, sums) after `length` more steps. The length is an
      argument, so that all chunks run the same compiled steps. The sums are passed on, so that they
      do not depend on how a run is cut into chunks.
  """

  zeros: Callable[[State, Buffer], Metrics]
  run: Callable[[State, Metrics, Buffer, jax.Array], tuple[State, Metrics]]


def make_chunk(step, draw) -> Chunk:
  """The chunk that repeats a step, on the batches of `draw`, see data.source.Source."""

  # Jitted here, so that the step is not traced a second time for the shapes of its metrics.
  @jax.jit
  def draw_and_step(state, buffer):
    given = [state.hyper[left_out.FIELD]] if left_out.FIELD in state.hyper else []
    return step(state, draw(buffer, state.key, state.step, *given))

  def zeros(state: State, buffer: Buffer) -> Metrics:
    metrics = jax.eval_shape(draw_and_step, state, buffer)[1]
    return jax.tree.map(lambda m: jnp.zeros(m.shape, m.dtype), metrics)

  def run(state: State, sums: Metrics, buffer: Buffer, length) -> tuple[State, Metrics]:
    def body(_, carry):
      state, sums = carry
      state, metrics = draw_and_step(state, buffer)
      return state, jax.tree.map(jnp.add, sums, metrics)

    return jax.lax.fori_loop(0, length, body, (state, sums))

  return Chunk(zeros, run)
