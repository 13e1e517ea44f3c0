"""The flags of the verbs of tasks, which are their settings."""

import argparse
from pathlib import Path

from vaejax.cli.flag_types import count, integer_text, names, number, path, seed
from vaejax.lookup import lookup

METAVARS = {int: 'N', float: 'X', str: 'TEXT', tuple: 'LIST', Path: 'FILE'}


def add_task_flags(verb: argparse.ArgumentParser, name: str, settings: bool) -> None:
  """Adds the flags of all tasks, and with `settings` those of this task."""
  add = verb.add_argument
  about = 'pictures or folders of them, separated by commas (rows of the split)'
  add('--inputs', metavar='FILES', help=about)
  add('--split', help="a split of the run's data, or a slice (test)")
  add('--n', metavar='N', type=count, help='number of pictures, from the first on')
  add('--seed', metavar='S', type=seed, default=0, help='seed of the random draws (0)')
  add('--out', metavar='FILE', type=path, help=f'output (WORKDIR/tasks/{name}.png)')
  about = 'how pictures of several sizes get the size of the run'
  add('--fit', choices=('resize', 'pad', 'crop'), default='', help=about)
  task = lookup('tasks', name, 'run') if settings else None
  verb.set_defaults(settings=tuple(task.SETTINGS) if settings else ())
  for key, setting in task.SETTINGS.items() if settings else ():
    default = setting.default
    shown = ','.join(default) if isinstance(default, tuple) else default
    text = setting.about if default in (None, '', (), False) else f'{setting.about} ({shown})'
    kinds = {int: integer_text, float: number, tuple: names, Path: path}
    kind = {'action': 'store_true'}
    if setting.type is not bool:
      kind = {'type': kinds.get(setting.type, str), 'metavar': METAVARS[setting.type]}
      kind |= {'choices': setting.choices, 'metavar': None} if setting.choices else {}
    kind |= {'default': argparse.SUPPRESS, 'help': text.replace('%', '%%')}
    add(f'--{key}', **kind)
