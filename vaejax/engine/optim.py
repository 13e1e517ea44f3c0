"""Optimizers without their rate, and schedules: both named in the config."""

import inspect
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from vaejax.errors import UserError
from vaejax.lookup import nearest
from vaejax.types import Method

OPTIMIZERS = (
  'adabelief', 'adadelta', 'adagrad', 'adam', 'adamax', 'adamw', 'amsgrad', 'lamb', 'lion',
  'nadam', 'nadamw', 'novograd', 'radam', 'rmsprop', 'sgd', 'yogi',
)  # fmt: skip
ARGUMENTS = ('b1', 'b2', 'eps', 'momentum', 'decay', 'weight_decay')


def make(optimizer, player: str = '') -> optax.GradientTransformation:
  """The optax optimizer at rate 1: it gives a direction, and the step multiplies it by the rate.

  `optimizer` has a name, `clip` (the largest global norm of a gradient, 0: off) and those of
  ARGUMENTS that are not None; a player's own section in it overrides those that it sets. Raises
  UserError for an unknown name or an argument it has not.
  """
  name, clip, given = settings(optimizer, player)
  section = f'optimizer.{player}' if player in optimizer else 'optimizer'
  if name not in OPTIMIZERS:
    raise UserError(
      f'{section}.name={name!r} is unknown{nearest(name, OPTIMIZERS)}: it takes '
      f'{", ".join(OPTIMIZERS)}'
    )
  factory = getattr(optax, name)
  takes = inspect.signature(factory).parameters
  for argument in given:
    if argument not in takes:
      accepted = ', '.join(a for a in ARGUMENTS if a in takes)
      raise UserError(f'{section}.{argument} means nothing to {name}: it takes {accepted}')
  tx = factory(learning_rate=1.0, **given)
  return optax.chain(optax.clip_by_global_norm(clip), tx) if clip > 0 else tx


def settings(optimizer, player: str) -> tuple[str, float, dict[str, float]]:
  """Name, clip and arguments of a player's optimizer. Arguments are an optimizer's own: where the
  player names another one, those of the first are not its."""
  own = {k: v for k, v in (optimizer.get(player) or {}).items() if v is not None}
  other = own.get('name', optimizer.name) != optimizer.name
  shared = {} if other else {a: optimizer[a] for a in ARGUMENTS}
  given = {a: v for a in ARGUMENTS if (v := own.get(a, shared.get(a))) is not None}
  return own.get('name', optimizer.name), own.get('clip', optimizer.clip), given


def equip(method: Method, optimizer) -> Method:
  """The method, each player with the optimizer that the config gives it. Raises UserError."""
  players = [p._replace(tx=p.tx or make(optimizer, p.name)) for p in method.players]
  return method._replace(players=tuple(players))


Schedule = Callable[[jax.Array], jax.Array]

# The arguments of each schedule, with their defaults; steps=0 stands for the whole run.
SCHEDULES = {
  'constant': {},
  'linear': {'start': 0.0, 'end': 1.0, 'steps': 0.0},
  'cosine': {'warmup': 0.0, 'end': 0.0, 'steps': 0.0},
  'exponential': {'rate': 0.5, 'every': 0.0, 'staircase': 0.0},
  'piecewise': None,
}
WHOLE = ('steps', 'warmup', 'every')


def parse(field: str, text: str) -> tuple[str, dict[str, float]]:
  """'cosine:warmup=100' -> ('cosine', {'warmup': 100.0, ...}). Raises UserError."""
  name, _, rest = text.partition(':')
  if name not in SCHEDULES:
    raise UserError(
      f'{field}={text!r} is unknown{nearest(name, SCHEDULES)}: it takes {", ".join(SCHEDULES)}, '
      'with arguments after a colon as in cosine:warmup=100,end=0.1'
    )
  defaults, arguments = SCHEDULES[name], {}
  for part in filter(None, rest.split(',')):
    key, _, value = part.partition('=')
    known = key in defaults if defaults is not None else number(key, whole=True) is not None
    value = number(value, whole=key in WHOLE)
    if not known or value is None or key in arguments:
      form = 'STEP=FACTOR' if defaults is None else ', '.join(f'{k}=NUMBER' for k in defaults)
      raise UserError(f'{field}={text!r}: cannot read {part!r}; {name} takes {form or "nothing"}')
    arguments[key] = value
  if name == 'piecewise' and not arguments:
    raise UserError(f'{field}={text!r}: piecewise needs STEP=FACTOR, as in piecewise:1000=0.1')
  if name == 'exponential' and not (arguments.get('every') and arguments.get('rate', 1)):
    raise UserError(
      f'{field}={text!r}: exponential needs every=STEPS, those of one factor, and a rate above 0'
    )
  return name, {**(defaults or {}), **arguments}


def number(text: str, whole: bool) -> float | None:
  """A number from 0 up that a step can be, or None where the text is not one."""
  try:
    value = float(text)
  except ValueError:
    return None
  return value if 0 <= value < 2**31 and not (whole and value % 1) else None


def depends_on_steps(text: str) -> bool:
  """Whether a schedule stretches over the run's own number of steps."""
  return parse('schedule', text)[1].get('steps', 1) == 0


def schedule(field: str, text: str, steps: int) -> Schedule:
  """A factor as a function of the step, for a run of `steps`, from its text in the config.

  constant; linear:start=0,end=1,steps=N (then stays); cosine:warmup=N,end=0,steps=N;
  exponential:rate=0.5,every=N[,staircase=1]; piecewise:1000=0.1,2000=0.01 (the factor from that
  step on). Raises UserError.
  """
  name, a = parse(field, text)
  if name == 'constant':
    return lambda step: jnp.ones(())
  if name == 'linear':
    return optax.linear_schedule(a['start'], a['end'], int(a['steps'] or steps))
  if name == 'cosine':
    total = int(a['steps'] or steps)
    start = 0.0 if a['warmup'] else 1.0
    if a['warmup'] >= total:
      raise UserError(f'{field}={text!r}: warmup must be less than the {total} steps it is part of')
    return optax.warmup_cosine_decay_schedule(start, 1.0, int(a['warmup']), total, a['end'])
  if name == 'exponential':
    return optax.exponential_decay(1.0, int(a['every']), a['rate'], staircase=bool(a['staircase']))
  bounds = sorted((int(float(k)), v) for k, v in a.items())

  def piecewise(step):
    edges = jnp.array([b for b, _ in bounds])
    factors = jnp.array([1.0, *(v for _, v in bounds)])
    return factors[jnp.searchsorted(edges, step, side='right')]

  return piecewise


def schedules(config: Mapping[str, str], steps: int) -> dict[str, Schedule]:
  """The schedules that change anything, by the entry of `hyper` that each multiplies."""
  return {
    name: schedule(f'schedule.{name}', text, steps)
    for name, text in config.items()
    if text != 'constant'
  }
