"""Initial nets from another run, read once before the first step.

config.json records them under 'init'. Once the new run has a checkpoint, the other run is no longer
needed.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from vaejax.core.sharding import put_global, replicated
from vaejax.core.step import unowned
from vaejax.distributed import processes
from vaejax.errors import UserError
from vaejax.lookup import nearest
from vaejax.runs import checkpoint, restore, sweep_files, workdir
from vaejax.types import Method, State, Variables


class InitialNets(NamedTuple):
  """Nets of another run: their variables on the host, and where they come from: {'from', 'member',
  'step', 'nets', 'weights', 'checksum'}, as config.json has it."""

  variables: Variables
  about: dict


def first_state(
  create: Callable[..., State],
  state_sharding: State,
  mesh: jax.sharding.Mesh,
  initial: InitialNets | None,
  stacked: bool,
) -> State:
  """The state before the first step, on the devices; `initial` is process 0's."""
  nets = processes.broadcast(lambda: initial and initial.about['nets'])
  create_sharded = jax.jit(create, out_shardings=state_sharding)
  if nets is None:
    return create_sharded()
  # Passed as an argument: as a constant it would make the program as large as the nets.
  variables = initial.variables if processes.is_main() else None
  if processes.count() > 1:
    like = of_nets(abstract_variables(create, stacked), nets)
    variables = jax.tree.map(restore.from_main, like, variables or like)
  return create_sharded(put_global(variables, replicated(mesh)))


def abstract_variables(create: Callable[..., State], stacked: bool) -> Variables:
  """Shapes and dtypes of the variables of one run, also if `create` makes a stack."""
  variables = jax.eval_shape(create).variables
  single = lambda x: jax.ShapeDtypeStruct(x.shape[1:] if stacked else x.shape, x.dtype)
  return jax.tree.map(single, variables)


def of_nets(variables: Variables, nets) -> Variables:
  """The variables of the named nets."""
  pick = lambda tree: {name: tree[name] for name in nets if name in tree}
  return Variables(pick(variables.params), pick(variables.extra))


def read(
  config, method: Method, create: Callable[..., State], stacked: bool, log: Callable[[str], None]
) -> InitialNets | None:
  """The nets that `config.init_from` provides, None if it is empty.

  They come from its moving average if it has one. Raises UserError if there is no
  such run, or if a requested net does not fit.
  """
  source, nets = config.init_from, config.init_nets
  if not source:
    if nets:
      raise UserError(
        f'init_nets={"+".join(nets)} needs the run to take them from. Set init_from too, for '
        'example init_from=runs/m'
      )
    return None
  like = abstract_variables(create, stacked)
  try:
    initial = read_run(source, nets, config.init_checkpoint, like, log)
  except UserError as error:
    raise UserError(f'init_from={source}: {error}') from None
  missing = sorted(set(unowned(method.players, like)) - set(initial.about['nets']))
  if missing:
    raise UserError(
      f'init_from={source} does not provide {", ".join(missing)}, which no player trains. Take '
      'them from there too (init_nets), or train them (train)'
    )
  return initial


def read_run(
  source: str, requested: tuple[str, ...], which: str, like: Variables, log: Callable[[str], None]
) -> InitialNets:
  """The nets of the run in a workdir; `requested`: their names, (): all that fit; `which`: the
  checkpoint; `like`: the variables of the new run."""
  folder, member = sweep_files.parse_member(Path(os.path.expanduser(source)))
  if member is None and sweep_files.is_sweep(folder):
    raise UserError(f'this is a sweep. Name one of its members, for example {folder}/members/0')
  folder = folder if member is None else sweep_files.stack_of(folder, member)
  saved = workdir.read_config(folder)
  place, best = sweep_files.place_of(folder, saved, member), saved.config.checkpoint.best
  only = restore.select_step(folder, which, best, place, 'init_checkpoint')

  def read_step(step: int):
    forms = {path: form for path, (form, _) in restore.saved_leaves(folder, step).items()}
    if saved.members:
      forms = {path: re.sub(r'\[\d+(, )?', '[', form) for path, form in forms.items()}
    section = 'ema' if any(path.startswith('ema/') for path in forms) else 'variables'
    nets = fitting(forms, section, like, requested, step)
    shapes = {'step': jax.ShapeDtypeStruct((), np.int32), section: of_nets(like, nets)}
    if saved.members:
      stack = lambda x: jax.ShapeDtypeStruct((len(saved.members), *x.shape), x.dtype)
      shapes = jax.tree.map(stack, shapes)
    tree = restore.read_arrays(folder, step, shapes)
    tree = jax.tree.map(lambda x: x[place], tree) if saved.members else tree
    return nets, section, tree[section], int(tree['step'])

  checkpoint_read = restore.newest_of(folder, read_step, log, only)
  if checkpoint_read is None:
    raise UserError(f'{folder} has no checkpoint yet. Train it first')
  nets, section, variables, step = checkpoint_read
  step = max(step, ~step)  # negative for a frozen member
  fresh = ', '.join(sorted(set(like.params) - set(nets)))
  log(
    f'initialised {", ".join(nets)} from {source} at step {step}'
    + (f', and {fresh} anew' if fresh else '')
  )
  about = {
    'from': str(folder.absolute()),
    'member': member,
    'step': step,
    'nets': nets,
    'weights': 'ema' if section == 'ema' else 'raw',
    'checksum': checksum(variables),
  }
  return InitialNets(variables, about)


def fitting(
  forms: dict[str, str], section: str, like: Variables, requested: tuple[str, ...], step: int
) -> list[str]:
  """The requested nets, or all whose parameters have the same names and shapes as in a checkpoint.

  Args:
    forms: {path: dtype and shape} of a run's leaves in the checkpoint.
    section: 'variables' or 'ema', from which the nets are read.
    like: the variables of the new run.
    requested: names of nets, (): all that fit.
    step: of the checkpoint, for messages.

  Raises OtherModel if a requested net, or every net, has other parameters.
  """
  leaves = checkpoint.named_leaves({section: like})
  here = {path: checkpoint.dtype_and_shape(leaf) for path, leaf in leaves.items()}

  def of_net(forms, net: str) -> dict[str, str]:
    prefixes = tuple(f'{section}/{part}/{net}/' for part in ('params', 'extra'))
    return {
      path.replace(section, 'variables', 1): form
      for path, form in forms.items()
      if path.startswith(prefixes)
    }

  there = {path.split('/')[2] for path in forms if path.startswith(f'{section}/params/')}
  shared = sorted(there & set(like.params))
  for net in requested:
    if net not in shared:
      which = 'the new run' if net in there else 'that run'
      raise restore.OtherModel(
        f'init_nets={"+".join(requested)}: {which} has no net {net!r}{nearest(net, shared)}. Both '
        f'have {", ".join(shared) or "none"}'
      )
  names = requested or shared
  changes = {n: restore.differences(of_net(forms, n), of_net(here, n), step) for n in names}
  nets = [net for net in names if not changes[net]]
  if nets and len(nets) >= len(requested):
    return nets
  words = '; '.join(part for parts in changes.values() for part in parts)
  words = words or f'that run has {", ".join(sorted(there))}, the new one {", ".join(like.params)}'
  raise restore.OtherModel(
    f'{"a requested net does not fit" if requested else "no net fits"} ({words}). Give both runs '
    'the same model, or name nets that fit, for example init_nets=encoder'
  )


def checksum(variables: Variables) -> str:
  """SHA-256 of the names, shapes and bytes of all arrays, in hexadecimal."""
  return checkpoint.digest(checkpoint.named_leaves(variables))
