"""The method and the first state that a config describes."""

import jax

from vaejax.core import optim, stack, step
from vaejax.errors import UserError
from vaejax.lookup import lookup, nearest
from vaejax.types import Example, Method, State


def make_method(config, example: Example) -> Method:
  """The method that a config names, for such data, with the nets that `config.train` lets move.
  Raises UserError."""
  module = lookup('methods', config.method)
  wanted = getattr(module, 'DATA', 'image')
  if example.data != wanted:
    raise UserError(
      f'method {config.method} is of {wanted}s and {config.data.name} has {example.data}s: name a '
      f'set of {wanted}s, or another method'
    )
  method = module.make(config, example)
  if not isinstance(method, Method):
    raise TypeError(f'make of {config.method} gave {method!r}, which is no vaejax.types.Method')
  method = optim.equip(freeze(method, config.train), config.optimizer)
  for player in method.players:
    if player.lr not in config.hyper:
      raise UserError(f'hyper has no {player.lr!r}, the rate of the player {player.name!r}')
  return method


def freeze(method: Method, moving: tuple[str, ...]) -> Method:
  """The method, its players owning only the nets named in `moving` (none: all that they own); one
  that owns none of them is left out. Raises UserError for a net that nobody moves anyway."""
  known = sorted({net for player in method.players for net in player.owns})
  for net in moving:
    if net not in known:
      raise UserError(
        f'train={"+".join(moving)}: no player moves {net!r}{nearest(net, known)}; the nets that '
        f'can be trained are {", ".join(known)}'
      )
  if not moving:
    return method
  owned = ((p, tuple(net for net in p.owns if net in moving)) for p in method.players)
  return method._replace(players=tuple(p._replace(owns=owns) for p, owns in owned if owns))


def initial_state(method: Method, config, example: Example, members=(), taken=None) -> State:
  """The state before the first step of the run that a config describes, or of the stack of such
  members; pure. `taken`: variables of nets that all of them begin from, see runs.init_from."""

  def create(key, hyper):
    state = step.create_state(method, key, hyper, example, taken)
    return state.replace(ema=state.variables) if config.optimizer.ema else state

  if members:
    return stack.initial_state(create, members)
  return create(jax.random.key(config.seed), config.hyper)
