"""What a cell of a table does: its folder, its members, and a key of what its values depend on."""

import contextlib
import functools
import hashlib
import inspect
import json
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from vaejax.config.serialise import config_to_json
from vaejax.config.table import Cell
from vaejax.errors import UserError
from vaejax.runs.files import plain
from vaejax.sweeps import axes


class Plan(NamedTuple):
  """What a cell does.

  Attributes:
    cell: the cell, with its number of seeds.
    members: ((setting, seed), ...) of its members; a setting is a text such as 'left_out=3'.
    key: a hash of all that its values depend on, except the data and the code of the package.
    about: what the key is made of, for people and for messages.
    folder: of its run or sweep.
  """

  cell: Cell
  members: tuple[tuple[str, int], ...]
  key: str
  about: dict
  folder: Path

  @property
  def single(self) -> bool:
    """Whether it is a plain run, not a sweep."""
    return self.cell.seeds == 1 and not self.cell.axes


def uses(cell: Cell, cells: Iterable[Cell]) -> list[str]:
  """The names of the cells that a cell refers to by {NAME}; of all cells for a derived one."""
  if cell.derive:
    return [other.name for other in cells]
  texts = ' '.join((cell.config, *cell.fields.values(), *cell.axes))
  return [other.name for other in cells if f'{{{other.name}}}' in texts]


def plan_cell(cell: Cell, earlier: Mapping[str, Plan], workdir: Path) -> Plan:
  """The plan of a cell that uses the cells `earlier`. Raises UserError."""
  for name, plan in earlier.items():
    if plan.cell.seeds > 1 and not cell.derive:
      raise UserError(f'cell {cell.name}: {{{name}}} has several seeds. Give it one')
  paths = {f'{{{name}}}': str(plan.folder) for name, plan in earlier.items()}
  resolve = lambda text: functools.reduce(lambda t, pair: t.replace(*pair), paths.items(), text)
  cell = cell._replace(
    config=resolve(cell.config),
    fields={field: resolve(text) for field, text in cell.fields.items()},
    axes=tuple(map(resolve, cell.axes)),
  )
  about = {'seeds': cell.seeds, 'axes': list(cell.axes), 'evals': list(cell.evals)}
  about |= {'tasks': {n: use.command for n, use in cell.tasks.items()}} if cell.tasks else {}
  about['uses'] = {name: plan.key for name, plan in earlier.items()}
  if cell.measure or cell.derive:
    about['measure'] = source_of(cell.measure or cell.derive)
    members = tuple(('', seed) for seed in range(cell.seeds))
  else:
    plan = make_sweep(cell)
    about['config'] = config_to_json(plan.groups[0].config)
    members = tuple((setting_of(fields), int(fields['seed'])) for fields in plan.values)
  text = json.dumps(plain(about), sort_keys=True)
  for name, path in paths.items():
    text = text.replace(path, name)  # the workdir may move
  key = hashlib.sha256(text.encode()).hexdigest()[:8]
  return Plan(cell, members, key, json.loads(text), workdir / 'runs' / f'{cell.name}-{key}')


def source_of(function: Callable, known: tuple[str, ...] = ()) -> str:
  """The source code of a function and of what it uses in its file: functions and constants, but for
  those that are `known`. Of a partial function, with its arguments."""
  if isinstance(function, functools.partial):
    return f'{source_of(function.func, known)} {function.args} {function.keywords}'
  try:
    texts = [inspect.getsource(function)]
  except (OSError, TypeError):
    return repr(getattr(function, '__qualname__', function))
  inside, outside = function.__globals__, {*known, function.__name__}
  for name in sorted(names_in(function.__code__) & inside.keys() - outside):
    value = inside[name]
    if inspect.isfunction(value) and value.__globals__ is inside:
      texts.append(source_of(value, (*outside, name)))
    with contextlib.suppress(TypeError):  # no constant
      texts.append(f'{name} = {json.dumps(value, default=as_list)}')
  return '\n'.join(texts)


def as_list(value) -> list:
  """The numbers of a range. Raises TypeError for anything else."""
  if not isinstance(value, range):
    raise TypeError(type(value))
  return list(value)


def names_in(code: types.CodeType) -> set[str]:
  """The names that code and the functions in it use."""
  inner = (names_in(c) for c in code.co_consts if isinstance(c, types.CodeType))
  return set(code.co_names).union(*inner)


def make_sweep(cell: Cell) -> axes.Sweep:
  """The members of a cell: its axes, and then the seeds, which vary fastest. Raises UserError."""
  grid = [('grid', axis) for axis in (*cell.axes, f'seed=0:{cell.seeds}')]
  try:
    return axes.make_sweep(cell.config, cell.fields.items(), grid)
  except UserError as error:
    raise UserError(f'cell {cell.name}: {error}') from None


def setting_of(fields: Mapping[str, str]) -> str:
  """The setting of a member: its swept fields but the seed, 'left_out=3, lr=0.1'."""
  return ', '.join(f'{f.rpartition(".")[2]}={text}' for f, text in fields.items() if f != 'seed')
