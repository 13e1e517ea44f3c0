"""A command line as flags, config overrides and, for submit, the command lines of its jobs."""

import argparse
import re

from vaejax.cli import training
from vaejax.cli.flags import make_parser
from vaejax.config.tables import available_tables
from vaejax.errors import UserError
from vaejax.lookup import nearest

SUBMIT = 'python launch.py submit --nodes=2 -- train --config=configs/vae.py'
# What precedes the field in a verb's config overrides.
OVERRIDES = dict.fromkeys(('train', 'sweep', 'show'), '--config.') | {'evaluate': '--config.eval.'}
SHORT = 'lr', 'beta', 'seed', 'steps', 'batch_size', 'hyper.lr', 'hyper.beta'


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[tuple[str, str]]]:
  """Returns the flags, and the config's overrides as (field, text). Raises UserError.

  The default verb is train. For submit, flags.lines are the commands of the jobs.
  """
  if not argv or (argv[0].startswith('-') and argv[0] not in ('-h', '--help')):
    argv = ['train', *argv]
  words, *commands = split(argv) if argv[0] == 'submit' else [argv]
  top, parsers = make_parser(words[0] if words else '')
  flags, rest = top.parse_known_args(words)
  flags.argv = argv
  prefix, overrides = OVERRIDES.get(flags.verb), []
  for word in rest:
    if not prefix or not word.startswith(prefix):
      raise UserError(unknown(word, flags.verb, parsers[flags.verb].format_usage()))
    field, equals, text = word.removeprefix('--config.').partition('=')
    if not equals:
      raise UserError(f'{word} has no value. Use {word}=VALUE')
    overrides.append((field, text))
  if flags.verb == 'submit':
    flags.lines = expand(flags, commands)
  elif flags.verb == 'reproduce':
    if flags.table is None:
      raise UserError(
        f'reproduce needs --table=NAME. Choose one of {", ".join(available_tables())}'
      )
  elif flags.verb not in ('train', 'sweep', 'show', 'prepare', 'report') and flags.workdir is None:
    raise UserError(f'{flags.verb} needs --workdir=DIR, the folder of a trained run')
  return flags, overrides


def unknown(word: str, verb: str, usage: str) -> str:
  """Returns the message for a flag that a verb does not have, with the nearest flag."""
  if not word.startswith('-'):
    hint = f'. Put the command after --, for example {SUBMIT}' if verb == 'submit' else ''
    return f'unexpected word {word!r}{hint or f". See python launch.py {verb} --help"}'
  flags = {flag.lstrip('-'): flag for flag in re.findall(r'--\w+', usage)}
  if '--config.FIELD' in usage:
    flags |= {field: f'--config.{field}' for field in SHORT}
  close = nearest(word.partition('=')[0].lstrip('-'), flags, flags)
  return f'unknown flag {word}{close}. See python launch.py {verb} --help'


def split(argv: list[str]) -> list[list[str]]:
  """Returns the words before the first --, and those after each of them."""
  lines = [[]]
  for word in argv:
    if word == '--':
      lines.append([])
    else:
      lines[-1].append(word)
  return lines


def expand(flags: argparse.Namespace, commands: list[list[str]]) -> list[list[str]]:
  """Returns the commands of the jobs to submit: a sweep becomes a job for each of its groups.

  Raises UserError, also for mistakes in the commands, which would otherwise only show in the jobs.
  """
  lines, folders = [], []
  for command in commands or [[]]:
    if command[:1] in ([], ['submit']):
      raise UserError(f'submit needs another command after --, for example {SUBMIT}')
    inner, overrides = parse(command)
    groups = None
    if inner.verb == 'train':
      folders.append(training.resolve_run(inner, overrides)[1])
    elif inner.verb == 'sweep':
      plan, folder = training.plan_sweep(inner, overrides)
      folders.append(folder)
      groups = range(len(plan.groups)) if inner.group is None and len(plan.groups) > 1 else None
    elif flags.nodes > 1:
      raise UserError(f'{inner.verb} runs as one process. Leave out --nodes={flags.nodes}')
    lines += [[*command, f'--group={k}'] for k in groups] if groups else [command]
  absolute = [folder.absolute() for folder in folders]
  for folder in folders:
    if absolute.count(folder.absolute()) > 1:
      raise UserError(f'two of the commands train in {folder}. Give each its own --workdir')
  return lines
