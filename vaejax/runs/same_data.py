"""Compares what is read now with the data of a run, by its content and not by its place."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vaejax.data import arrays, readers, sets, stacked
from vaejax.data.source import row_bytes
from vaejax.data.table import Table, digests
from vaejax.errors import UserError
from vaejax.runs import workdir
from vaejax.types import Example

# Fields of an Example that a run does not depend on if it was trained without them.
OPTIONAL = 'classes', 'class_names', 'factors'
SAMPLE = 64  # rows that are compared if a split has changed
WHOLE_BYTES = 2**28  # of larger splits, only a sample of the earlier rows is compared


class Change(NamedTuple):
  """How a split differs from the one of a run: other 'labels', more 'rows', or 'other' data; and
  the same in words."""

  kind: str
  words: str


def changes(
  saved: Mapping[str, Any], tables: Mapping[str, Table], now: Mapping[str, dict]
) -> list[Change]:
  """The changes of all splits since a run was trained.

  Args:
    saved: {split: provenance} of the run.
    tables, now: {split: its table, its provenance}.
  """
  result = [compare(saved.get(split), tables[split], now[split], split) for split in now]
  gone = [Change('other', f'{split} is missing') for split in saved if split not in now]
  return [change for change in result if change] + gone


def compare(saved: Any, table: Table, now: dict, split: str) -> Change | None:
  """How a split differs from its provenance in a run; None if it is the same."""
  other = Change('other', f'{split}: {describe(saved)} there, {describe(now)} here')
  if not isinstance(saved, Mapping) or type(saved.get('rows')) is not int:
    return other
  if not isinstance(saved.get('content'), Mapping):  # of an older version
    same = (saved.get('read'), saved['rows']) == (now['read'], now['rows'])
    return None if same else other
  before, after = dict(saved['content']), json.loads(json.dumps(now['content']))
  if (saved['rows'], before) == (now['rows'], after):
    return None
  data, more = 'video' if 'video' in table.row else 'image', now['rows'] - saved['rows']
  if more or data not in before or before[data] != after.get(data):
    before, after = earlier_rows(saved, table)
  if more < 0 or data not in before or before[data] != after.get(data):
    return other
  differing = sorted(k for k in {**before, **after} if before.get(k) != after.get(k))
  names = ' and '.join(differing).replace('label', 'labels')
  verb = 'changed' if all(k in before and k in after for k in differing) else 'new'
  verb = 'gone' if not any(k in after for k in differing) else verb
  labels = f'its {names} are {verb}'
  if more:
    words = f'{split} has {more:,} more rows, and the {saved["rows"]:,} earlier ones'
    return Change('rows', f'{words}{f"; {labels}" if differing else ""}')
  return Change('labels', f'{split} has the same {data}s, but {labels}') if differing else other


def sample(table: Table, index: np.ndarray | None = None) -> dict | None:
  """What identifies some rows of a table after others, or labels, were added: {'content': the
  digests of these rows, 'files': the names of their files, or None}. None for a procedural table.

  The rows are those at `index`, by default SAMPLE evenly spaced ones.
  """
  if table.render:
    return None
  if index is None:
    index = np.unique(np.linspace(0, table.size - 1, SAMPLE).astype(np.int64))
  names = table.names() if table.names else []
  files = [names[i] for i in index] if len(names) == table.size else None
  return {'content': digests(table.fetch(index)), 'files': files}


def earlier_rows(saved: Mapping, table: Table) -> tuple[dict, dict]:
  """The digests of rows of a run, and of the same rows of a table: by the names of their files, or
  else at the same positions. Both are empty if they cannot be compared."""
  known = saved.get('sample')
  if not isinstance(known, Mapping) or not isinstance(known.get('content'), Mapping):
    return {}, {}
  index = np.unique(np.linspace(0, saved['rows'] - 1, SAMPLE).astype(np.int64))
  if isinstance(files := known.get('files'), list):
    place = {name: i for i, name in enumerate(table.names() if table.names else [])}
    if not all(name in place for name in files):
      return {}, {}
    index = np.asarray([place[name] for name in files])
  if table.render or not len(index) or index.max() >= table.size:
    return {}, {}
  before, after = dict(known['content']), digests(table.fetch(index))
  all_rows = dict(saved['content'])
  if table.size * row_bytes(table) <= WHOLE_BYTES and before.keys() == all_rows.keys():
    first = digests(table.load(), saved['rows'])
    if all_rows.items() & first.items():  # the reader digests all rows as this does
      return all_rows, first
  return before, after


def describe(provenance: Any) -> str:
  """A split in words, as 'mnist/3.0.1 train, 60000 rows'."""
  if not isinstance(provenance, Mapping):
    return 'none'
  return f'{provenance.get("read")}, {provenance.get("rows")} rows'


def check_unchanged(
  folder: Path, saved: workdir.SavedRun, differing: list[Change], example: Example
) -> None:
  """Raises UserError if a run would resume on other data than it was trained on."""
  words = '; '.join(change.words for change in differing)
  hint = f'or train in another workdir, where init_from={folder} starts from its nets'
  if differing and all(change.kind != 'other' for change in differing):
    raise UserError(
      f'the data of {folder} has changed since the run began: {words}. Resume with the data as it '
      f'was, {hint}'
    )
  if differing or comparable(saved.example, example) != comparable(example, saved.example):
    words = words or f'{example.data}s are read differently'
    raise UserError(
      f'{folder} was trained on other data ({words}). Give the same data, by --data or --data_dir '
      f'if it has moved, {hint}'
    )


def comparable(example: Example, other: Example) -> Example:
  """An Example without what only one of two has recorded: an older version had fewer fields."""
  return example._replace(
    **{name: () for name in OPTIONAL[1:] if not (getattr(example, name) and getattr(other, name))}
  )


def check_fits(name: str, now: Example, run: Example) -> None:
  """Raises UserError if a run cannot use data: it needs the same images, and the labels that it was
  trained with. Labels that it does not know may be there."""
  field = lambda example: example.fields[example.data].shape
  if (now.data, field(now)) != (run.data, field(run)):
    raise UserError(
      f'{name} has {now.data}s of {field(now)}, but the run was trained on {run.data}s of '
      f'{field(run)}. Use the data that it was trained on'
    )
  if missing := sorted(set(run.fields) - set(now.fields)):
    raise UserError(
      f'{name} has no {" and no ".join(missing)}, which the run was trained with. Use the data '
      'that it was trained on'
    )
  for part in OPTIONAL:
    before, after = getattr(run, part), getattr(now, part)
    if before and before != after and (part == 'classes' or after):
      raise UserError(
        f'{name} has other {part.replace("_", " ")} than the run was trained with '
        f'({after or "none"}, not {before}). Use the data that it was trained on'
      )
  if (now.levels, bool(now.units)) != (run.levels, bool(run.units)):
    kind = lambda e: f'{e.levels} levels' if e.levels else 'real numbers'
    raise UserError(
      f'{name} has {kind(now)}, but the run was trained on {kind(run)}. Use the data that it '
      'was trained on'
    )


def check_place(data, data_dir: Any) -> None:
  """Raises UserError if the data of a run is no longer where it was, with the flags that give its
  new place. `data` is that section of its config."""
  name = stacked.base(data.name) or data.name
  if name == arrays.NAME or sets.reader(name) or os.path.exists(os.path.expanduser(name)):
    return
  if name.startswith(('.', '~', os.sep)) or Path(name).suffix in readers.ARRAYS:
    raise UserError(
      f'the data of this run, {name}, is no longer there. Give its new place: --data=PATH'
    )
  if isinstance(data_dir, str) and not os.path.isdir(os.path.expanduser(data_dir)):
    raise UserError(
      f'the data of this run, {name}, was in {data_dir}, which is no longer there. Give its new '
      'place: --data_dir=DIR, or --data=PATH'
    )
