"""Reproduces a published table: trains and evaluates its cells in turn, and compares the values.

The workdir has runs/CELL-KEY with the run or the sweep of each cell, cells/CELL.json with its
values, from which the table resumes, and table.md, table.json and report.html.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vaejax.config.table import Table
from vaejax.config.tables import load_table
from vaejax.data import splits
from vaejax.errors import UserError
from vaejax.lookup import nearest
from vaejax.plural import counted
from vaejax.reporting.lines import print_line
from vaejax.runs.files import read_json, write_atomic, write_json
from vaejax.runs.workdir import locked
from vaejax.sweeps import cells, committed, derived, table_text
from vaejax.sweeps.plan import Plan, make_sweep, plan_cell, uses
from vaejax.sweeps.table_rows import make_rows, problems
from vaejax.version import code_version


def reproduce(
  name: str,
  mode: str,
  workdir: Path,
  seeds: int = 0,
  data_dir: Any = None,
  stream=None,
  only: Sequence[str] = (),
  run_task: Callable[..., dict] | None = None,
) -> tuple[str, list[str]]:
  """Trains and evaluates the cells of a table that are not done yet.

  Returns the table as text, and a line for each eval that did not fit its cell, and for each claim
  that does not hold.

  Args:
    name: of the table, or the path of its file.
    mode: 'whole', 'short' or 'smoke'.
    workdir: its folder, which is created.
    seeds: the number of seeds of every cell without fixed seeds; 0: as in the table.
    data_dir: the folder of prepared datasets.
    stream: for progress.
    only: names of the cells to train, with those that they use; () for all.
    run_task: see cells.run_cell.

  Raises UserError, RunError and Stopped as training does.
  """
  log = lambda text: print_line(text, stream)
  table, workdir = load_table(name, mode), workdir.absolute()
  check_same(workdir, name, mode)
  command = table_text.command(name, mode, seeds, only)
  if seeds:
    table = table._replace(
      cells=tuple(c if c.fixed_seeds else c._replace(seeds=seeds) for c in table.cells)
    )
  only = chosen(table, only)
  check_data(table._replace(cells=tuple(c for c in table.cells if c.name in only)), data_dir)
  plans, records, text = {}, {}, ''
  with locked(workdir):
    for number, cell in enumerate(table.cells):
      earlier, path = uses(cell, table.cells[:number]), workdir / f'cells/{cell.name}.json'
      if cell.name not in only and not (path.is_file() and plans.keys() >= set(earlier)):
        continue
      wanted = cell.name in only
      plan = plan_cell(cell, {n: plans[n] for n in earlier}, workdir)
      plans[cell.name] = plan
      place = f'cell {number + 1} of {len(table.cells)}, {cell.name}'
      record = None
      if cell.derive:  # it costs nothing
        wanted = wanted or records.keys() >= set(earlier)
      else:
        record = finished(path, plan, wanted, lambda text, place=place: log(f'{place}: {text}'))
      if record is None and not wanted:
        continue
      if record is None:
        if cell.derive:
          record = derived.record(plan, records)
        else:
          log(f'{place}: {counted(len(plan.members), "member")} in {plan.folder}')
          record = cells.run_cell(plan, data_dir, log, stream, run_task)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, record)
      records[cell.name] = record
      text = write_tables(workdir, command, name, mode, table, records)
      if mode == 'whole' and table.committed and not seeds:
        committed.write(Path(name).stem, table, record, plan.folder / 'pictures')
  return text, problems(table, records, mode)


def check_same(workdir: Path, name: str, mode: str) -> None:
  """Raises UserError if a workdir has another table, or another size of it, whose files would be
  lost."""
  path = workdir / 'table.json'
  saved = read_json(path) if path.is_file() else None
  if not isinstance(saved, dict) or not {'table', 'mode'} <= saved.keys():
    return
  has, new = (table_text.title(*pair) for pair in ((saved['table'], saved['mode']), (name, mode)))
  if has != new:
    raise UserError(f'{workdir} has the table {has}, not {new}. Use another --workdir')


def chosen(table: Table, only: Sequence[str]) -> list[str]:
  """The names of cells and of those that they use; all for (). Raises UserError."""
  known = [cell.name for cell in table.cells]
  for name in only:
    if name not in known:
      raise UserError(f'no cell {name!r}{nearest(name, known)}. Choose from {", ".join(known)}')
  names = set(only or known)
  for number in reversed(range(len(table.cells))):
    if known[number] in names:
      names.update(uses(table.cells[number], table.cells[:number]))
  return [name for name in known if name in names]


def check_data(table: Table, data_dir: Any) -> None:
  """Plans the cells that use no other, and reads their data, so that mistakes show at once. Raises
  UserError."""
  read = set()
  for number, cell in enumerate(table.cells):
    if cell.measure or uses(cell, table.cells[:number]):
      continue
    plan_cell(cell, {}, Path())
    for group in make_sweep(cell).groups:
      data = group.config.data
      if (key := data.to_json_best_effort()) not in read:
        splits.table(data, 'train', data_dir)
        read.add(key)


def finished(path: Path, plan: Plan, wanted: bool, log: Callable[[str], None]) -> dict | None:
  """The record of a finished cell, None if it must be done; logs what is used or done again.
  `wanted`: whether the cell may be done now."""
  if not path.is_file():
    return None
  record = read_json(path)
  if not isinstance(record, dict) or record.get('key') != plan.key:
    changed = differences(record.get('about', {}) if isinstance(record, dict) else {}, plan.about)
    again, other = 'done again, because it has', 'left out, because its stored result has'
    log(f'is {again} changed ({changed})' if wanted else f'is {other} other settings ({changed})')
    return None
  # The reason may be gone: an extra was installed, a judge was trained.
  if record['skipped'] and wanted:
    log(
      f'is {"measured" if plan.cell.measure else "evaluated"} again, because {record["skipped"][0]}'
    )
    return None
  codes = ', '.join(code for code in table_text.codes(record) if code != code_version())
  log(f'is done already, on {record["date"]}' + (f' with code {codes}' if codes else ''))
  return record


def differences(old: Mapping, new: Mapping, prefix: str = '') -> str:
  """The first three fields that differ, 'seeds: 3 -> 5'."""
  changes = []

  def compare(old, new, name: str) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
      for key in {**old, **new}:
        compare(old.get(key), new.get(key), f'{name}.{key}' if name else key)
    elif old != new:
      show = lambda x: text if len(text := json.dumps(x)) < 40 else '...'
      changes.append(f'{name.removeprefix("config.")}: {show(old)} -> {show(new)}')

  compare(dict(old), dict(new), prefix)
  return ', '.join(changes[:3]) + (f' and {len(changes) - 3} more' if len(changes) > 3 else '')


def write_tables(
  workdir: Path, command: str, name: str, mode: str, table: Table, records: dict
) -> str:
  """Writes table.md, table.json and report.html of the cells that are done, and returns the table
  as text."""
  rows = make_rows(table, records, mode)
  write_json(workdir / 'table.json', table_text.as_json(name, mode, table, rows, records))
  write_atomic(workdir / 'table.md', table_text.markdown(command, mode, table, rows, records))
  write_atomic(workdir / 'report.html', table_text.page(command, mode, table, rows, records))
  return table_text.text(mode, table, rows, records)
