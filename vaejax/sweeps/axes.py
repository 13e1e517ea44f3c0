"""The axes of a sweep, from their texts to its members, in groups that one program can train."""

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

MOST = 100_000  # members
LARGEST = 1e38  # of what float32 holds


class CompileGroup(NamedTuple):
  """Members that differ in seed and hyper-parameters alone, and the config of the first of them."""

  config: ConfigDict
  members: tuple[Member, ...]


class Sweep(NamedTuple):
  """All groups, and of each member the values of the swept fields, {field: text}, in its order."""

  groups: tuple[CompileGroup, ...]
  values: tuple[dict[str, str], ...]


def make_sweep(
  spec: str | ConfigDict,
  overrides: Iterable[tuple[str, str]],
  axes: Iterable[tuple[str, str]],
  draws: int = 0,
  seed: int = 0,
) -> Sweep:
  """The members of a sweep; the last axis varies fastest.

  Args:
    spec, overrides: of the config, as load_config takes them.
    axes: (kind, 'FIELD=VALUES'), in their order. 'grid': an axis of its own; 'zip': one axis with
      all others of that kind. VALUES are 0:8, 0:8:2 (whole numbers, the end is not among them), or
      1,4,16; or log:LOW:HIGH or uniform:LOW:HIGH, which `draws` draws of all such ranges make one
      axis of.
    draws: how many are drawn from the ranges.
    seed: of the draws.

  Raises UserError: an unknown field, no values, a value that the field does not take.
  """
  overrides = list(overrides)
  base = load_config(spec, overrides)
  columns = crossed(base, list(axes), draws, seed)
  if 'data.seed' in {field for column in columns for field in column[0]}:
    base.data.seed = None  # a run's own seed may be what chooses the data
  groups, values = {}, []
  for number, parts in enumerate(itertools.product(*columns)):
    settings = {field: text for part in parts for field, text in part.items()}
    values.append(settings)
    static = tuple((f, text) for f, text in settings.items() if not vectorised(base, f))
    if static not in groups:
      groups[static] = load_config(spec, [*overrides, *static]), []
    config, members = groups[static]
    moved = {f: scalar(f, text) for f, text in settings.items() if f not in dict(static)}
    hyper = {name: moved.get(f'hyper.{name}', value) for name, value in config.hyper.items()}
    members.append(Member(number, moved.get('seed', config.seed), hyper))
  found = []
  for config, members in groups.values():
    # What is of the config alone, the order of a stream, say, is that of its first member.
    config.seed = members[0].seed
    config.hyper.update(members[0].hyper)
    found.append(CompileGroup(config, tuple(members)))
  return Sweep(tuple(found), tuple(values))


def vectorised(config: ConfigDict, field: str) -> bool:
  """Whether members that differ in a field train in one program."""
  # A seed that decides which rows are labelled decides what data there is.
  chooses = config.data.get('labels') and config.data.seed is None
  return field.startswith('hyper.') or (field == 'seed' and not chooses)


def crossed(base: ConfigDict, axes, draws: int, seed: int) -> list[list[dict[str, str]]]:
  """The axes that are crossed, each a list of settings that members take in turn."""
  single, ranges, drawn, zipped, seen = [], {}, {}, {}, set()
  for kind, text in axes:
    name, equals, values = text.partition('=')
    if not equals:
      raise UserError(f'--{kind} {text}: an axis is FIELD=VALUES, as in --{kind} {name}=1,2')
    field = fields.locate(base, name)
    if field in seen:
      raise UserError(f'--{kind} {text}: {field} is an axis already')
    seen.add(field)
    if bounds := limits(text, values):
      if not field.startswith('hyper.'):
        raise UserError(f'--{kind} {text}: only entries of hyper are drawn from a range')
      for bound in bounds[1:]:
        scalar(field, str(bound))
      if not ranges:
        single.append(drawn)
      ranges[field] = bounds
      continue
    column = read(base, kind, text, field, values)
    if kind == 'zip':
      if not zipped:
        single.append(zipped)
      zipped[field] = column
    else:
      single.append({field: column})
  if bool(ranges) != bool(draws):
    raise UserError(
      f'--random={draws} draws from ranges and none is given: add one, as --grid lr=log:1e-4:1e-2'
      if draws
      else f'{next(iter(ranges))} has a range: say how many to draw from it, as --random=20'
    )
  if ranges:
    chance = random.Random(seed)
    rows = [{f: draw(chance, *bounds) for f, bounds in ranges.items()} for _ in range(draws)]
    drawn.update({f: [one[f] for one in rows] for f in ranges})
  if not single:
    raise UserError('a sweep has one axis at least: add one, as --grid seed=0:8')
  lengths = {field: len(column) for field, column in zipped.items()}
  if len(set(lengths.values())) > 1:
    told = ', '.join(f'{field} has {length}' for field, length in lengths.items())
    raise UserError(f'--zip pairs axes of one length: {told}')
  columns = [
    [dict(zip(axis, one, strict=True)) for one in zip(*axis.values(), strict=True)]
    for axis in single
  ]
  if math.prod(map(len, columns)) > MOST:
    raise UserError(f'that sweep has more than the {MOST:,} members it takes: shorten an axis')
  return columns


def limits(text: str, values: str) -> tuple[str, float, float] | None:
  """('log' or 'uniform', low, high) of a range, None where values are no range."""
  kind, *bounds = values.split(':')
  if kind not in ('log', 'uniform'):
    return None
  try:
    low, high = map(float, bounds)
  except ValueError:
    low = high = math.nan
  if not (low < high < math.inf and low > (0 if kind == 'log' else -math.inf)):
    above = ', above 0' if kind == 'log' else ''
    raise UserError(f'{text}: it takes {kind}:LOW:HIGH, LOW below HIGH{above}')
  return kind, low, high


def draw(chance: random.Random, kind: str, low: float, high: float) -> str:
  """A value from a range, as text of 6 digits."""
  if kind == 'log':
    return f'{math.exp(chance.uniform(math.log(low), math.log(high))):.6g}'
  return f'{chance.uniform(low, high):.6g}'


def read(base: ConfigDict, kind: str, text: str, field: str, values: str) -> list[str]:
  """The texts of an axis; each is one that the field takes, and none comes twice."""
  if match := re.fullmatch(r'(-?\d{1,12}):(-?\d{1,12})(?::(-?\d{1,12}))?', values):
    low, high, stride = (int(part or 1) for part in match.groups())
    numbers = range(low, high, stride) if stride else range(0)
    if len(numbers) > MOST:
      raise UserError(f'--{kind} {text}: {len(numbers):,} values, and it takes {MOST:,} at most')
    column = [str(n) for n in numbers]
  else:
    column = pieces(values)
  if not column:
    raise UserError(f'--{kind} {text}: the axis has no values; it takes 0:8 or 1,4,16')
  if len(column) > MOST:
    raise UserError(f'--{kind} {text}: {len(column):,} values, and it takes {MOST:,} at most')
  if kind == 'grid' and len(set(column)) < len(column):
    raise UserError(f'--{kind} {text}: a value comes twice')
  if field == 'seed' or field.startswith('hyper.'):
    for value in column:
      scalar(field, value)
  return column


def scalar(field: str, text: str) -> int | float:
  """The seed, or the hyper-parameter, that a text sets. Raises UserError for one that it cannot."""
  value = fields.read(field, int if field == 'seed' else float, text)
  fields.check_range(field, value)
  if abs(value) > LARGEST:
    raise UserError(f'{field}={text}: it takes at most {LARGEST:g}, as float32 does')
  return value


def pieces(values: str) -> list[str]:
  """'8,(64,32)' -> ['8', '(64,32)']: split at commas that no bracket holds."""
  found = re.findall(r'(?:\([^()]*\)|[^,()])+', values)
  if ','.join(found) != values:
    raise UserError(f'{values!r}: it takes values with commas between them, and whole brackets')
  return [piece.strip() for piece in found if piece.strip()]
