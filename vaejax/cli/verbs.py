"""The verbs of the command line: each takes its flags and gives an exit status."""

import functools
import re
import shlex
import sys
from pathlib import Path

from vaejax.config.fields import check
from vaejax.config.load import config_name, load_config, set_field
from vaejax.config.serialise import config_from_json, config_to_json
from vaejax.errors import UserError


def asked(flags, overrides):
  """The config and the workdir of `train`. Raises UserError."""
  from vaejax.runs.sweep_files import is_sweep
  from vaejax.runs.workdir import read_config

  folder = flags.workdir
  if flags.config is None and folder and is_sweep(folder):
    raise UserError(f'{folder} holds a sweep: name a --config, or one of its members')
  if flags.config is None and folder and (folder / 'config.json').exists():
    config = read_config(folder).config
    for field, text in overrides:
      set_field(config, field, text)
    check(config)
    return config, folder
  spec = 'configs/vae.py' if flags.config is None else flags.config
  config = load_config(spec, overrides)
  return config, folder or Path('runs') / config_name(spec)


def stoppable(verb):
  """A verb that a signal may end, which process 0 says."""

  @functools.wraps(verb)
  def run(flags, overrides, group) -> int:
    from vaejax.training.train import Stopped

    try:
      return verb(flags, overrides, group)
    except Stopped as stopped:
      if group.main:
        say(str(stopped))
      return 128 + stopped.number

  return run


@stoppable
def train(flags, overrides, group) -> int:
  """The verb `train`."""
  from vaejax.core import sharding
  from vaejax.core.passes import flat
  from vaejax.evaluation import judges
  from vaejax.training.train import train as run

  layout = sharding.parse_layout(flags.mesh, flags.fsdp)
  config, folder = asked(flags, overrides) if group.main else (None, Path())
  if group.size > 1:
    plain = group.share(lambda: config_to_json(config))
    config = config_from_json(plain)
  (values,) = run(config, folder, flags.data_dir, sys.stderr, layout=layout, group=group)
  if not group.main:
    return 0
  print(summary(folder, config, flat(values)))
  if config.keep_as_judge:
    judges.keep(folder, say)
  return 0


def planned(flags, overrides):
  """The members and the workdir of `sweep`. Raises UserError."""
  from vaejax.sweeps import axes

  spec = flags.config or 'configs/vae.py'
  plan = axes.make_sweep(spec, overrides, flags.axes or (), flags.random, flags.random_seed)
  return plan, flags.workdir or Path('runs') / f'{config_name(spec)}-sweep'


@stoppable
def sweep(flags, overrides, group) -> int:
  """The verb `sweep`."""
  from vaejax.core import sharding
  from vaejax.sweeps.sweep import sweep as run

  plan, folder = planned(flags, overrides)
  layout = sharding.parse_layout(flags.mesh, flags.fsdp)
  settings = {'at_once': flags.slice, 'only': flags.group, 'stream': sys.stderr, 'group': group}
  table = run(plan, folder, flags.data_dir, layout, **settings)
  if not group.main:
    return 0
  print(table)
  print(f'members:    {folder / "members.csv"}, {folder / "results.csv"}, {folder / "table.csv"}')
  print(f'pictures:   {folder / "report.html"}')
  first = plan.groups[flags.group or 0].members[0].number
  print(f'next:       python launch.py sample --workdir={folder} --member={first}')
  return 0


def summary(folder: Path, config, values: dict[str, float]) -> str:
  """What a finished run shows: test values, where things are, what to try next."""
  from vaejax.runs import checkpoint

  listed = ', '.join(f'{name} {value:.4g}' for name, value in values.items())
  name, steps = config.checkpoint.best.lstrip('-'), checkpoint.steps(folder)
  best = checkpoint.best(folder, steps, config.checkpoint.best).get(0)
  if best and best != steps[-1]:
    value = checkpoint.read_meta(folder, best)['metrics'][0][name]
    listed += f'\nbest:       {name} {value:.4g} at step {best}, for --checkpoint=best'
  verb = 'sample' if 'latents' in config.model else 'evaluate'
  return '\n'.join(
    [
      f'test after {config.steps} steps: {listed}',
      f'pictures:   {folder / "images"} and {folder / "report.html"}',
      f'checkpoint: {folder / "checkpoints"}',
      f'next:       python launch.py {verb} --workdir={folder}',
    ]
  )


def show(flags, overrides) -> int:
  """The verb `show`."""
  from vaejax.cli.show import show as text
  from vaejax.runs.workdir import read_config

  config, folder = asked(flags, overrides)
  saved = read_config(folder) if flags.config is None and flags.workdir else None
  data_dir = flags.data_dir or (saved and saved.data_dir)
  print(text(config, saved and saved.example, data_dir))
  return 0


def sample(flags, overrides) -> int:
  """The verb `sample`."""
  from vaejax.api.sample import sample as run

  names = 'n', 'seed', 'temperature', 'draw', 'weights', 'which', 'label', 'out', 'data_dir'
  names += 'given', 'futures', 'rollout', 'member'
  print(run(flags.workdir, **{name: getattr(flags, name) for name in names}, say=say))
  return 0


def evaluate(flags, overrides) -> int:
  """The verb `evaluate`."""
  from vaejax.evaluation.evaluate import evaluate as run

  names = None if flags.evals is None else [name for name in re.split('[,+]', flags.evals) if name]
  if names == []:
    raise UserError('--evals names nothing: it takes one or more, as in --evals=elbo,nll')
  wanted = 'split', 'seed', 'weights', 'which', 'data_dir', 'member'
  values = run(
    flags.workdir,
    names or (),
    overrides=overrides,
    **{k: getattr(flags, k) for k in wanted},
    say=say,
  )
  width = max(map(len, values))
  for name, (value, error) in values.items():
    print(f'{name:>{width}} {value:.4f}' + (f' ± {error:.4f}' if error is not None else ''))
  own = flags.workdir if flags.member is None else flags.workdir / 'members' / str(flags.member)
  print(f'recorded in {own / "evaluation.json"}')
  return 0


def submit(flags, overrides) -> int:
  """The verb `submit`."""
  from vaejax.distributed import submit as jobs

  names = jobs.Settings._fields
  settings = jobs.Settings(**{name: getattr(flags, name) for name in names})
  for line, job in zip(flags.lines, jobs.submit(flags.lines, settings), strict=True):
    stop = f'kill {job.job_id}' if flags.cluster == 'local' else f'scancel {job.job_id}'
    print(f'job {job.job_id} ({flags.name}): python launch.py {shlex.join(line)}')
    print(f'log:  {job.paths.stdout}\nstop: {stop}', flush=True)
  return 0


def to_file(flags, overrides) -> int:
  """The verbs `encode` and `reconstruct`."""
  from vaejax.api import files

  names = 'split', 'n', 'out', 'weights', 'which', 'data_dir', 'member'
  settings = {name: getattr(flags, name) for name in names}
  print(getattr(files, flags.verb)(flags.workdir, **settings, say=say))
  return 0


encode = reconstruct = to_file


def say(text: str) -> None:
  print(text, file=sys.stderr, flush=True)
