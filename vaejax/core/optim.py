"""Optimizers at rate 1, and schedules, from their sections of the config."""

import inspect
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from vaejax.config.schedules import parse
from vaejax.core import prune
from vaejax.errors import UserError
from vaejax.lookup import nearest
from vaejax.types import Method

OPTIMIZERS = (
  'adabelief', 'adadelta', 'adagrad', 'adam', 'adamax', 'adamw', 'amsgrad', 'lamb', 'lion',
  'nadam', 'nadamw', 'novograd', 'radam', 'rmsprop', 'sgd', 'yogi',
)  # fmt: skip
ARGUMENTS = ('b1', 'b2', 'eps', 'momentum', 'decay', 'weight_decay')


def make(optimizer, player: str = '') -> optax.GradientTransformation:
  """The optax optimizer at rate 1: it returns a direction, which the step multiplies by the rate.

  `optimizer` has a name, `clip` (the largest global norm of a gradient, 0: off) and ARGUMENTS,
  where None is optax's default. A player's own section overrides the fields that it sets.
  Raises UserError for an unknown name, or an argument that the optimizer does not have.
  """
  name, clip, given = settings(optimizer, player)
  section = f'optimizer.{player}' if player in optimizer else 'optimizer'
  if name not in OPTIMIZERS:
    raise UserError(
      f'{section}.name={name!r} is unknown{nearest(name, OPTIMIZERS)}. Use one of '
      f'{", ".join(OPTIMIZERS)}'
    )
  factory = getattr(optax, name)
  parameters = inspect.signature(factory).parameters
  for argument in given:
    if argument not in parameters:
      accepted = ', '.join(a for a in ARGUMENTS if a in parameters)
      raise UserError(f'{name} has no argument {section}.{argument}. It has {accepted}')
  tx = factory(learning_rate=1.0, **given)
  return optax.chain(optax.clip_by_global_norm(clip), tx) if clip > 0 else tx


def settings(optimizer, player: str) -> tuple[str, float, dict[str, float]]:
  """Name, clip and arguments of a player's optimizer. If the player names another optimizer, the
  arguments of the shared one do not apply to it."""
  section = {k: v for k, v in (optimizer.get(player) or {}).items() if v is not None}
  other = section.get('name', optimizer.name) != optimizer.name
  shared = {} if other else {a: optimizer[a] for a in ARGUMENTS}
  given = {a: v for a in ARGUMENTS if (v := section.get(a, shared.get(a))) is not None}
  return section.get('name', optimizer.name), section.get('clip', optimizer.clip), given


def equip(method: Method, optimizer, steps: int = 1) -> Method:
  """The method with an optimizer and a constraint for each player of a run of `steps`, from the
  config's `optimizer` section. A player keeps those that it has. Raises UserError."""
  players = [
    p._replace(
      tx=p.tx or make(optimizer, p.name),
      constraint=p.constraint or prune.constraint(optimizer, p, steps),
    )
    for p in method.players
  ]
  prune.check_owners(players)
  return method._replace(players=tuple(players))


Schedule = Callable[[jax.Array], jax.Array]


def schedule(field: str, text: str, steps: int) -> Schedule:
  """A factor as a function of the step, for a run of `steps`, from its text in the config.

  constant; linear:start=0,end=1,steps=N (then stays); cosine:warmup=N,end=0,steps=N;
  exponential:rate=0.5,every=N[,staircase=1]; piecewise:1000=0.1,2000=0.01 (the factor from that
  step on). Steps count from 0. A factor that rises over N steps has risen by (s + 1) / N of the way
  in step s, so that no first step is wasted on a rate of 0; one that falls has fallen by s / N.
  Raises UserError.
  """
  name, a = parse(field, text)
  if name == 'constant':
    return lambda step: jnp.ones(())
  if name == 'linear':
    ramp = optax.linear_schedule(a['start'], a['end'], int(a['steps'] or steps))
    return (lambda step: ramp(step + 1)) if a['end'] > a['start'] else ramp
  if name == 'cosine':
    total, warmup = int(a['steps'] or steps), int(a['warmup'])
    if warmup >= total:
      raise UserError(f'{field}={text!r}: warmup must be less than its {total} steps')
    decay = optax.cosine_decay_schedule(1.0, total - warmup, a['end'])
    return lambda step: jnp.where(step < warmup, (step + 1) / max(warmup, 1), decay(step - warmup))
  if name == 'exponential':
    return optax.exponential_decay(1.0, int(a['every']), a['rate'], staircase=bool(a['staircase']))
  bounds = sorted((int(float(k)), v) for k, v in a.items())

  def piecewise(step):
    edges = jnp.array([b for b, _ in bounds])
    factors = jnp.array([1.0, *(v for _, v in bounds)])
    return factors[jnp.searchsorted(edges, step, side='right')]

  return piecewise


def schedules(config: Mapping[str, str], steps: int) -> dict[str, Schedule]:
  """{entry of `hyper`: the schedule that multiplies it}, without constant schedules."""
  return {
    name: schedule(f'schedule.{name}', text, steps)
    for name, text in config.items()
    if text != 'constant'
  }
