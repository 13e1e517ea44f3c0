"""Runs a command line, and prints an error in one line."""

import contextlib
import errno
import gc
import os
import signal
import sys
import traceback
import warnings

from vaejax.cli import trained, training
from vaejax.cli.parse import parse
from vaejax.data.cache import cache_folder
from vaejax.distributed import processes
from vaejax.errors import RunError, UserError
from vaejax.reporting.lines import accept_any_text
from vaejax.reporting.lines import print_line as log


def main(argv: list[str]) -> int:
  """Runs a command line and returns its exit status.

  It is 0, 1 for a failed run, 2 for a mistake of the user, and 128 + its number for a signal.
  """
  accept_any_text(sys.stdout, sys.stderr)
  try:
    status = run(argv)
    sys.stdout.flush()
    return status
  except KeyboardInterrupt:
    return processes.leave(130)
  except OSError as error:
    if error.errno not in (errno.EPIPE, errno.EIO):
      raise
    # The reader or the terminal is gone. Python would write there once more at exit, and complain.
    for stream in (sys.stdout, sys.stderr):
      with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    number = signal.SIGPIPE if error.errno == errno.EPIPE else signal.SIGHUP
    return processes.leave(128 + number)


def run(argv: list[str]) -> int:
  """Runs a verb, prints an error in one line, and returns the exit status."""
  if (folder := os.getcwd()) not in sys.path:
    sys.path.append(folder)  # for the user's own modules; at the end, so that they hide nothing
  try:
    flags, overrides = parse(argv)
    if flags.verb in ('train', 'sweep'):
      join(flags, overrides)
    prepare_jax()
    verb = getattr(training, flags.verb, None) or getattr(trained, flags.verb, trained.task)
    status = verb(flags, overrides)
    processes.close()
    return status
  except SystemExit as end:  # argparse has printed its help
    return end.code or 0
  except (UserError, RunError) as error:
    if '--traceback' in argv:
      traceback.print_exc()
    for text in error.args:
      log(f'error: {" ".join(str(text).splitlines())}')
    return processes.leave(2 if isinstance(error, UserError) else 1)
  except Exception as error:
    if processes.count() == 1:
      raise
    if processes.is_lost_peer(error):
      reason = str(error).strip().partition('\n')[0]
      log(
        'error: another process has ended, see its output. Unless it reports a mistake, the same '
        f'commands resume from the last checkpoint ({reason})'
      )
    else:
      traceback.print_exc()
    return processes.leave(1)


def join(flags, overrides) -> None:
  """Joins the other processes of the program, if there are any."""
  given = flags.coordinator, flags.processes, flags.process
  place = processes.find_place(*given, os.environ, log)
  if not place:
    return
  shared = 'config', 'workdir', 'mesh', 'fsdp', 'slice', 'random', 'random_seed', 'group'
  values = {name: getattr(flags, name, None) for name in shared}
  words = [f'--{name}={value}' for name, value in values.items() if value]
  words += [f'--config.{field}={text}' for field, text in overrides]
  words += [f'--{kind} {text}' for kind, text in getattr(flags, 'axes', ())]
  processes.join(place, ' '.join(words))


def prepare_jax() -> None:
  """Turns on JAX's persistent compilation cache, in the user's cache folder unless it is set, and
  makes Python look for garbage less often."""
  import jax

  # Tracing builds millions of objects that stay. By Python's thresholds, a tenth of the time to the
  # first step would go into looking through them.
  gc.set_threshold(50_000, 20, 100)
  if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:
    folder = cache_folder('compiled')
    with contextlib.suppress(OSError):  # without the cache, compilation only takes longer
      folder.mkdir(parents=True, exist_ok=True)
      jax.config.update('jax_compilation_cache_dir', str(folder))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
  # A process that was killed, or writes at this moment, leaves a file that is not complete.
  warnings.filterwarnings('ignore', 'Error (reading|writing) persistent compilation cache')
