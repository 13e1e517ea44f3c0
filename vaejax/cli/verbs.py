"""The verbs: each takes flags and config overrides, and returns the exit status."""

import functools
import shlex
import sys
from pathlib import Path

from vaejax.config.load import config_name, load_config
from vaejax.config.serialise import config_from_json, config_to_json
from vaejax.distributed import processes
from vaejax.errors import RunError, UserError
from vaejax.reporting.lines import print_line as log

CONFIG = 'configs/vae.py'  # of a command without --config


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


def open_run(flags):
  """Returns the trained run that the flags name. Raises UserError."""
  from vaejax.api.run import Run
  from vaejax.runs import trained

  opened = trained.open_run(flags.workdir, log, flags.checkpoint, member=flags.member)
  return Run(trained.with_data(opened, flags.data, flags.data_dir), flags.weights, log)


def sample(flags, overrides) -> int:
  """The verb `sample`."""
  from vaejax.api.sample import write_samples

  settings = flags.seed, flags.temperature, flags.draw, flags.label
  video_settings = flags.given, flags.futures, flags.rollout
  print(write_samples(open_run(flags), flags.n, flags.out, *settings, *video_settings))
  return 0


def encode(flags, overrides) -> int:
  """The verb `encode`."""
  from vaejax.api.files import write_latents

  print(write_latents(open_run(flags), flags.split, flags.n, flags.out))
  return 0


def reconstruct(flags, overrides) -> int:
  """The verb `reconstruct`."""
  from vaejax.api.files import write_reconstructions

  print(write_reconstructions(open_run(flags), flags.split, flags.n, flags.out))
  return 0


def score(flags, overrides) -> int:
  """The verb `score`."""
  from vaejax.api.run import load
  from vaejax.api.score import write_scores

  background = load(flags.background) if flags.background else None
  settings = flags.inputs, flags.split, flags.out, background, flags.draws, flags.samples
  print(write_scores(open_run(flags), *settings))
  return 0


def evaluate(flags, overrides) -> int:
  """The verb `evaluate`. Its status is 1 if an eval has no value."""
  from vaejax.estimates import in_words
  from vaejax.evaluation.evaluate import evaluate as run
  from vaejax.runs.sweep_files import is_sweep

  if flags.member is None and is_sweep(flags.workdir):
    return evaluate_sweep(flags, overrides)
  evals = flags.evals, flags.split, flags.seed, overrides
  which = flags.weights, flags.checkpoint, flags.data_dir, flags.member
  values, skipped, problem = run(flags.workdir, *evals, *which, log, flags.data)
  width = max(map(len, values), default=0)
  for name, estimate in values.items():
    print(f'{name:>{width}} {in_words(estimate)}')
  folder = flags.workdir if flags.member is None else flags.workdir / 'members' / str(flags.member)
  if isinstance(problem, OSError):
    log(f'not recorded: {folder} cannot be written ({problem.strerror})')
  elif problem:
    raise problem
  else:
    print(f'recorded in {folder / "evaluation.json"}')
  return log_errors(skipped)


def evaluate_sweep(flags, overrides) -> int:
  """The verb `evaluate` of all members of a sweep."""
  from vaejax.sweeps import summary
  from vaejax.sweeps.evaluate import evaluate_sweep as run

  folder, evals = flags.workdir, (flags.evals, flags.split, flags.seed, overrides)
  which = flags.weights, flags.checkpoint, flags.data_dir, log, flags.data
  estimates, skipped, problem = run(folder, *evals, *which)
  print(summary.estimates_text(folder, estimates))
  if problem:
    raise RunError(f'the values are not all recorded in {folder}: {problem}')
  print(f'recorded in {folder / "members"}/K/evaluation.json')
  if flags.checkpoint == 'latest':
    print(f'and in {folder / "results.csv"}, {folder / "table.csv"}')
  return log_errors(skipped)


def log_errors(lines) -> int:
  """Logs a line for each part of a command that failed, and returns the exit status."""
  for line in lines:
    log(f'error: {line}')
  return int(bool(lines))


def prepare(flags, overrides) -> int:
  """The verb `prepare`."""
  from vaejax.data.prepare import catalog

  data_dir = flags.data_dir and str(flags.data_dir)
  print(catalog.prepare(flags.name, data_dir) if flags.name else catalog.listing(data_dir))
  return 0


def report(flags, overrides) -> int:
  """The verb `report`."""
  from vaejax.runs.files import not_writable
  from vaejax.sweeps.comparison import write_comparison

  out = flags.out
  if out.suffix != '.html' or out.is_dir():
    raise UserError(f'cannot write {out}. Use the name of a file that ends in .html')
  if problem := None if out.absolute().parent.is_dir() else f'there is no folder {out.parent}':
    raise UserError(f'cannot write {out}: {problem}. Create it first')
  if problem := not_writable(out.absolute().parent):
    raise UserError(f'cannot write {out}: {problem}. Choose another place with --out=FILE')
  path, warnings = write_comparison(flags.runs, out)
  for line in warnings:
    log(f'protocols differ: {line}')
  print(path)
  return 0


@stoppable
def reproduce(flags, overrides) -> int:
  """The verb `reproduce`."""
  from vaejax.config.tables import table_path
  from vaejax.sweeps.reproduce import reproduce as run

  mode = 'short' if flags.short else 'smoke' if flags.smoke else 'whole'
  name = table_path(flags.table).stem + ('' if mode == 'whole' else f'-{mode}')
  folder = flags.workdir or Path('runs') / 'tables' / name
  settings = flags.seeds, flags.data_dir, sys.stderr, flags.cells
  text, problems = run(flags.table, mode, folder, *settings)
  print(text)
  print(f'\nwritten: {folder / "table.md"}, {folder / "table.json"}, {folder / "report.html"}')
  if problems:
    raise RunError('; '.join(problems))
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
