"""Nets that a new run begins from: those of another run, read once, before the first step.

What was taken stands in config.json under 'init'; once the new run has a checkpoint of its own, the
other one may be gone.
"""

import functools
import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from vaejax.core.sharding import put_global, replicated
from vaejax.core.step import unowned
from vaejax.distributed.group import ALONE, Alone
from vaejax.errors import UserError
from vaejax.lookup import nearest
from vaejax.runs import checkpoint, restore, sweep_files, workdir
from vaejax.training.setup import Setup
from vaejax.types import State, Variables


class Taken(NamedTuple):
  """Variables of the nets that are taken, on the host (of other processes than 0: None), and where
  they are from: {'from', 'member', 'step', 'nets', 'weights', 'checksum'}, as config.json has it.
  """

  variables: Variables | None
  about: dict


def first_state(setup: Setup, taken: Taken | None, group: Alone = ALONE) -> State:
  """The state before the first step, on the devices; `taken` is process 0's."""
  about = group.share(lambda: taken and taken.about)
  create = jax.jit(setup.create, out_shardings=setup.spread)
  if about is None:
    return create()
  # An argument and not a constant of the program, which would be as large as they are.
  variables = taken.variables if group.main else None
  if group.size > 1:
    like = of_nets(abstract(setup), about['nets'])
    send = functools.partial(restore.from_main, group=group)
    variables = jax.tree.map(send, like, variables or like)
  return create(put_global(variables, replicated(setup.mesh)))


def abstract(setup: Setup) -> Variables:
  """Shapes and dtypes of the variables of one run, also where a stack of them is trained."""
  variables = jax.eval_shape(setup.create).variables
  cut = lambda x: jax.ShapeDtypeStruct(x.shape[1:] if setup.members else x.shape, x.dtype)
  return jax.tree.map(cut, variables)


def of_nets(variables: Variables, nets) -> Variables:
  """The variables of these nets alone."""
  pick = lambda tree: {name: tree[name] for name in nets if name in tree}
  return Variables(pick(variables.params), pick(variables.extra))


def take(config, setup: Setup, say) -> Taken | None:
  """The nets that `config.init_from` is to give, None where nothing is asked for.

  Of the moving average where the other run kept one. `say` is told what is taken. Raises UserError
  where there is no such run, and where a net that was asked for does not fit.
  """
  if not config.init_from:
    if config.init_nets:
      raise UserError(
        f'init_nets={"+".join(config.init_nets)} names nets of another run: name that too, as in '
        'init_from=runs/m'
      )
    return None
  like = abstract(setup)
  try:
    taken = read(config, like, say)
  except UserError as error:
    raise UserError(f'init_from={config.init_from}: {error}') from None
  fresh = sorted(set(unowned(setup.method.players, like)) - set(taken.about['nets']))
  if fresh:
    raise UserError(
      f'init_from={config.init_from} does not give {", ".join(fresh)}, which nobody moves: take '
      'them too (init_nets), or train them (train)'
    )
  return taken


def read(config, like: Variables, say) -> Taken:
  """What `take` gives of a run that there is."""
  folder, member = sweep_files.parse_member(Path(os.path.expanduser(config.init_from)))
  if member is None and sweep_files.is_sweep(folder):
    raise UserError(f'it holds a sweep: name one of its members, as in {folder}/members/0')
  folder = folder if member is None else sweep_files.stack_of(folder, member)
  saved = workdir.read_config(folder)
  place, best = sweep_files.place_of(folder, saved, member), saved.config.checkpoint.best
  chosen = restore.select_step(folder, config.init_checkpoint, best, place, 'init_checkpoint')

  def read_step(step: int):
    forms = {path: form for path, (form, _) in restore.saved_leaves(folder, step).items()}
    if saved.members:
      forms = {path: re.sub(r'\[\d+(, )?', '[', form) for path, form in forms.items()}
    section = 'ema' if any(path.startswith('ema/') for path in forms) else 'variables'
    nets = fitting(forms, section, like, config.init_nets, step)
    wanted = {'step': jax.ShapeDtypeStruct((), np.int32), section: of_nets(like, nets)}
    if saved.members:
      several = lambda x: jax.ShapeDtypeStruct((len(saved.members), *x.shape), x.dtype)
      wanted = jax.tree.map(several, wanted)
    tree = restore.read_arrays(folder, step, wanted)
    tree = jax.tree.map(lambda x: x[place], tree) if saved.members else tree
    return nets, section, tree[section], int(tree['step'])

  found = restore.newest_of(folder, read_step, say, chosen)
  if found is None:
    raise UserError(f'{folder} has no checkpoint yet: train it first')
  nets, section, variables, step = found
  step = max(step, ~step)  # that of a frozen member is negative
  fresh = sorted(set(like.params) - set(nets))
  rest = f'; {", ".join(fresh)} {"starts" if len(fresh) == 1 else "start"} fresh' if fresh else ''
  say(f'{", ".join(nets)} from {config.init_from} at step {step}{rest}')
  about = {
    'from': str(folder.absolute()),
    'member': member,
    'step': step,
    'nets': nets,
    'weights': 'ema' if section == 'ema' else 'raw',
    'checksum': checksum(variables),
  }
  return Taken(variables, about)


def fitting(forms, section: str, like: Variables, asked: tuple[str, ...], step: int) -> list[str]:
  """The nets to take, those that were asked for, or all that have the same parameters, in name and
  shape, as in a checkpoint. Raises OtherModel.

  Args:
    forms: {path: form} of all that the checkpoint holds of one run.
    section: 'variables' or 'ema', of which they are taken.
    like: the variables of the new run.
    asked: names of nets, (): all that fit.
    step: of the checkpoint.
  """
  now = {
    path: checkpoint.dtype_and_shape(x)
    for path, x in checkpoint.named_leaves({section: like}).items()
  }

  def of(forms, net: str) -> dict[str, str]:
    own = tuple(f'{section}/{part}/{net}/' for part in ('params', 'extra'))
    kept = ((path, form) for path, form in forms.items() if path.startswith(own))
    return {path.replace(section, 'variables', 1): form for path, form in kept}

  theirs = {path.split('/')[2] for path in forms if path.startswith(f'{section}/params/')}
  known = sorted(theirs & set(like.params))
  for net in asked:
    if net not in known:
      whose = 'the new run' if net in theirs else 'that run'
      raise restore.OtherModel(
        f'init_nets={"+".join(asked)}: {whose} has no net {net!r}{nearest(net, known)}; both have '
        f'{", ".join(known) or "none"}'
      )
  changed = {n: restore.differences(of(forms, n), of(now, n), step) for n in asked or known}
  nets = [net for net in changed if not changed[net]]
  if len(nets) == len(asked) > 0 or (nets and not asked):
    return nets
  words = '; '.join(part for parts in changed.values() for part in parts)
  both = f'that run has {", ".join(sorted(theirs))}, the new one {", ".join(sorted(like.params))}'
  raise restore.OtherModel(
    f'{"a net that was asked for does not fit" if asked else "no net fits"} ({words or both}): '
    'give both runs the same model, or name nets that fit, as in init_nets=encoder'
  )


def checksum(variables: Variables) -> str:
  """SHA-256 of the names, shapes and bytes of all arrays, as hexadecimal digits."""
  digest = hashlib.sha256()
  for path, array in sorted(checkpoint.named_leaves(variables).items()):
    digest.update(f'{path} {checkpoint.dtype_and_shape(array)};'.encode())
    digest.update(np.ascontiguousarray(array).tobytes())
  return digest.hexdigest()
