"""The command line: verbs and their flags. Mistakes end in one line and exit status 2."""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from vaejax import configuration
from vaejax.engine import cluster, native
from vaejax.engine.group import ALONE, Alone
from vaejax.errors import RunError, UserError
from vaejax.flags import count, path, placing, sampling, seed, several
from vaejax.lookup import nearest

VERBS = 'train', 'sample', 'evaluate', 'submit'
EXAMPLES = """
examples:
  python launch.py
  python launch.py train --config=configs/vae.py:mnist --workdir=runs/m --data_dir=DIR
  python launch.py train --config=configs/beta_vae.py:shapes --workdir=runs/s --config.hyper.beta=4
  python launch.py sample --workdir=runs/m --n=64 --out=samples.png
  python launch.py sample --workdir=runs/rvae --n=8 --given=5 --futures=3 --out=futures.gif
  python launch.py evaluate --workdir=runs/m --evals=elbo,nll
  python launch.py submit --nodes=2 --gpus=8 -- train --config=configs/gan.py --workdir=runs/g
"""


SUBMIT = 'python launch.py submit --nodes=2 -- train --config=configs/vae.py'


class Parser(argparse.ArgumentParser):
  """argparse, with UserError where it would print a usage and exit."""

  def error(self, message):
    raise UserError(f'{message}; see python {self.prog} --help')


def parser() -> Parser:
  """The flags of every verb."""
  configs = ', '.join(configuration.available()) or 'none here: run from the project folder'
  top = Parser(
    prog='launch.py',
    description='Train, sample from and evaluate latent-variable and adversarial image models.',
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  verbs = top.add_subparsers(dest='verb', metavar=' | '.join(VERBS), required=True)

  def verb(name, about):
    found = verbs.add_parser(name, help=about, description=about, allow_abbrev=False)
    found.add_argument('--workdir', metavar='DIR', type=path, help="the run's folder")
    found.add_argument('--data_dir', metavar='DIR', type=path, help='prepared TFDS datasets')
    return found

  train = verb('train', 'Train, or go on with, the run of a config.')
  train.add_argument(
    '--config', metavar='FILE[:WORDS]', help='e.g. configs/vae.py:mnist; WORDS: dataset,smoke,k=v'
  )
  train.add_argument(
    '--config.FIELD=VALUE',
    action='store_true',
    help='any field of the config, as in --config.hyper.beta=4 --config.seed=3; config.json in the '
    'workdir shows them all',
  )
  several(train)
  sample = verb('sample', 'Write samples of a trained run.')
  sampling(sample)
  evaluate = verb('evaluate', 'Compute test values of a trained run.')
  evaluate.add_argument(
    '--evals', default='elbo', help='elbo, nll, image, judge, modes, probe, style, video (elbo)'
  )
  evaluate.add_argument('--split', default='test')
  evaluate.add_argument('--seed', type=seed, default=0)
  evaluate.add_argument('--samples', type=count, help="importance samples of nll (the config's)")
  evaluate.add_argument('--judge', metavar='DIR', help='the run of a judge (the cached one)')
  for found in (sample, evaluate):
    found.add_argument('--weights', choices=('ema', 'raw'), default='ema', help='average or not')
    found.add_argument(
      '--checkpoint', dest='which', default='latest', help='latest, best or a step (latest)'
    )
  about = 'Submit commands, each behind a --, as jobs that go on from where they were stopped.'
  placing(verbs.add_parser('submit', help=about, description=about, allow_abbrev=False))
  usages = ''.join(found.format_usage() for found in verbs.choices.values())
  top.epilog = f'{usages}\nconfigs: {configs}\n{EXAMPLES}'
  return top


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[tuple[str, str]]]:
  """Flags, and the config's overrides as (field, text). Raises UserError."""
  if not argv or (argv[0].startswith('-') and argv[0] not in ('-h', '--help')):
    argv = ['train', *argv]
  if argv[0] not in (*VERBS, '-h', '--help'):
    raise UserError(
      f'unknown verb {argv[0]!r}{nearest(argv[0], VERBS)}: it takes {", ".join(VERBS)}'
    )
  if argv[0] == 'submit' and '--' in argv:
    return submission(argv)
  overrides, rest = [], []
  for word in argv:
    if word.startswith('--config.'):
      field, equals, text = word.removeprefix('--config.').partition('=')
      if not equals:
        raise UserError(f'{word}: a config field is set with =, as in {word}=VALUE')
      overrides.append((field, text))
    else:
      rest.append(word)
  flags, unknown = parser().parse_known_args(rest)
  if unknown:
    name = unknown[0].partition('=')[0]
    fields = [f'--config.{field}' for field in ('steps', 'seed', 'batch_size', 'hyper.lr')]
    known = [f'--{name}' for name in vars(flags) if name != 'verb']
    close = nearest(name, known) or nearest(f'--config.{name[2:]}', fields)
    raise UserError(f'unknown flag {unknown[0]}{close}; see python launch.py {flags.verb} --help')
  if overrides and flags.verb != 'train':
    raise UserError(f'--config.{overrides[0][0]}: only train takes config fields')
  if flags.verb == 'submit':
    raise UserError(f'submit takes a command behind --, as in {SUBMIT}')
  if flags.verb != 'train' and flags.workdir is None:
    raise UserError(f'{flags.verb} needs --workdir=DIR, the folder of a trained run')
  if flags.data_dir and not flags.data_dir.is_dir():
    raise UserError(f'no folder --data_dir={flags.data_dir}')
  flags.data_dir = flags.data_dir and str(flags.data_dir)
  return flags, overrides


def submission(argv: list[str]) -> tuple[argparse.Namespace, list]:
  """Flags of `submit`, with `lines`: the commands behind each --. Raises UserError for a mistake
  in one of them too: it would come to light in the job."""
  lines = [[]]
  for word in argv:
    if word == '--':
      lines.append([])
    else:
      lines[-1].append(word)
  words, *lines = lines
  flags, unknown = parser().parse_known_args(words)
  if unknown:
    raise UserError(f'unknown flag {unknown[0]}; see python launch.py submit --help')
  folders = []
  for line in lines:
    inner, overrides = parse(line or ['submit'])
    if inner.verb == 'submit':
      raise UserError(f'submit takes another command behind --, as in {SUBMIT}')
    if inner.verb == 'train':
      folders.append(asked(inner, overrides)[1])
  twice = [folder for folder in folders if folders.count(folder) > 1]
  if twice:
    raise UserError(f'two of the commands train in {twice[0]}: give each its own --workdir')
  flags.lines = lines
  return flags, []


def submit(flags) -> int:
  """The verb `submit`."""
  from vaejax.engine import submit as jobs

  names = jobs.Settings._fields
  settings = jobs.Settings(**{name: getattr(flags, name) for name in names})
  for line, job in zip(flags.lines, jobs.submit(flags.lines, settings), strict=True):
    stop = f'kill {job.job_id}' if flags.cluster == 'local' else f'scancel {job.job_id}'
    print(f'job {job.job_id} ({flags.name}): python launch.py {" ".join(line)}')
    print(f'log:  {job.paths.stdout}\nstop: {stop}', flush=True)
  return 0


def prepare_jax() -> None:
  """The persistent compile cache, in the user's cache folder unless JAX is told of another."""
  import jax

  if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    folder = Path(home) / 'vaejax' / 'compiled'
    with contextlib.suppress(OSError):  # a home that cannot be written to costs time, no more
      folder.mkdir(parents=True, exist_ok=True)
      jax.config.update('jax_compilation_cache_dir', str(folder))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


def asked(flags, overrides):
  """The config and the workdir of `train`. Raises UserError."""
  from vaejax.engine.workdir import read_config

  folder = flags.workdir
  if flags.config is None and folder and (folder / 'config.json').exists():
    config = read_config(folder).config
    for field, text in overrides:
      configuration.override(config, field, text)
    configuration.check(config)
    return config, folder
  spec = 'configs/vae.py' if flags.config is None else flags.config
  config = configuration.load(spec, overrides)
  return config, folder or Path('runs') / Path(spec.partition(':')[0]).stem


def train(flags, overrides, group) -> int:
  """The verb `train`."""
  from vaejax.engine import judges
  from vaejax.engine.train import Stopped
  from vaejax.engine.train import train as run

  config, folder = asked(flags, overrides) if group.main else (None, Path())
  if group.size > 1:
    plain = group.share(lambda: configuration.plain(config))
    config = configuration.restore(plain)
  try:
    values = run(config, folder, flags.data_dir, sys.stderr, group=group)
  except Stopped as stopped:
    if group.main:
      print(stopped, file=sys.stderr)
    return 128 + stopped.number
  if not group.main:
    return 0
  print(summary(folder, config, values))
  if config.method == 'classifier':
    judges.keep(folder, say)
  return 0


def summary(folder: Path, config, values: dict[str, float]) -> str:
  """What a finished run shows: test values, where things are, what to try next."""
  from vaejax.engine import checkpoint

  listed = ', '.join(f'{name} {value:.4g}' for name, value in values.items())
  name, steps = config.checkpoint.best.lstrip('-'), checkpoint.steps(folder)
  best = checkpoint.best(folder, steps, config.checkpoint.best)
  if best and best != steps[-1:]:
    value = checkpoint.read_meta(folder, best[0])['metrics'][name]
    listed += f'\nbest:       {name} {value:.4g} at step {best[0]}, for --checkpoint=best'
  verb = 'sample' if 'latents' in config.model else 'evaluate'
  return '\n'.join(
    [
      f'test after {config.steps} steps: {listed}',
      f'pictures:   {folder / "images"} and {folder / "report.html"}',
      f'checkpoint: {folder / "checkpoints"}',
      f'next:       python launch.py {verb} --workdir={folder}',
    ]
  )


def sample(flags) -> int:
  """The verb `sample`."""
  from vaejax.engine.sample import sample as run

  names = 'n', 'seed', 'temperature', 'draw', 'weights', 'which', 'label', 'out', 'data_dir'
  names += 'given', 'futures', 'rollout'
  print(run(flags.workdir, **{name: getattr(flags, name) for name in names}, say=say))
  return 0


def evaluate(flags) -> int:
  """The verb `evaluate`."""
  from vaejax.engine.evaluate import evaluate as run

  names = [name for name in flags.evals.split(',') if name]
  if not names:
    raise UserError('--evals names nothing: it takes one or more, as in --evals=elbo,nll')
  settings = 'split', 'seed', 'samples', 'weights', 'which', 'judge', 'data_dir'
  values = run(flags.workdir, names, **{k: getattr(flags, k) for k in settings}, say=say)
  width = max(map(len, values))
  for name, value in values.items():
    print(f'{name:>{width}} {value:.4f}')
  print(f'recorded in {flags.workdir / "evaluation.json"}')
  return 0


def say(text: str) -> None:
  print(text, file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
  """Runs a command line and returns its exit status: 0; 1 for a run that failed, 2 for a mistake,
  128 + its number for a signal."""
  try:
    status = run(argv)
    sys.stdout.flush()
    return status
  except KeyboardInterrupt:
    return 130
  except BrokenPipeError:
    # Whoever read has gone; at its exit Python would write to them once more, and complain.
    for stream in (sys.stdout, sys.stderr):
      with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return 128 + 13


def run(argv: list[str]) -> int:
  """The same, with errors said in one line."""
  group = ALONE
  try:
    flags, overrides = parse(argv)
    if flags.verb == 'train':
      group = join(flags, overrides)
    prepare_jax()
    from vaejax.engine.checkpoint import quiet

    quiet()
    if flags.verb == 'train':
      status = train(flags, overrides, group)
    else:
      verbs = {'sample': sample, 'evaluate': evaluate, 'submit': submit}
      status = verbs[flags.verb](flags)
    group.close()
    return status
  except SystemExit as end:  # argparse has shown its help
    return end.code or 0
  except (UserError, RunError) as error:
    return fail(' '.join(str(error).splitlines()), 2 if isinstance(error, UserError) else 1, group)
  except OSError as error:
    if error.filename is None:
      group.lost(error)
      raise
    return fail(f'{error.filename}: {error.strerror}', 2, group)
  except Exception as error:
    group.lost(error)
    raise


def join(flags, overrides) -> Alone:
  """The processes that train together, of which this is one; mostly there is no other."""
  where = cluster.place(flags.coordinator, flags.processes, flags.process, os.environ)
  if where:
    native.hush()
  fields = [f'--config.{field}={text}' for field, text in overrides]
  named = {'--config': flags.config, '--workdir': flags.workdir and str(flags.workdir)}
  return cluster.join(where, [*(f'{k}={v}' for k, v in named.items() if v), *fields])


def fail(text: str, status: int, group: Alone) -> int:
  """Says what went wrong, to the other processes too."""
  group.fail(text, status)
  say(f'error: {text}')
  return status
