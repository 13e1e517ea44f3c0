"""The rows of a published table, with its values and ours, and its claims."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from vaejax.config.table import Published, Table
from vaejax.estimates import Estimate
from vaejax.metrics import seeds

Records = Mapping[str, dict]  # {name of a cell: its record, see cells.record}


class Row(NamedTuple):
  """One value of one row.

  Attributes:
    label: of the row, 'iwae-5' or 'anomaly, left_out=3'.
    value, heading: the name of the value, and its heading.
    published: None if the source has none.
    ours: the mean over seeds; with one seed, the error is over examples. None without a finite
      value.
    seeds, frozen: numbers of members.
    record: of the cell.
    comparable: whether our value may be compared with the published one; not at smoke size.
  """

  label: str
  value: str
  heading: str
  published: Published | None
  ours: Estimate | None
  seeds: int
  frozen: int
  record: dict
  comparable: bool = True

  @property
  def scale(self) -> float:
    """100 if the heading begins with %: the value is a proportion, and shown in percent."""
    return 100.0 if self.heading.startswith('%') else 1.0

  @property
  def covers(self) -> bool | None:
    """Whether our interval covers the published value; None if one of them is missing, or if all
    seeds have the same value, so that the interval is empty."""
    if not self.comparable or not self.published or not self.ours or not self.ours.interval:
      return None
    if not self.ours.error:
      return None
    low, high = self.ours.interval
    return low <= self.published.value <= high


def members_of(record: dict) -> dict[str, list[dict]]:
  """{setting: its members}."""
  settings = {}
  for member in record['members']:
    settings.setdefault(member['setting'], []).append(member)
  return settings


def results_of(records: Records) -> dict[tuple[str, str], dict[str, list[float]]]:
  """The Results of config.table: {(cell, setting): {value: [of each seed]}}."""
  results = {}
  for name, record in records.items():
    for setting, members in members_of(record).items():
      values = dict.fromkeys(v for member in members for v in member['values'])
      results[name, setting] = {v: finite(m['values'].get(v) for m in members) for v in values}
  return results


def make_rows(table: Table, records: Records, mode: str = 'whole') -> list[Row]:
  """The rows of the cells that are done, in the order of the table."""
  rows, comparable = [], mode != 'smoke'
  for cell in table.cells:
    record = records.get(cell.name)
    for setting, members in members_of(record).items() if record else ():
      published = cell.published.get(setting, {})
      shown = {} if cell.hidden else cell.values or table.values
      for value, heading in shown.items():
        pairs = [(m['values'].get(value), m['errors'].get(value)) for m in members]
        of_seeds = finite(v for v, _ in pairs)
        if not any(value in m['values'] for m in members) and value not in published:
          continue
        ours = seeds.mean(of_seeds) if of_seeds else None
        if len(of_seeds) == 1:
          ours = Estimate(*next(pair for pair in pairs if pair[0] == of_seeds[0]))
        label = ', '.join(filter(None, (cell.name, setting)))
        frozen = sum(m['frozen'] for m in members)
        known = published.get(value)
        row = Row(label, value, heading, known, ours, len(of_seeds), frozen, record, comparable)
        rows.append(row)
  return rows


def claims(table: Table, records: Records, mode: str) -> list[tuple[str, bool | None]]:
  """(text, whether it holds) of each claim; None if it cannot be checked."""
  if mode == 'smoke' or len(records) < len(table.cells):
    return [(claim.text, None) for claim in table.claims]
  results, checked = results_of(records), []
  for claim in table.claims:
    try:
      checked.append((claim.text, bool(claim.holds(results))))
    except (LookupError, ValueError, ZeroDivisionError):  # values are missing
      checked.append((claim.text, None))
  return checked


def unchecked(table: Table, records: Records, mode: str) -> str:
  """Why a claim is not checked."""
  if mode == 'smoke':
    return 'the smoke size trains too little'
  missing = [cell.name for cell in table.cells if cell.name not in records]
  return f'cells are not done ({", ".join(missing)})' if missing else 'values are missing'


def problems(table: Table, records: Records, mode: str) -> list[str]:
  """A line for each problem of a table: evals that did not fit, values that a cell lacks, claims
  that do not hold."""
  lines = [f'{name}: {line}' for name, r in records.items() for line in r['skipped']]
  for cell in table.cells:
    members = records[cell.name]['members'] if cell.name in records and not cell.measure else []
    known = {value for member in members for value in member['values']}
    missing = [value for value in cell.values if known and value not in known]
    lines += [f'{cell.name}: it has no value {value!r}' for value in missing]
  return lines + [
    f'claim does not hold: {t}' for t, holds in claims(table, records, mode) if holds is False
  ]


def finite(values) -> list[float]:
  """The values that are finite numbers."""
  return [v for v in values if v is not None and math.isfinite(v)]
