"""Every figure that is open on an accelerator, in one call, the most valuable first.

  python tests/benchmarks/accelerator.py --minutes=9 --out=DIR

It needs a GPU and no data. DIR gets accelerator.json and accelerator.md, a table for RESULTS.md,
both written again after each figure. Parts are programs of their own, see PARTS; a part has its
share of the time that is left and is ended there, and one that fails leaves its traceback in the
JSON. On a CPU the same runs at small sizes: --minutes=2 tries it.
"""

import argparse
import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import NamedTuple

import table

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Part(NamedTuple):
  """A program beside this file that prints figures, see figures.py.

  Attributes:
    name: what it measures.
    share: of the time that is left, against the shares of the parts still to come.
    command: its file and flags.
  """

  name: str
  share: float
  command: tuple[str, ...]


PARTS = (
  Part('tests', 130, ('gpu_tests.py',)),
  Part('epochs', 60, ('epochs.py', '--sides=ours,eager,bfloat16')),
  Part('epochs, compiled', 80, ('epochs.py', '--sides=ours,compiled,cuda_graphs')),
  Part('seeds', 110, ('members.py',)),
  Part('conv', 40, ('members.py', '--net=conv', '--members=1', '--batches=128,1024')),
  Part('lowerings', 45, ('lowerings.py',)),
  Part('precision', 45, ('precision.py',)),
  Part('nll and sampling', 45, ('trained.py',)),
  Part('first step', 60, ('first_step.py',)),
)
LEAST = 5.0  # seconds under which no part is begun
ENOUGH = 20.0  # seconds that a part gets at the least: those to start and to compile
ENDING = 2.0  # seconds to end the last part and clear up
ABOUT = """
import importlib.metadata as m, json, platform, jax
def version(name):
  try: return m.version(name)
  except m.PackageNotFoundError: return None
names = 'jax', 'jaxlib', 'flax', 'optax', 'torch', 'jax-cuda13-plugin', 'jax-cuda12-plugin'
versions = {name: version(name) for name in names if version(name)}
devices = jax.devices()
print(json.dumps({
  'platform': devices[0].platform, 'device': devices[0].device_kind, 'devices': len(devices),
  'versions': {'python': platform.python_version(), **versions},
}))
"""


def environment(space: str) -> dict[str, str]:
  """What the parts run under: the package and this folder on the path, caches of their own, and no
  memory of the device taken that is not used, since some parts are several processes."""
  paths = [str(ROOT), str(HERE), os.environ.get('PYTHONPATH', '')]
  return os.environ | {
    'PYTHONPATH': os.pathsep.join(filter(None, paths)),
    'TMPDIR': space,
    'XDG_CACHE_HOME': f'{space}/cache',
    'JAX_COMPILATION_CACHE_DIR': f'{space}/compiled',
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    'XLA_PYTHON_CLIENT_PREALLOCATE': 'false',
  }


def run_part(command: list[str], seconds: float, take, space: str) -> dict:
  """Runs a program, gives take(figure) each that it prints, and ends it with all that it started
  after so many seconds. Returns its status, its seconds, and where it is not done the end of what
  it wrote besides.
  """
  start, late, others = time.monotonic(), threading.Event(), deque(maxlen=50)
  with tempfile.TemporaryFile('w+', dir=space) as errors:
    process = subprocess.Popen(
      command,
      cwd=ROOT,
      env=environment(space),
      stdout=subprocess.PIPE,
      stderr=errors,
      text=True,
      start_new_session=True,
    )

    def end():
      late.set()
      kill_group(process)

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
      for line in process.stdout:
        if line.startswith('{"name"'):
          take(json.loads(line))
        else:
          others.append(line)
      process.wait()
    finally:
      timer.cancel()
      kill_group(process)
    status = f'failed ({process.returncode})' if process.returncode else 'done'
    status = f'stopped after its {seconds:.0f} s' if late.is_set() else status
    took = {'status': status, 'seconds': round(time.monotonic() - start, 1)}
    if status == 'done':
      return took
    errors.seek(0)
    return took | {'stdout': ''.join(others), 'stderr': errors.read()[-4000:]}


def kill_group(process: subprocess.Popen) -> None:
  """Ends a process and those it started, if any still run."""
  with contextlib.suppress(ProcessLookupError):
    os.killpg(process.pid, signal.SIGKILL)


def run(parts, seconds: float, out: Path, about: dict, small: bool) -> dict:
  """Runs parts one after another within so many seconds, and returns what was written to `out`."""
  end = time.monotonic() + seconds
  result = {'about': about, 'parts': {}, 'figures': []}
  every = {'device': about['device'], 'date': about['date'], 'versions': about['versions']}

  def take(figure: dict) -> None:
    others = [f for f in result['figures'] if f['name'] != figure['name']]
    result['figures'] = [*others, figure | {'part': part.name} | every]
    table.write(out, result)
    print(table.line(figure), flush=True)

  with tempfile.TemporaryDirectory(prefix='accelerator-') as space:
    for number, part in enumerate(parts):
      left = end - time.monotonic()
      share = left * part.share / sum(other.share for other in parts[number:])
      share = min(left, max(share, ENOUGH))
      if share < LEAST:
        result['parts'][part.name] = {'status': 'left out: no time was left'}
      else:
        script, *flags = part.command
        command = [sys.executable, str(HERE / script), *flags, *(['--small'] if small else [])]
        result['parts'][part.name] = run_part(command, share, take, space)
      table.write(out, result)
      print(f'-- {part.name}: {result["parts"][part.name]["status"]}', flush=True)
  return result


def describe() -> dict:
  """The device that JAX uses and the versions, asked of a process of its own."""
  done = subprocess.run([sys.executable, '-c', ABOUT], capture_output=True, text=True, check=False)
  if done.returncode:
    sys.exit(f'JAX does not start here:\n{done.stderr[-2000:]}')
  about = json.loads(done.stdout.strip().splitlines()[-1])
  return about | {'date': datetime.date.today().isoformat()}


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--minutes', type=float, default=9.0)
  parser.add_argument('--out', type=Path, default=Path(os.environ.get('OUT', '.')))
  parser.add_argument('--parts', help='only these, as in "epochs;lowerings"')
  flags = parser.parse_args()
  start = time.monotonic()
  flags.out.mkdir(parents=True, exist_ok=True)
  about = describe() | {'minutes': flags.minutes}
  small = about['platform'] == 'cpu'
  chosen = [part for part in PARTS if not flags.parts or part.name in flags.parts.split(';')]
  print(f'{about["device"]}{", no accelerator: small sizes" if small else ""}', flush=True)
  left = 60 * flags.minutes - (time.monotonic() - start) - ENDING
  result = run(chosen, left, flags.out, about, small)
  print(f'{len(result["figures"])} figures in {flags.out / "accelerator.md"}')


if __name__ == '__main__':
  main()
