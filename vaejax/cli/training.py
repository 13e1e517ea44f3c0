"""The verbs that train, and those before it: each takes flags and config overrides, and returns the
exit status."""

import functools
import shlex
import sys
from pathlib import Path

from vaejax.config.load import config_name, load_config
from vaejax.config.serialise import config_from_json, config_to_json
from vaejax.distributed import processes
from vaejax.errors import RunError, UserError
from vaejax.reporting.lines import print_line as log

CONFIG = 'configs/vae.py'  # without --config


def resolve_run(flags, overrides):
  """Returns the config and the workdir of `train` and `show`. Raises UserError."""
  from vaejax.data import splits
  from vaejax.runs.claim import is_claimed
  from vaejax.runs.sweep_files import is_sweep
  from vaejax.runs.workdir import read_config

  folder = flags.workdir
  overrides = [*overrides, *data_override(flags)]
  if flags.config is None and folder and is_sweep(folder):
    raise UserError(f'{folder} contains a sweep. Add --config, or use the workdir of a member')
  if flags.config is None and folder and (folder / 'config.json').exists():
    return load_config(read_config(folder).config, overrides), folder
  spec = flags.config or CONFIG
  config = load_config(spec, overrides)
  folder = folder or Path('runs') / config_name(spec)
  used = flags.workdir is None and is_claimed(folder) and not is_sweep(folder)
  if used and config.data.name != read_config(folder).config.data.name:
    splits.table(config.data, 'train', flags.data_dir)  # a mistyped dataset is the likelier mistake
  return config, folder


def data_override(flags) -> list[tuple[str, str]]:
  """Returns the config override of --data."""
  return [('data.name', flags.data)] if flags.data else []


def stoppable(verb):
  """Turns a verb's Stopped into an exit status, and logs it on process 0."""

  @functools.wraps(verb)
  def run(flags, overrides) -> int:
    from vaejax.training.train import Stopped

    try:
      return verb(flags, overrides)
    except Stopped as stopped:
      if processes.is_main():
        log(str(stopped))
      return 128 + stopped.number

  return run


@stoppable
def train(flags, overrides) -> int:
  """The verb `train`."""
  from vaejax.core.devices import parse_layout
  from vaejax.core.passes import flat
  from vaejax.training.train import train as run

  layout = parse_layout(flags.mesh, flags.fsdp)
  config, folder = processes.on_main(lambda: resolve_run(flags, overrides)) or (None, Path())
  if processes.count() > 1:
    config = config_from_json(processes.broadcast(lambda: config_to_json(config)))
    config.data.name = flags.data or config.data.name  # each process may read it elsewhere
  (values,) = run(config, folder, flags.data_dir, sys.stderr, layout=layout)
  if not processes.is_main():
    return 0
  print(summary(folder, config, flat(values)))
  return 0


def plan_sweep(flags, overrides):
  """Returns the members and the workdir of `sweep`. Raises UserError."""
  from vaejax.sweeps import axes

  spec = flags.config or CONFIG
  overrides = [*overrides, *data_override(flags)]
  plan = axes.make_sweep(spec, overrides, flags.axes, flags.random, flags.random_seed)
  return plan, flags.workdir or Path('runs') / f'{config_name(spec)}-sweep'


@stoppable
def sweep(flags, overrides) -> int:
  """The verb `sweep`."""
  from vaejax.core.devices import parse_layout
  from vaejax.sweeps.sweep import sweep as run

  plan, folder = plan_sweep(flags, overrides)
  layout = parse_layout(flags.mesh, flags.fsdp)
  table = run(plan, folder, flags.data_dir, layout, flags.slice, flags.group, sys.stderr)
  if not processes.is_main():
    return 0
  print(table)
  print(f'members:    {folder / "members.csv"}, {folder / "results.csv"}, {folder / "table.csv"}')
  print(f'pictures:   {folder / "report.html"}')
  first = plan.groups[flags.group or 0].members[0].number
  workdir = shlex.quote(str(folder))
  print(f'next:       python launch.py sample --workdir={workdir} --member={first}')
  return 0


def summary(folder: Path, config, values: dict[str, float]) -> str:
  """Returns the text for a finished run: its test values, its files, and a next command."""
  from vaejax.runs import checkpoint

  name, steps = config.checkpoint.best.lstrip('-'), checkpoint.steps(folder)
  listed = ', '.join(f'{name} {value:.4g}' for name, value in values.items())
  listed = listed or 'no value can be computed without labels'
  lines = [f'test after {steps[-1] if steps else config.steps} steps: {listed}']
  best = checkpoint.best(folder, steps, config.checkpoint.best).get(0)
  if best and best != steps[-1]:
    value = checkpoint.read_meta(folder, best)['metrics'][0][name]
    lines.append(f'best:       {name} {value:.4g} at step {best}, use --checkpoint=best')
  verb = 'sample' if 'latents' in config.model else 'evaluate'
  lines.append(f'pictures:   {folder / "images"} and {folder / "report.html"}')
  lines.append(f'checkpoint: {folder / "checkpoints"}')
  lines.append(f'next:       python launch.py {verb} --workdir={shlex.quote(str(folder))}')
  return '\n'.join(lines)


def show(flags, overrides) -> int:
  """The verb `show`."""
  from vaejax.cli.show import show as describe
  from vaejax.runs.workdir import read_config

  config, folder = resolve_run(flags, overrides)
  saved = read_config(folder) if flags.config is None and flags.workdir else None
  example = None if flags.data else saved and saved.example
  print(describe(config, example, flags.data_dir or (saved and saved.data_dir)))
  return 0


@stoppable
def reproduce(flags, overrides) -> int:
  """The verb `reproduce`."""
  from vaejax.cli.trained import run_task
  from vaejax.config.tables import table_path
  from vaejax.sweeps.reproduce import reproduce as run

  mode = 'short' if flags.short else 'smoke' if flags.smoke else 'whole'
  name = table_path(flags.table).stem + ('' if mode == 'whole' else f'-{mode}')
  folder = flags.workdir or Path('runs') / 'tables' / name
  settings = flags.seeds, flags.data_dir, sys.stderr, flags.cells
  text, problems = run(flags.table, mode, folder, *settings, run_task)
  print(text)
  print(f'\nwritten: {folder / "table.md"}, {folder / "table.json"}, {folder / "report.html"}')
  if problems:
    raise RunError('; '.join(problems))
  return 0


def prepare(flags, overrides) -> int:
  """The verb `prepare`."""
  from vaejax.data.prepare import catalog

  data_dir = flags.data_dir and str(flags.data_dir)
  print(catalog.prepare(flags.name, data_dir) if flags.name else catalog.listing(data_dir))
  return 0


def submit(flags, overrides) -> int:
  """The verb `submit`."""
  from vaejax.distributed import submit as jobs

  settings = jobs.Settings(*(getattr(flags, name) for name in jobs.Settings._fields))
  for line, job in zip(flags.lines, jobs.submit(flags.lines, settings), strict=True):
    stop = f'kill {job.job_id}' if flags.cluster == 'local' else f'scancel {job.job_id}'
    print(f'job {job.job_id} ({flags.name}): python launch.py {shlex.join(line)}')
    print(f'log:  {job.paths.stdout}\nstop: {stop}', flush=True)
  return 0
