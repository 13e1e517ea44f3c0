"""Named Linen modules as pure functions of `Variables`. Only this file knows Linen's
collections."""

from collections.abc import Mapping

import jax
from flax import linen as nn

from vaejax.types import Variables

Nets = Mapping[str, nn.Module]


def init(nets: Nets, key: jax.Array, inputs: Mapping[str, tuple]) -> Variables:
  """Initial variables of every net. `inputs[name]` are the arguments that determine its shapes."""
  params, extra = {}, {}
  for name, net_key in zip(sorted(nets), jax.random.split(key, len(nets)), strict=True):
    collections = nets[name].init(net_key, *inputs[name])
    params[name] = collections.pop('params', {})
    if collections:
      extra[name] = collections
  return Variables(params=params, extra=extra)


def apply(nets: Nets, name: str, variables: Variables, *args, train=False, **kwargs):
  """The output of one net, and the updated variables.

  With `train`, the statistics of BatchNorm, spectral norm or a codebook are updated. Without it, or
  if the net is frozen, they are constant.
  """
  train = train and name not in variables.frozen
  collections = {'params': variables.params[name], **variables.extra.get(name, {})}
  mutable = list(variables.extra.get(name, {})) if train else []
  if not mutable:
    return nets[name].apply(collections, *args, train=train, **kwargs), variables
  out, updated = nets[name].apply(collections, *args, train=train, mutable=mutable, **kwargs)
  return out, variables.replace(extra={**variables.extra, name: dict(updated)})


def only(variables: Variables, *names: str) -> Variables:
  """The variables restricted to the named nets."""
  select = lambda trees: {name: trees[name] for name in names if name in trees}
  return variables.replace(params=select(variables.params), extra=select(variables.extra))
