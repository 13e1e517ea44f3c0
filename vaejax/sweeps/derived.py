"""Cells of a table whose values are derived from those of earlier cells."""

from collections.abc import Mapping

from vaejax.config.table import Pairs
from vaejax.sweeps import cells
from vaejax.sweeps.plan import Plan
from vaejax.sweeps.table_rows import finite


def record(plan: Plan, records: Mapping[str, dict]) -> dict:
  """The record of a derived cell, see cells.record. `records` are those of the cells before it, by
  name."""
  named, protocols = plan.cell.derive({name: pairs(r) for name, r in records.items()})
  rows = [
    ((setting, seed), {name: of[seed] for name, of in values.items() if seed < len(of)})
    for setting, values in named.items()
    for seed in range(max(map(len, values.values()), default=0))
  ]
  costs = {'starts': 0, 'wall_seconds': 0.0, 'processor_seconds': 0.0}
  return cells.record(plan, rows, dict(protocols), [], costs)


def pairs(record: dict) -> Pairs:
  """The finite values of a record with their errors, by setting."""
  settings = {}
  for member in record['members']:
    of_setting = settings.setdefault(member['setting'], {})
    for name, value in member['values'].items():
      of_value = of_setting.setdefault(name, [])
      if finite([value]):
        of_value.append((value, member['errors'].get(name)))
  return settings
