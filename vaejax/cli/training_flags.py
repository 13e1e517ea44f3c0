"""The flags of training: where it runs, and the axes of a sweep."""

import argparse

from vaejax.cli.flag_types import count, index, seed


def add_training_flags(verb: argparse.ArgumentParser) -> None:
  """Adds the flags that place a run on devices."""
  about = 'mesh of devices, for example sweep:4,data:2 (the largest that divides members and batch)'
  verb.add_argument('--mesh', metavar='AXES', help=about)
  verb.add_argument('--fsdp', action='store_true', help='shard large parameters over devices')


def add_process_flags(verb: argparse.ArgumentParser) -> None:
  """Adds the flags that name one of several processes."""
  verb.add_argument('--coordinator', metavar='HOST:PORT', help='address of process 0')
  verb.add_argument('--processes', metavar='N', type=count, help='number of processes')
  verb.add_argument('--process', metavar='I', type=index, help='index of this process')


def add_sweep_flags(verb: argparse.ArgumentParser) -> None:
  """Adds the axes of a sweep, and the flags that divide it."""
  add = verb.add_argument
  axes = {'dest': 'axes', 'metavar': 'FIELD=VALUES', 'action': 'append', 'default': []}
  about = 'an axis: seed=0:8, beta=1,4,16 or, with --random, lr=log:1e-4:1e-2'
  add('--grid', type=lambda text: ('grid', text), help=about, **axes)
  about = 'an axis that varies together with the other --zip'
  add('--zip', type=lambda text: ('zip', text), help=about, **axes)
  about = 'draws from log:LOW:HIGH and uniform:LOW:HIGH'
  add('--random', metavar='N', type=count, default=0, help=about)
  add('--random_seed', metavar='S', type=seed, default=0, help='seed of these draws (0)')
  about = 'members that train at once (as many as memory holds)'
  add('--slice', metavar='N', type=count, default=0, help=about)
  about = 'train only this group of members that share a compiled program'
  add('--group', metavar='K', type=index, help=about)
