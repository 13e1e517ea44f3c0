"""Named Linen modules as pure functions of `Variables`: the only file that knows collections."""

from collections.abc import Mapping

import jax
from flax import linen as nn

from vaejax.types import Variables

Nets = Mapping[str, nn.Module]


def init(nets: Nets, key: jax.Array, inputs: Mapping[str, tuple]) -> Variables:
  """Initial variables of every net; `inputs[name]` are the arguments that shape it."""
  params, extra = {}, {}
  for name, net_key in zip(sorted(nets), jax.random.split(key, len(nets)), strict=True):
    collections = nets[name].init(net_key, *inputs[name])
    params[name] = collections.pop('params', {})
    if collections:
      extra[name] = collections
  return Variables(params=params, extra=extra)


def apply(nets: Nets, name: str, variables: Variables, *args, train=False, **kwargs):
  """One net's output, and the variables that it leaves.

  With `train`, statistics (BatchNorm's, spectral norm's, a codebook's) move and come back in the
  variables; without it, or where the net is frozen, they are used as they stand.
  """
  train = train and name not in variables.frozen
  collections = {'params': variables.params[name], **variables.extra.get(name, {})}
  moving = list(variables.extra.get(name, {})) if train else []
  if not moving:
    return nets[name].apply(collections, *args, train=train, **kwargs), variables
  out, moved = nets[name].apply(collections, *args, train=train, mutable=moving, **kwargs)
  return out, variables.replace(extra={**variables.extra, name: dict(moved)})


def only(variables: Variables, *names: str) -> Variables:
  """The variables of these nets alone."""
  of = lambda trees: {name: trees[name] for name in names if name in trees}
  return variables.replace(params=of(variables.params), extra=of(variables.extra))
