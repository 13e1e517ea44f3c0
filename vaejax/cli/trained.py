"""The verbs of trained runs: each takes flags and config overrides, and returns the exit status."""

from vaejax.errors import RunError, UserError
from vaejax.reporting.lines import print_line as log


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


def export(flags, overrides) -> int:
  """The verb `export`."""
  from vaejax.export.write import write

  run = open_run(flags)
  out = flags.out or run.folder / 'export'
  settings = {name: getattr(flags, name) for name in ('quantise', 'runtime', 'split')}
  for path in write(run, flags.to, out, flags.functions, flags.licence, settings, log):
    print(path)
  return 0


def task(flags, overrides) -> int:
  """The verb of a task, see vaejax/tasks."""
  paths, lines = write_task(flags)
  for line in (*lines, *paths):
    print(line)
  return 0


def write_task(flags):
  """Runs a task and returns the paths of its files, and its scores in words."""
  from vaejax.api import tasks

  settings = {name: getattr(flags, name) for name in flags.settings if hasattr(flags, name)}
  given = flags.inputs, flags.split, flags.n, flags.seed, flags.out, flags.fit
  return tasks.write(open_run(flags), flags.verb, settings, *given, tasks.command_line(flags.argv))


def run_task(folder, words, data_dir, out) -> dict:
  """Runs a task of a run by the words of its command, with pictures named `out` and an ending.
  Returns its scores as its JSON file has them."""
  from vaejax.api import tasks
  from vaejax.cli.parse import parse

  more = [f'--data_dir={data_dir}'] if data_dir else []
  flags, _ = parse([*words, f'--workdir={folder}', f'--out={out}.png', *more])
  flags.argv = [words[0], *words[1:]]  # the metadata have no path of this machine
  paths, _ = write_task(flags)
  scored = any(path.suffix == '.json' for path in paths)  # else an earlier task has left the file
  return tasks.scores(folder, flags.verb) if scored else {}


def score(flags, overrides) -> int:
  """The verb `score`."""
  from vaejax.api.load import load
  from vaejax.api.score import write_scores
  from vaejax.runs.sweep_files import is_sweep

  folder = flags.background
  if folder and is_sweep(folder):
    raise UserError(
      f'--background={folder} contains a sweep. Use one of its members, such as '
      f'--background={folder}/members/{flags.member or 0}'
    )
  background = load(folder) if folder else None
  settings = flags.inputs, flags.split, flags.out, background, flags.draws, flags.samples
  print(write_scores(open_run(flags), *settings, flags.skip_damaged))
  return 0


def explore(flags, overrides) -> int:
  """The verb `explore`."""
  from vaejax.explore.serve import check_extra
  from vaejax.explore.serve import explore as serve

  check_extra()
  serve(open_run(flags), flags.port, flags.open, log)
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
