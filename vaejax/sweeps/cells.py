"""A cell of a table: trained, evaluated, and recorded so that it is done once."""

import contextlib
import datetime
import importlib.metadata
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from vaejax.config.load import load_config
from vaejax.config.table import Cell
from vaejax.errors import UserError
from vaejax.evaluation.evaluate import evaluate
from vaejax.reporting.values import protocol_of
from vaejax.runs import sweep_files
from vaejax.runs.files import plain, read_json, write_json
from vaejax.runs.workdir import PACKAGES
from vaejax.sweeps import sweep
from vaejax.sweeps.evaluate import evaluate_sweep
from vaejax.sweeps.plan import Plan, make_sweep
from vaejax.training.train import train
from vaejax.version import code_version


def run_cell(plan: Plan, data_dir: Any, log, stream, run_task=None) -> dict:
  """Trains and evaluates a cell, or resumes it, and returns its record, see `record`.

  `run_task` is a function (folder, words, data_dir, out) -> {metric: score as JSON}, which runs a
  task of a run and writes its picture to `out` without ending, see cli.trained.run_task.

  Raises UserError, RunError and Stopped as training does.
  """
  cell, skipped = plan.cell, []
  if cell.tasks and not plan.single:
    raise UserError(f'cell {cell.name} has tasks, which need one run, but it has several members')
  with timed(plan.folder) as costs:
    if cell.measure:
      plan.folder.mkdir(parents=True, exist_ok=True)
      measured = cell.measure(plan.folder, cell.seeds, data_dir)
      if isinstance(measured, tuple):
        measured, skipped = measured
      values = [
        {name: (v[seed], None) for name, v in measured.items() if seed < len(v)}
        for seed in range(max(cell.seeds, *map(len, measured.values()), 1))
      ]
      members = [('', seed) for seed in range(len(values))]
      rows, protocols = list(zip(members, values, strict=True)), {}
    elif plan.single:
      values, protocols, skipped = run_single(cell, plan.folder, data_dir, log, stream)
      values |= run_tasks(cell, plan.folder, data_dir, log, run_task)
      rows = [(plan.members[0], values)]
    else:
      values, protocols, skipped = run_sweep(cell, plan.folder, data_dir, log, stream)
      rows = [(member, values.get(number)) for number, member in enumerate(plan.members)]
  return record(plan, rows, protocols, skipped, costs)


def run_single(cell: Cell, folder: Path, data_dir, log, stream):
  """Trains and evaluates a plain run. Returns {name: (value, error)}, the protocols by value, and
  lines about evals that do not fit."""
  config = load_config(cell.config, [*cell.fields.items(), ('seed', '0')])
  train(config, folder, data_dir, stream)
  skipped = []
  if cell.evals:
    _, skipped, problem = evaluate(folder, cell.evals, data_dir=data_dir, log=log)
    if problem:
      raise problem
  results = read_json(folder / 'evaluation.json')
  results = {name: r for name, r in results.items() if not name.startswith('validation/')}
  protocols = {name: protocol_of(r) for name, r in results.items()}
  return {name: (r['value'], r['error']) for name, r in results.items()}, protocols, skipped


def run_tasks(cell: Cell, folder: Path, data_dir, log, run_task) -> dict:
  """{NAME.METRIC and NAME.METRIC.BASELINE: (value, error)} of the tasks of a finished run. Their
  pictures are written to its folder `pictures`."""
  values = {}
  for name, use in cell.tasks.items():
    log(f'{cell.name}: {use.command}')
    place = folder / 'pictures'
    place.mkdir(parents=True, exist_ok=True)
    for metric, score in run_task(folder, use.command.split(), data_dir, place / name).items():
      values[f'{name}.{metric}'] = score['value'], score['error']
      for baseline, of in score['baselines'].items():
        values[f'{name}.{metric}.{baseline}'] = of['value'], of['error']
  return values


def run_sweep(cell: Cell, folder: Path, data_dir, log, stream):
  """Trains and evaluates the members of a cell as a sweep. Returns {member: {name: (value, error)}}
  of those that are not frozen, the protocols by value, and lines about evals that do not fit."""
  sweep.sweep(make_sweep(cell), folder, data_dir, stream=stream)
  skipped = []
  if cell.evals:
    _, skipped, problem = evaluate_sweep(folder, cell.evals, data_dir=data_dir, log=log)
    if problem:
      raise problem
  values = {}
  for number in range(len(sweep_files.read_sweep(folder)['stacks'])):
    for member, row in sweep_files.read_results(sweep_files.stack_folder(folder, number)).items():
      if not row['frozen']:
        named = row['values'].items()
        values[member] = {name: (value, row['errors'].get(name)) for name, value in named}
  return values, sweep_files.read_protocols(folder), skipped


@contextlib.contextmanager
def timed(folder: Path) -> Iterator[dict]:
  """Measures the body of a `with`: the yielded dict gets wall_seconds and processor_seconds over
  all starts of a cell, their number `starts`, and `made`, what each of them ran on. A start that
  was killed counts, but not its time."""
  path = folder.with_name(f'{folder.name}.cost.json')
  path.parent.mkdir(parents=True, exist_ok=True)
  costs = read_json(path) if path.is_file() else {}
  costs = {'starts': 0, 'wall_seconds': 0.0, 'processor_seconds': 0.0} | costs
  costs['starts'] += 1
  made, now = costs.get('made', []), plain(conditions())
  costs['made'] = made if now in made else [*made, now]
  write_json(path, costs)
  wall, processor = time.monotonic(), processor_seconds()
  try:
    yield costs
  finally:
    costs['wall_seconds'] += time.monotonic() - wall
    costs['processor_seconds'] += processor_seconds() - processor
    write_json(path, costs)


def processor_seconds() -> float:
  """Processor time so far, with that of child processes which have ended."""
  times = os.times()
  return times.user + times.system + times.children_user + times.children_system


def record(plan: Plan, rows, protocols: dict, skipped: list[str], costs: dict) -> dict:
  """All that is known about a finished cell: the content of cells/NAME.json.

  Its 'members' have setting, seed, frozen, and {name: value} and {name: standard error over
  examples}; values that are not finite are None.
  """
  return plain(
    {
      'cell': plan.cell.name,
      'key': plan.key,
      'config': plan.cell.config,
      'fields': dict(plan.cell.fields),
      'axes': list(plan.cell.axes),
      'evals': list(plan.cell.evals),
      'tasks': {name: use.command for name, use in plan.cell.tasks.items()},
      'about': plan.about,
      'members': [
        {
          'setting': setting,
          'seed': seed,
          'frozen': named is None,
          'values': {name: value for name, (value, _) in (named or {}).items()},
          'errors': {name: error for name, (_, error) in (named or {}).items()},
        }
        for (setting, seed), named in rows
      ],
      'protocols': protocols,
      'skipped': skipped,
      **costs,
      **conditions(),
    }
  )


def conditions() -> dict:
  """What this process runs on: hardware, software, code, and the date."""
  versions = {name: importlib.metadata.version(name) for name in PACKAGES}
  return {
    'hardware': hardware(),
    'versions': {'python': platform.python_version(), **versions},
    'code': code_version(),
    'date': datetime.date.today().isoformat(),
  }


def hardware() -> dict:
  """The devices of this process, and the processor of this machine."""
  devices = jax.devices()
  with contextlib.suppress(OSError, StopIteration):
    lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    name = next(line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    return {'devices': len(devices), 'device': devices[0].device_kind, 'processor': name} | cores()
  return {'devices': len(devices), 'device': devices[0].device_kind} | cores()


def cores() -> dict:
  """The number of cores that this process may use."""
  allowed = getattr(os, 'sched_getaffinity', None)
  return {'cores': len(allowed(0)) if allowed else os.cpu_count()}
