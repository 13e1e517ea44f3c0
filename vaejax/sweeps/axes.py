"""The axes of a sweep: from their texts to its members, in groups that one program can train."""

import itertools
import math
import random
import re
from collections.abc import Iterable
from typing import NamedTuple

from ml_collections import ConfigDict

from vaejax.config import fields
from vaejax.config.load import load_config
from vaejax.core.stack import Member
from vaejax.errors import UserError

MAX_MEMBERS = 100_000
MAX_VALUE = 1e38  # float32 holds it

Settings = dict[str, str]  # {swept field: text of its value}


class CompileGroup(NamedTuple):
  """Members that differ in seed and hyper-parameters alone, so that one program can train them.

  Attributes:
    config: of the first member.
    members: in their order.
  """

  config: ConfigDict
  members: tuple[Member, ...]


class Sweep(NamedTuple):
  """The members of a sweep, in groups; and the settings of each member, in its order."""

  groups: tuple[CompileGroup, ...]
  values: tuple[Settings, ...]


def make_sweep(
  spec: str | ConfigDict,
  overrides: Iterable[tuple[str, str]],
  axes: Iterable[tuple[str, str]],
  draws: int = 0,
  seed: int = 0,
) -> Sweep:
  """The members of a sweep. Of the axes, the last one varies fastest.

  Args:
    spec, overrides: of the config, as load_config takes them.
    axes: (kind, 'FIELD=VALUES'). 'grid' is an axis of its own; all of 'zip' form one axis. VALUES
      are 0:8 or 0:8:2 (whole numbers without the end); 1,4,16; or a range log:LOW:HIGH or
      uniform:LOW:HIGH. All ranges form one axis of `draws` draws.
    draws: number of draws from the ranges.
    seed: of the draws.

  Raises UserError: an unknown field, no values, a value that the field cannot take.
  """
  overrides = list(overrides)
  base = load_config(spec, overrides)
  columns = parse_axes(base, axes, draws, seed)
  if any('data.seed' in column[0] for column in columns):
    base.data.seed = None  # then a run's own seed may choose its data
  groups, values = {}, []
  for number, parts in enumerate(itertools.product(*columns)):
    settings = {field: text for part in parts for field, text in part.items()}
    values.append(settings)
    static = tuple((f, text) for f, text in settings.items() if not is_vectorized(base, f))
    if static not in groups:
      groups[static] = load_config(spec, [*overrides, *static]), []
    config, members = groups[static]
    scalars = {f: parse_scalar(f, text) for f, text in settings.items() if f not in dict(static)}
    hyper = {name: scalars.get(f'hyper.{name}', value) for name, value in config.hyper.items()}
    members.append(Member(number, scalars.get('seed', config.seed), hyper))
  for config, (first, *_) in groups.values():
    config.seed = first.seed
    config.hyper.update(first.hyper)
  return Sweep(
    tuple(CompileGroup(config, tuple(members)) for config, members in groups.values()),
    tuple(values),
  )


def is_vectorized(config: ConfigDict, field: str) -> bool:
  """Whether one program can train members that differ in a field."""
  # Without data.seed, the run's seed decides which rows are labelled, and so changes the data.
  chooses_data = config.data.get('labels') and config.data.seed is None
  return field.startswith('hyper.') or (field == 'seed' and not chooses_data)


def parse_axes(base: ConfigDict, axes, draws: int, seed: int) -> list[list[Settings]]:
  """The axes to cross, each a list of settings. Raises UserError."""
  columns, ranges, drawn, zipped, swept = [], {}, {}, {}, set()
  for kind, text in axes:
    flag = f'--{kind} {text}'
    name, equals, values = text.partition('=')
    if not equals:
      raise UserError(f'{flag} is not FIELD=VALUES. Use for example --{kind} {name}=1,2')
    field = fields.locate(base, name)
    if field in swept:
      raise UserError(f'{flag}: {field} is an axis already. Give it once')
    swept.add(field)
    if bounds := parse_range(flag, field, values):
      if not ranges:
        columns.append(drawn)  # filled below, when all ranges are known
      ranges[field] = bounds
    elif kind == 'zip':
      if not zipped:
        columns.append(zipped)
      zipped[field] = parse_values(flag, field, values)
    else:
      column = parse_values(flag, field, values)
      if len(set(column)) < len(column):
        raise UserError(f'{flag} repeats a value. Give each value once')
      columns.append({field: column})
  if ranges and not draws:
    raise UserError(f'{next(iter(ranges))} has a range, but no number of draws. Add --random=20')
  if draws and not ranges:
    raise UserError(f'--random={draws} needs a range. Add for example --grid lr=log:1e-4:1e-2')
  if not columns:
    raise UserError('a sweep needs an axis. Add for example --grid seed=0:8')
  generator = random.Random(seed)
  for _ in range(draws):
    for field, bounds in ranges.items():
      drawn.setdefault(field, []).append(draw(generator, *bounds))
  if len({len(column) for column in zipped.values()}) > 1:
    lengths = ', '.join(f'{field} has {len(column)}' for field, column in zipped.items())
    raise UserError(f'--zip axes need the same number of values, but {lengths}')
  if math.prod(len(next(iter(column.values()))) for column in columns) > MAX_MEMBERS:
    raise UserError(f'the sweep has more than {MAX_MEMBERS:,} members. Shorten an axis')
  return [
    [dict(zip(c, row, strict=True)) for row in zip(*c.values(), strict=True)] for c in columns
  ]


def parse_range(flag: str, field: str, values: str) -> tuple[str, float, float] | None:
  """('log' or 'uniform', low, high) of a range, None if it is not one. Raises UserError."""
  kind, *bounds = values.split(':')
  if kind not in ('log', 'uniform'):
    return None
  if not field.startswith('hyper.'):
    raise UserError(f'{flag}: only fields of hyper can have a range. List values such as 1,2,4')
  low, high = (parse_scalar(field, text) for text in bounds) if len(bounds) == 2 else (0, 0)
  if not low < high or (kind == 'log' and low <= 0):
    above = ' and above 0' if kind == 'log' else ''
    raise UserError(f'{flag} is not {kind}:LOW:HIGH with LOW below HIGH{above}')
  return kind, low, high


def draw(generator: random.Random, kind: str, low: float, high: float) -> str:
  """A random value of a range, as text with 6 digits."""
  if kind == 'log':
    return f'{math.exp(generator.uniform(math.log(low), math.log(high))):.6g}'
  return f'{generator.uniform(low, high):.6g}'


def parse_values(flag: str, field: str, values: str) -> list[str]:
  """The texts of an axis; seeds and hyper-parameters are checked. Raises UserError."""
  if match := re.fullmatch(r'(-?\d{1,12}):(-?\d{1,12})(?::(-?\d{1,12}))?', values):
    low, high, stride = (int(part or 1) for part in match.groups())
    column = range(low, high, stride) if stride else ()
  else:
    column = split_values(values)
  if not column:
    raise UserError(f'{flag} has no values. Use for example 0:8 or 1,4,16')
  if len(column) > MAX_MEMBERS:
    raise UserError(f'{flag} has {len(column):,} values, more than {MAX_MEMBERS:,}')
  column = list(map(str, column))
  if field == 'seed' or field.startswith('hyper.'):
    for text in column:
      parse_scalar(field, text)
  return column


def parse_scalar(field: str, text: str) -> int | float:
  """The seed or hyper-parameter that a text gives. Raises UserError."""
  value = fields.read(field, int if field == 'seed' else float, text)
  fields.check_range(field, value)
  if abs(value) > MAX_VALUE:
    raise UserError(f'{field}={text} is too large for float32. Use at most {MAX_VALUE:g}')
  return value


def split_values(values: str) -> list[str]:
  """Splits at commas outside of brackets: '8,(64,32)' -> ['8', '(64,32)']. Raises UserError."""
  parts = re.findall(r'(?:\([^()]*\)|[^,()])+', values)
  if ','.join(parts) != values:
    raise UserError(f'{values!r} is not a list of values. Use for example 8,(64,32)')
  return [part.strip() for part in parts if part.strip()]
