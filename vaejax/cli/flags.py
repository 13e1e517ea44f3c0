"""What flags take, and the flags of the verb that has most of them."""

import argparse
import contextlib
import os
from pathlib import Path


def whole(low: int, high: int):
  """The type of a flag that takes a whole number."""

  def read(text: str) -> int:
    if not text.isdecimal() or not low <= int(text) <= high:
      raise argparse.ArgumentTypeError(f'{text!r}: it takes a whole number, {low} to {high:,}')
    return int(text)

  return read


count, number, seed = whole(1, 10**6), whole(0, 10**6), whole(0, 2**32 - 1)


def path(text: str) -> Path:
  """A path; ~ is the user's home, also where the shell leaves it alone."""
  return Path(os.path.expanduser(text))


def positive(text: str) -> float:
  """A finite number from 0 up."""
  with contextlib.suppress(ValueError):
    if 0 <= float(text) < float('inf'):
      return float(text)
  raise argparse.ArgumentTypeError(f'{text!r}: it takes a number from 0 up')


def several(verb: argparse.ArgumentParser) -> None:
  """Adds the flags that name a process among those of one program."""
  verb.add_argument('--coordinator', metavar='HOST:PORT', help='where process 0 of several is')
  verb.add_argument('--processes', metavar='N', type=count, help='how many there are')
  verb.add_argument('--process', metavar='I', type=whole(0, 10**6), help='which one this is')


def placing(verb: argparse.ArgumentParser) -> None:
  """Adds the flags of `submit`."""
  verb.add_argument('--cluster', choices=('slurm', 'local'), default='slurm', help='(slurm)')
  verb.add_argument('--nodes', type=whole(1, 10**4), default=1, help='a process on each (1)')
  verb.add_argument('--gpus', type=whole(0, 64), default=0, help='of each node (0)')
  verb.add_argument('--cpus', type=whole(0, 1024), default=0, help="of each node (the cluster's)")
  verb.add_argument(
    '--minutes', type=count, help='after which it saves and is put again (slurm: 60, local: never)'
  )
  verb.add_argument('--partition', metavar='NAME', help="of the cluster (the cluster's own choice)")
  verb.add_argument('--name', default='vaejax', help='of the job (vaejax)')
  verb.add_argument(
    '--folder', metavar='DIR', type=path, default=Path('runs/jobs'), help='of logs (runs/jobs)'
  )


def sampling(verb: argparse.ArgumentParser) -> None:
  """Adds the flags of `sample`."""
  verb.add_argument('--n', type=count, help='how many (64 images, or 16 videos)')
  verb.add_argument('--seed', type=seed, default=0)
  verb.add_argument('--temperature', type=positive, default=1.0, help='scale of the prior (1)')
  verb.add_argument('--draw', action='store_true', help='draw from p(x|z), not its mean')
  verb.add_argument('--label', type=number, help='the class, of a run that is conditional')
  verb.add_argument('--given', metavar='K', type=count, help='first frames, of test videos')
  verb.add_argument('--futures', type=count, help='how often each video is continued (1)')
  verb.add_argument('--rollout', action='store_true', help="by the prior's means, nothing drawn")
  verb.add_argument(
    '--out',
    metavar='FILE',
    type=path,
    help='FILE.png, FILE.npy or, of videos, FILE.gif (WORKDIR/samples.png)',
  )


def configured(verb: argparse.ArgumentParser) -> None:
  """Adds the flags of what takes a config."""
  verb.add_argument(
    '--config', metavar='FILE[:WORDS]', help='e.g. configs/vae.py:mnist; WORDS: dataset,smoke,k=v'
  )
  verb.add_argument(
    '--config.FIELD=VALUE',
    action='store_true',
    help='any field of the config, as in --config.hyper.beta=4 --config.seed=3; config.json in the '
    'workdir shows them all',
  )


def training(verb: argparse.ArgumentParser) -> None:
  """Adds the flags of what trains."""
  configured(verb)
  verb.add_argument(
    '--mesh', metavar='AXES', help='devices, as sweep:4,data:2 (as many as divide runs and batch)'
  )
  verb.add_argument('--fsdp', action='store_true', help='divide large parameters over devices')


def sweeping(verb: argparse.ArgumentParser) -> None:
  """Adds the flags of `sweep`."""
  for kind, about in (
    ('grid', 'an axis: seed=0:8, beta=1,4,16, or, with --random, lr=log:1e-4:1e-2'),
    ('zip', 'the same, paired with all other --zip'),
  ):
    verb.add_argument(
      f'--{kind}',
      dest='axes',
      metavar='FIELD=VALUES',
      action='append',
      type=lambda text, kind=kind: (kind, text),
      help=about,
    )
  verb.add_argument(
    '--random', metavar='N', type=count, default=0, help='draws from log:LOW:HIGH, uniform:LOW:HIGH'
  )
  verb.add_argument('--random_seed', metavar='S', type=seed, default=0, help='of those draws (0)')
  verb.add_argument(
    '--slice', metavar='N', type=count, default=0, help='members at once (what memory takes)'
  )
  verb.add_argument(
    '--group', metavar='K', type=number, help='train this one of the groups of a program each'
  )


def reading(verb: argparse.ArgumentParser, ending: str, most: str, name: str) -> None:
  """Adds the flags of `encode` and `reconstruct`."""
  verb.add_argument('--split', default='test', help='(test)')
  verb.add_argument('--n', type=count, help=f'the first so many rows ({most})')
  verb.add_argument('--out', metavar=f'FILE{ending}', type=path, help=f'(WORKDIR/{name}{ending})')
