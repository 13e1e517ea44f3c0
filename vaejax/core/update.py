"""An update of a player's parameters: its optimizer, its rate and its constraint."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from vaejax.types import Metrics, Player, Variables


def init(player: Player, params) -> Any:
  """The entry of a player in State.opt before its first update."""
  opt = player.tx.init(params)
  if player.constraint is None:
    return opt
  return {'tx': opt, 'constraint': player.constraint.tx.init(params)}


def apply(player: Player, grads, opt, params, rate):
  """The parameters of a player after an update, and its new entry in State.opt."""
  if player.constraint is None:
    direction, opt = player.tx.update(grads, opt, params)
    return jax.tree.map(lambda p, d: p + rate * d, params, direction), opt
  direction, tx = player.tx.update(grads, opt['tx'], params)
  change = jax.tree.map(lambda d: rate * d, direction)
  change, constraint = player.constraint.tx.update(change, opt['constraint'], params)
  return jax.tree.map(jnp.add, params, change), {'tx': tx, 'constraint': constraint}


def project(players: tuple[Player, ...], opt: Mapping[str, Any], average: Variables) -> Variables:
  """The moving average, such that it obeys the players' constraints."""
  params = average.params
  for player in players:
    if player.constraint is not None:
      owned = {name: params[name] for name in player.owns}
      params = {**params, **player.constraint.project(opt[player.name]['constraint'], owned)}
  return average.replace(params=params)


def metrics(player: Player, opt: Mapping[str, Any], named: bool) -> Metrics:
  """What is logged of a player's constraint, `named` after the player or not."""
  if player.constraint is None:
    return {}
  values = player.constraint.metrics(opt[player.name]['constraint'])
  return {f'{name}_{player.name}' if named else name: value for name, value in values.items()}
