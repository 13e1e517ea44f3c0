"""Real processes of launch.py, and their runs compared bit for bit."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

ROOT = Path(__file__).parent.parent
SMOKE = '--config=configs/vae.py:digits,smoke'
# Steps and seconds that no test waits for: the end of an endless run, and of one that hangs.
NEVER = 10**7
HANGS = 600
reserved = []  # sockets, see free_port


class Result(NamedTuple):
  """How a command ended."""

  status: int
  out: str
  err: str

  @property
  def lines(self):
    """What it said on stderr."""
    return self.err.strip().splitlines()


@pytest.fixture(scope='session')
def launch():
  """launch(*words, **environment) -> Result of `python launch.py`; `launch.start` starts it."""
  started = []

  def start(*words, **environment):
    command, environment = [sys.executable, 'launch.py', *map(str, words)], os.environ | environment
    environment.pop('XLA_FLAGS', None)  # what is so set makes tests compile faster
    pipe = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
    started.append(subprocess.Popen(command, cwd=ROOT, env=environment, **pipe))
    return started[-1]

  def end(process, seconds=HANGS):
    out, err = process.communicate(timeout=seconds)
    return Result(process.returncode, out, err)

  launch = lambda *words, **environment: end(start(*words, **environment))
  launch.start, launch.end = start, end
  yield launch
  for process in started:
    process.kill()


@pytest.fixture(scope='session')
def finished(launch, tmp_path_factory):
  """A finished smoke run of 20 steps: its workdir, to be copied and not to be changed."""
  workdir = tmp_path_factory.mktemp('finished') / 'run'
  result = launch('train', SMOKE, f'--workdir={workdir}')
  assert result.status == 0, result.err
  return workdir


def free_port() -> int:
  """A port that the system gives to nobody else as long as the tests run. The program that is told
  to listen there may do so, because this socket only occupies the port."""
  taken = socket.socket()
  taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  taken.bind(('', 0))
  reserved.append(taken)
  return taken.getsockname()[1]


def wait_for(condition, seconds=HANGS):
  """Waits until condition() is true, looking every millisecond."""
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end, 'it never came'
    time.sleep(0.001)


def is_alive(pid: int) -> bool:
  """Whether a process still runs: a killed one may stay in the list until its parent looks."""
  try:
    state = Path(f'/proc/{pid}/stat').read_text()
  except (FileNotFoundError, ProcessLookupError):
    return False
  return state.rpartition(')')[2].split()[0] not in 'ZX'


def values(workdir, step):
  """{path: array} of a checkpoint, as orbax alone reads it."""
  folder = (Path(workdir) / 'checkpoints' / str(step) / 'state').absolute()
  with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
    tree = checkpointer.metadata(folder).item_metadata.tree
    plain = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
    tree = checkpointer.restore(folder, args=ocp.args.PyTreeRestore(restore_args=plain))
  found = jax.tree_util.tree_leaves_with_path(tree)
  return {jax.tree_util.keystr(p, simple=True, separator='.'): np.asarray(v) for p, v in found}


def rows(workdir):
  """metrics.jsonl, without what a clock decides."""
  lines = (Path(workdir) / 'metrics.jsonl').read_text().splitlines()
  drop = ('seconds', 'steps_per_s')
  return [{k: v for k, v in json.loads(line).items() if k not in drop} for line in lines]


def reached(workdir):
  """The steps of the rows of metrics.jsonl; one that is being written is none."""
  path = Path(workdir) / 'metrics.jsonl'
  written = path.read_text() if path.exists() else ''
  return [json.loads(line)['step'] for line in written.split('\n')[:-1]]


def assert_same_run(one, other, step):
  """Two runs have the same bits at a step, and the same rows."""
  a, b = values(one, step), values(other, step)
  assert a.keys() == b.keys() and len(a) > 10
  different = [k for k in a if a[k].dtype != b[k].dtype or a[k].tobytes() != b[k].tobytes()]
  assert not different
  assert rows(one) == rows(other)
