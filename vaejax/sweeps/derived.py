"""Cells of a table whose values are derived from those of earlier cells."""

import math
from collections.abc import Mapping

from vaejax.config.table import Pairs
from vaejax.sweeps import cells
from vaejax.sweeps.plan import Plan
from vaejax.sweeps.table_rows import finite, members_of


def record(plan: Plan, records: Mapping[str, dict]) -> dict:
  """The record of a derived cell, see cells.record, with a line for each setting without a finite
  value. `records` are those of the cells before it, by name."""
  named, protocols = plan.cell.derive({name: pairs(r) for name, r in records.items()})
  rows = [
    ((setting, seed), {name: of[seed] for name, of in values.items() if seed < len(of)})
    for setting, values in named.items()
    for seed in range(max(map(len, values.values()), default=0))
  ]
  costs = {'starts': 0, 'wall_seconds': 0.0, 'processor_seconds': 0.0}
  lines = [
    f'no values{f" of {setting}" if setting else ""}: runs that they are derived from have none'
    for setting, values in named.items()
    if not finite(value for of in values.values() for value, _ in of)
  ]
  return cells.record(plan, rows, dict(protocols), lines, costs)


def pairs(record: dict) -> Pairs:
  """The values of a record with their errors, by setting. A seed without a finite value has NaN, so
  places in a list are seeds; without any it is empty."""
  settings = {}
  for setting, members in members_of(record).items():
    names = dict.fromkeys(name for m in members for name in m['values'])
    settings[setting] = {name: of_value(members, name) for name in names}
  return settings


def of_value(members: list[dict], name: str) -> list[tuple[float, float | None]]:
  """(value, error) of each member; [] if no value is finite."""
  found = [(m['values'].get(name), m['errors'].get(name)) for m in members]
  found = [pair if finite(pair[:1]) else (math.nan, None) for pair in found]
  return found if finite(value for value, _ in found) else []
