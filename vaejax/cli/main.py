"""Runs a command line. A mistake ends in one line and exit status 2."""

import contextlib
import os
import sys
import traceback
from pathlib import Path

from vaejax.cli import verbs
from vaejax.cli.parse import parse
from vaejax.distributed import cluster, native
from vaejax.distributed.group import ALONE, Alone
from vaejax.errors import RunError, UserError


def prepare_jax() -> None:
  """Turns on JAX's persistent compilation cache, in the user's cache folder unless it is set."""
  import jax

  if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    folder = Path(home) / 'vaejax' / 'compiled'
    with contextlib.suppress(OSError):  # without the cache it only takes longer
      folder.mkdir(parents=True, exist_ok=True)
      jax.config.update('jax_compilation_cache_dir', str(folder))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)


def main(argv: list[str]) -> int:
  """Runs a command line and returns its exit status.

  It is 0, 1 if the run failed, 2 for a mistake of the user, and 128 + its number for a signal.
  """
  try:
    status = run(argv)
    sys.stdout.flush()
    return status
  except KeyboardInterrupt:
    return 130
  except BrokenPipeError:
    # The reader is gone. Python would write to the pipe once more at exit, and complain.
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
  verbs.log(f'error: {text}')
  return status
