"""The command line: verbs and their flags. Mistakes end in one line and exit status 2."""

import argparse
import contextlib
import os
import sys
import traceback
from pathlib import Path

from vaejax.cli import verbs
from vaejax.cli.flags import (
  configured,
  number,
  path,
  placing,
  reading,
  sampling,
  seed,
  several,
  sweeping,
  training,
)
from vaejax.config.load import available_configs
from vaejax.distributed import cluster, native
from vaejax.distributed.group import ALONE, Alone
from vaejax.errors import RunError, UserError
from vaejax.lookup import nearest

VERBS = 'train', 'sweep', 'show', 'sample', 'evaluate', 'encode', 'reconstruct', 'submit'
EXAMPLES = """
examples:
  python launch.py
  python launch.py train --config=configs/vae.py:mnist --workdir=runs/m --data_dir=DIR
  python launch.py train --config=configs/beta_vae.py:shapes --workdir=runs/s --config.hyper.beta=4
  python launch.py sweep --config=configs/beta_vae.py:digits --grid seed=0:8 --grid beta=1,4,16
  python launch.py show --config=configs/vae.py:mnist --data_dir=DIR
  python launch.py sample --workdir=runs/m --n=64 --out=samples.png
  python launch.py sample --workdir=runs/rvae --n=8 --given=5 --futures=3 --out=futures.gif
  python launch.py evaluate --workdir=runs/m --evals=elbo,nll
  python launch.py encode --workdir=runs/m --split=test --out=latents.npz
  python launch.py reconstruct --workdir=runs/m --n=64 --out=reconstructions.png
  python launch.py submit --nodes=2 --gpus=8 -- sweep --config=configs/gan.py --grid seed=0:8
"""


SUBMIT = 'python launch.py submit --nodes=2 -- train --config=configs/vae.py'


class Parser(argparse.ArgumentParser):
  """argparse, with UserError where it would print a usage and exit."""

  def error(self, message):
    raise UserError(f'{message}; see python {self.prog} --help')


def parser() -> Parser:
  """The flags of every verb."""
  configs = ', '.join(available_configs()) or 'none here: run from the project folder'
  top = Parser(
    prog='launch.py',
    description='Train, sample from and evaluate latent-variable and adversarial image models.',
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  parsers = top.add_subparsers(dest='verb', metavar=' | '.join(VERBS), required=True)

  def verb(name, about):
    found = parsers.add_parser(name, help=about, description=about, allow_abbrev=False)
    found.add_argument('--workdir', metavar='DIR', type=path, help="the run's folder")
    found.add_argument('--data_dir', metavar='DIR', type=path, help='prepared TFDS datasets')
    found.add_argument('--traceback', action='store_true', help='show where a mistake was found')
    return found

  train = verb('train', 'Train, or go on with, the run of a config.')
  training(train)
  several(train)
  sweep = verb('sweep', 'Train many runs of a config as one program, or go on with them.')
  training(sweep)
  several(sweep)
  sweeping(sweep)
  show = verb('show', 'Print what a config makes: fields, players, nets. Nothing is trained.')
  configured(show)
  sample = verb('sample', 'Write samples of a trained run.')
  sampling(sample)
  evaluate = verb('evaluate', 'Compute test values of a trained run.')
  evaluate.add_argument(
    '--evals', metavar='NAMES', help="of vaejax/evals, or dotted, as elbo,nll (the config's)"
  )
  evaluate.add_argument('--split', default='test')
  evaluate.add_argument('--seed', type=seed, default=0)
  evaluate.add_argument(
    '--config.eval.NAME.FIELD=VALUE',
    action='store_true',
    help='a setting of an eval, as in --config.eval.nll.samples=50; each file says which it has',
  )
  encode = verb('encode', 'Write the latents of a split.')
  reading(encode, '.npz', 'all', 'latents')
  reconstruct = verb('reconstruct', 'Write a picture of a split above its reconstructions.')
  reading(reconstruct, '.png', '64 images, or 8 videos', 'reconstructions')
  for found in (sample, evaluate, encode, reconstruct):
    found.add_argument('--member', metavar='K', type=number, help='of a sweep, see members.csv')
    found.add_argument('--weights', choices=('ema', 'raw'), default='ema', help='average or not')
    found.add_argument(
      '--checkpoint', dest='which', default='latest', help='latest, best or a step (latest)'
    )
  about = 'Submit commands, each behind a --, as jobs that go on from where they were stopped.'
  placing(parsers.add_parser('submit', help=about, description=about, allow_abbrev=False))
  usages = ''.join(found.format_usage() for found in parsers.choices.values())
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
    known = {flag: f'--{flag}' for flag in vars(flags) if flag not in ('verb', 'axes', 'which')}
    known |= {'checkpoint': '--checkpoint'} if 'which' in flags else {}
    known |= {'grid': '--grid', 'zip': '--zip'} if 'axes' in flags else {}
    if flags.verb in ('train', 'sweep', 'show'):
      fields = 'steps', 'seed', 'batch_size', 'hyper.lr'
      known |= {field: f'--config.{field}' for field in fields} | {'lr': '--config.hyper.lr'}
    close = nearest(name.lstrip('-'), known, known)
    raise UserError(f'unknown flag {unknown[0]}{close}; see python launch.py {flags.verb} --help')
  configurable = flags.verb in ('train', 'sweep', 'show')
  other = [f for f, _ in overrides if flags.verb != 'evaluate' or not f.startswith('eval.')]
  if other and flags.verb == 'evaluate':
    raise UserError(
      f'--config.{other[0]}: evaluate takes settings of evals alone, --config.eval...'
    )
  if other and not configurable:
    raise UserError(f'--config.{other[0]}: {flags.verb} takes no config fields')
  if flags.verb == 'submit':
    raise UserError(f'submit takes a command behind --, as in {SUBMIT}')
  if not configurable and flags.workdir is None:
    raise UserError(f'{flags.verb} needs --workdir=DIR, the folder of a trained run')
  if flags.data_dir and not flags.data_dir.is_dir():
    raise UserError(f'no folder --data_dir={flags.data_dir}')
  flags.data_dir = flags.data_dir and str(flags.data_dir)
  return flags, overrides


def submission(argv: list[str]) -> tuple[argparse.Namespace, list]:
  """Flags of `submit`, with `lines`: the commands behind each --, a sweep's once for each of its
  groups. Raises UserError for a mistake in one of them too: it would come to light in the job."""
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
  folders, jobs = [], []
  for line in lines:
    inner, overrides = parse(line or ['submit'])
    if inner.verb == 'submit':
      raise UserError(f'submit takes another command behind --, as in {SUBMIT}')
    jobs.append(line)
    if flags.nodes > 1 and inner.verb not in ('train', 'sweep'):
      raise UserError(f'--nodes={flags.nodes}: {inner.verb} is of one process; leave it out')
    if inner.verb == 'train':
      folders.append(verbs.asked(inner, overrides)[1])
    if inner.verb == 'sweep':
      plan, folder = verbs.planned(inner, overrides)
      folders.append(folder)
      if inner.group is None and len(plan.groups) > 1:
        jobs[-1:] = [[*line, f'--group={number}'] for number in range(len(plan.groups))]
  places = [folder.absolute() for folder in folders]
  twice = [folder for folder in folders if places.count(folder.absolute()) > 1]
  if twice:
    raise UserError(f'two of the commands train in {twice[0]}: give each its own --workdir')
  flags.lines = jobs
  return flags, []


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
  if (here := os.getcwd()) not in sys.path:
    sys.path.append(here)  # modules of one's own; at the end, so that they hide nothing
  try:
    flags, overrides = parse(argv)
    if flags.verb in ('train', 'sweep'):
      group = join(flags, overrides)
    prepare_jax()
    grouped = (group,) if flags.verb in ('train', 'sweep') else ()
    status = getattr(verbs, flags.verb)(flags, overrides, *grouped)
    group.close()
    return status
  except SystemExit as end:  # argparse has shown its help
    return end.code or 0
  except (UserError, RunError) as error:
    if '--traceback' in argv:
      traceback.print_exc()
    return fail(' '.join(str(error).splitlines()), 2 if isinstance(error, UserError) else 1, group)
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
  fields += [f'--{kind} {text}' for kind, text in getattr(flags, 'axes', None) or ()]
  alike = 'mesh', 'fsdp', 'slice', 'random', 'random_seed', 'group'
  named |= {f'--{name}': getattr(flags, name, None) for name in alike}
  return cluster.join(where, [*(f'{k}={v}' for k, v in named.items() if v), *fields])


def fail(text: str, status: int, group: Alone) -> int:
  """Says what went wrong, to the other processes too."""
  group.fail(text, status)
  verbs.say(f'error: {text}')
  return status
