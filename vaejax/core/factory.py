"""The method and the first state that a config describes."""

import jax

from vaejax.core import optim, stack, step
from vaejax.errors import UserError
from vaejax.lookup import lookup, nearest
from vaejax.types import Example, Method, State


def make_method(config, example: Example) -> Method:
  """The method that a config names. Its players train only the nets in `config.train`.

  Raises UserError.
  """
  module = lookup('methods', config.method)
  kind = getattr(module, 'DATA', 'image')
  if example.data != kind:
    raise UserError(
      f'the method {config.method} models {kind}s, but {config.data.name} has {example.data}s. Use '
      f'a dataset of {kind}s, or another method'
    )
  method = module.make(config, example)
  if not isinstance(method, Method):
    raise TypeError(f'make of {config.method} returned {method!r}, not a vaejax.types.Method')
  method = optim.equip(freeze(method, config.train), config.optimizer, config.steps)
  for player in method.players:
    if player.lr not in config.hyper:
      raise UserError(f'hyper.{player.lr} is missing: it is the rate of the player {player.name!r}')
  return method


def freeze(method: Method, trained: tuple[str, ...]) -> Method:
  """The method with players that own only the nets in `trained`; unchanged if that is ().

  Players that own none of them are left out. Raises UserError for a net that no player trains.
  """
  known = sorted({net for player in method.players for net in player.owns})
  for net in trained:
    if net not in known:
      raise UserError(
        f'train={"+".join(trained)}: no player trains {net!r}{nearest(net, known)}. Use some of '
        f'{", ".join(known)}'
      )
  if not trained:
    return method
  owned = ((p, tuple(net for net in p.owns if net in trained)) for p in method.players)
  return method._replace(players=tuple(p._replace(owns=owns) for p, owns in owned if owns))


def initial_state(
  method: Method, config, example: Example, members=(), taken=None, first=None
) -> State:
  """The state before the first step of a config's run, or of a stack of members. Pure.

  `taken` has the variables of nets that are read from another run, see runs.init_from; `first`: see
  step.create_state.
  """

  def create(key, hyper):
    state = step.create_state(method, key, hyper, example, taken, first)
    return state.replace(ema=state.variables) if config.optimizer.ema else state

  if members:
    return stack.initial_state(create, members)
  return create(jax.random.key(config.seed), config.hyper)
