"""The command line: verbs and their flags. Mistakes end in one line and exit status 2."""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from vaejax import configuration
from vaejax.errors import RunError, UserError
from vaejax.lookup import nearest

VERBS = 'train', 'sample', 'evaluate'
EXAMPLES = """
examples:
  python launch.py
  python launch.py train --config=configs/vae.py:mnist --workdir=runs/m --data_dir=DIR
  python launch.py train --config=configs/beta_vae.py:shapes --workdir=runs/s --config.hyper.beta=4
  python launch.py sample --workdir=runs/m --n=64 --out=samples.png
  python launch.py evaluate --workdir=runs/m --evals=elbo,nll
"""


class Parser(argparse.ArgumentParser):
  """argparse, with UserError where it would print a usage and exit."""

  def error(self, message):
    raise UserError(f'{message}; see python {self.prog} --help')


def count(text: str) -> int:
  """A whole number from 1 up."""
  number = int(text)
  if number < 1:
    raise argparse.ArgumentTypeError(f'{text} is out of range: it takes 1 or more')
  return number


def seed(text: str) -> int:
  """A whole number of 32 bits."""
  number = int(text)
  if not 0 <= number < 2**32:
    raise argparse.ArgumentTypeError(f'{text} is out of range: it takes 0 to {2**32 - 1:,}')
  return number


def path(text: str) -> Path:
  """A path; ~ is the user's home, also where the shell leaves it alone."""
  return Path(os.path.expanduser(text))


def positive(text: str) -> float:
  """A finite number from 0 up."""
  number = float(text)
  if not 0 <= number < float('inf'):
    raise argparse.ArgumentTypeError(f'{text} is out of range: it takes 0 or more')
  return number


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
    '--config.FIELD',
    metavar='VALUE',
    help='any field of the config, as in --config.hyper.beta=4 --config.seed=3; config.json in the '
    'workdir shows them all',
  )
  sample = verb('sample', 'Write samples of a trained run.')
  sample.add_argument('--n', type=count, default=64, help='how many (64)')
  sample.add_argument('--seed', type=seed, default=0)
  sample.add_argument('--temperature', type=positive, default=1.0, help='scale of the prior (1)')
  sample.add_argument('--draw', action='store_true', help='draw from p(x|z), not its mean')
  sample.add_argument('--label', type=int, help='the class, of a run that is conditional')
  sample.add_argument(
    '--out', metavar='FILE', type=path, help='FILE.png or FILE.npy (WORKDIR/samples.png)'
  )
  evaluate = verb('evaluate', 'Compute test values of a trained run.')
  evaluate.add_argument('--evals', default='elbo', help='comma-separated: elbo, nll, judge (elbo)')
  evaluate.add_argument('--split', default='test')
  evaluate.add_argument('--seed', type=seed, default=0)
  evaluate.add_argument('--samples', type=count, help="importance samples of nll (the config's)")
  evaluate.add_argument('--judge', metavar='DIR', help='the run of a judge (the cached one)')
  for found in (sample, evaluate):
    found.add_argument('--weights', choices=('ema', 'raw'), default='ema', help='average or not')
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
    close = nearest(unknown[0].partition('=')[0], [f'--{name}' for name in vars(flags)])
    raise UserError(f'unknown flag {unknown[0]}{close}; see python launch.py {flags.verb} --help')
  if overrides and flags.verb != 'train':
    raise UserError(f'--config.{overrides[0][0]}: only train takes config fields')
  if flags.verb != 'train' and flags.workdir is None:
    raise UserError(f'{flags.verb} needs --workdir=DIR, the folder of a trained run')
  if flags.data_dir and not flags.data_dir.is_dir():
    raise UserError(f'no folder --data_dir={flags.data_dir}')
  flags.data_dir = flags.data_dir and str(flags.data_dir)
  return flags, overrides


def prepare_jax() -> None:
  """The persistent compile cache, in the user's cache folder unless JAX is told of another."""
  import jax

  if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    jax.config.update('jax_compilation_cache_dir', str(Path(home) / 'vaejax' / 'compiled'))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


def train(flags, overrides) -> int:
  """The verb `train`."""
  from vaejax.engine import judges
  from vaejax.engine.train import Stopped
  from vaejax.engine.train import train as run
  from vaejax.engine.workdir import read_config

  folder, data_dir = flags.workdir, flags.data_dir
  if flags.config is None and folder and (folder / 'config.json').exists():
    config = read_config(folder).config
    for field, text in overrides:
      configuration.override(config, field, text)
    configuration.check(config)
  else:
    spec = flags.config or 'configs/vae.py'
    config = configuration.load(spec, overrides)
    folder = folder or Path('runs') / Path(spec.partition(':')[0]).stem
  try:
    values = run(config, folder, data_dir, sys.stderr)
  except Stopped as stopped:
    print(stopped, file=sys.stderr)
    return 128 + stopped.number
  print(summary(folder, config, values))
  if config.method == 'classifier':
    judges.keep(folder, say)
  return 0


def summary(folder: Path, config, values: dict[str, float]) -> str:
  """What a finished run shows: test values, where things are, what to try next."""
  listed = ', '.join(f'{name} {value:.4g}' for name, value in values.items())
  verb = 'sample' if 'latents' in config.model else 'evaluate'
  return '\n'.join(
    [
      f'test after {config.steps} steps: {listed} (nats per example)',
      f'pictures:   {folder / "images"} and {folder / "report.html"}',
      f'checkpoint: {folder / "checkpoints"}',
      f'next:       python launch.py {verb} --workdir={folder}',
    ]
  )


def sample(flags) -> int:
  """The verb `sample`."""
  from vaejax.engine.sample import sample as run

  names = 'n', 'seed', 'temperature', 'draw', 'weights', 'label', 'out'
  print(run(flags.workdir, **{name: getattr(flags, name) for name in names}, say=say))
  return 0


def evaluate(flags) -> int:
  """The verb `evaluate`."""
  from vaejax.engine.evaluate import evaluate as run

  names = [name for name in flags.evals.split(',') if name]
  if not names:
    raise UserError('--evals names nothing: it takes one or more, as in --evals=elbo,nll')
  settings = 'split', 'seed', 'samples', 'weights', 'judge', 'data_dir'
  values = run(flags.workdir, names, **{k: getattr(flags, k) for k in settings}, say=say)
  for name, value in values.items():
    print(f'{name:>22} {value:.4f}')
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
  try:
    flags, overrides = parse(argv)
    prepare_jax()
    from vaejax.engine.checkpoint import quiet

    quiet()
    if flags.verb == 'train':
      return train(flags, overrides)
    return {'sample': sample, 'evaluate': evaluate}[flags.verb](flags)
  except SystemExit as end:  # argparse has shown its help
    return end.code or 0
  except (UserError, RunError) as error:
    say(f'error: {" ".join(str(error).splitlines())}')
    return 2 if isinstance(error, UserError) else 1
  except OSError as error:
    if error.filename is None:
      raise
    say(f'error: {error.filename}: {error.strerror}')
    return 2
