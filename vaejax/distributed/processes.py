"""Several processes as one program, by jax.distributed: join, share values, stop and end together.

Heartbeats, barriers, broadcasts and the step at which a signal ends a run are JAX's own. A process
that did not join is process 0 of 1, and nothing here costs it anything.
"""

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from vaejax.errors import RunError, UserError

JOIN_SECONDS = 60  # within which all processes must join
HEARTBEAT_SECONDS = 10  # without a heartbeat, after which JAX ends the other processes
NOTICE_SECONDS = 5  # of waiting, after which a line tells the user
BLOCK = 4096  # bytes; broadcasts come in multiples, because each size is compiled once
STOP_SIGNALS = signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2
# reached_preemption_sync_point picks the call after the latest one of any process, by this number.
CALLS = itertools.count(1)


class Place(NamedTuple):
  """A process of a program: HOST:PORT of process 0, the number of processes, the index of this one,
  and the local device that it uses; None: all."""

  coordinator: str
  count: int
  index: int
  device: int | None = None


def find_place(
  coordinator: str | None, processes: int | None, process: int | None, env: Mapping, log=print
) -> Place | None:
  """The place that the flags name, or else SLURM's variables; None for a single process. Raises
  UserError for flags that do not name a place."""
  flags = {'--coordinator': coordinator, '--processes': processes, '--process': process}
  if processes == 1:
    return None
  missing = [flag for flag, value in flags.items() if value is None]
  if len(missing) == 3:
    return slurm_place(env, log)
  if missing:
    raise UserError(
      f'{" and ".join(missing)} missing: several processes need --coordinator=HOST:PORT '
      '--processes=N --process=I, with the same HOST:PORT and N for all, and I from 0 to N-1'
    )
  match = re.fullmatch(r'(?:\[[^\[\]]+\]|[^:\[\]]+):([0-9]{1,5})', coordinator)
  if not match or not 0 < int(match[1]) < 2**16:
    raise UserError(f'--coordinator={coordinator} is not HOST:PORT. Use node1:1234 or [::1]:1234')
  if process >= processes:
    raise UserError(
      f'--process={process} is not one of --processes={processes}. Use 0 to {processes - 1}'
    )
  return Place(coordinator, processes, process)


def slurm_place(env: Mapping, log) -> Place | None:
  """The place of a task that `srun` started together with others, None for a single one."""
  tasks = int(env.get('SLURM_STEP_NUM_TASKS', 1))
  # In the shell of `srun --pty` there is one program, however many tasks the step has.
  if tasks == 1 or 'SLURM_PTY_PORT' in env:
    if (allocated := max(tasks, int(env.get('SLURM_NTASKS', 1)))) > 1:
      log(
        f'SLURM allocated {allocated} tasks, but srun did not start this program in each of them: '
        'it runs as one process. Start it with srun to use all tasks'
      )
    return None
  # The tasks of a node that see all of its GPUs take one each.
  shared = len(env.get('CUDA_VISIBLE_DEVICES', '').split(',')) > 1
  on_node = int(re.match('[0-9]+', env.get('SLURM_STEP_TASKS_PER_NODE', '1'))[0])
  device = int(env['SLURM_LOCALID']) if shared and on_node > 1 else None
  # Above the ports that systems hand out themselves, different for other jobs and steps of a node.
  port = 61440 + (int(env['SLURM_JOB_ID']) + 64 * int(env['SLURM_STEP_ID'])) % 4096
  coordinator = f'{first_host(env["SLURM_STEP_NODELIST"])}:{port}'
  return Place(coordinator, tasks, int(env['SLURM_PROCID']), device)


def first_host(nodes: str) -> str:
  """The first host of a SLURM node list: 'a003-x' of 'a[003-005,7]-x,b1'."""
  match = re.match(r'([^,\[]*)(?:\[([^\],-]*)[^\]]*\])?([^,\[]*)', nodes)
  return ''.join(part or '' for part in match.groups())


def join(place: Place, arguments: str) -> None:
  """Joins the other processes; must run before JAX is used. JAX aborts the process if they do
  not join in time. Raises UserError if the port is taken, or process 0 has other `arguments`."""
  import jax

  if place.index == 0:
    check_port(place.coordinator)
  coordinator, count, index, device = place
  waiting = (
    f'process {index} of {count} waits for the others at {coordinator}, up to {JOIN_SECONDS} s: '
    'start all of them together, each with its own --process\n'
  )
  notice = threading.Timer(NOTICE_SECONDS, sys.stderr.write, [waiting])
  notice.daemon = True
  notice.start()
  jax.distributed.initialize(
    coordinator,
    count,
    index,
    local_device_ids=device,
    cluster_detection_method='deactivate',
    initialization_timeout=JOIN_SECONDS,
    heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
  )
  notice.cancel()
  check_equal('arguments', f'--processes={count} {arguments}'.strip())


def check_port(coordinator: str) -> None:
  """Raises UserError if process 0 cannot listen at the coordinator's port. JAX would crash."""
  both, port = socket.has_dualstack_ipv6(), int(coordinator.rpartition(':')[2])
  family = socket.AF_INET6 if both else socket.AF_INET
  try:
    socket.create_server(('', port), family=family, dualstack_ipv6=both).close()
  except OSError as error:
    raise UserError(
      f'process 0 cannot listen at the port of {coordinator} ({error.strerror}). Choose another'
    ) from None


def count() -> int:
  """The number of processes of the program."""
  jax = sys.modules.get('jax')  # without it no process has joined, and importing it takes time
  return jax.process_count() if jax and jax.distributed.is_initialized() else 1


def is_main() -> bool:
  """Whether this is process 0, which alone writes files and prints."""
  return count() == 1 or sys.modules['jax'].process_index() == 0


def broadcast(make: Callable[[], Any]) -> Any:
  """Returns process 0's make(), in the types of JSON, on every process; or raises its UserError or
  RunError on every process."""
  if count() == 1:
    return make()
  import numpy as np
  from jax.experimental.multihost_utils import broadcast_one_to_all

  error, message = None, {}
  if is_main():
    try:
      message = {'value': make()}
    except (UserError, RunError) as raised:
      error, message = raised, {'error': [isinstance(raised, UserError), str(raised)]}
  text = json.dumps(message, default=lambda value: value.tolist()).encode()  # of NumPy
  size = int(broadcast_one_to_all(np.int32(len(text))))
  padded = np.zeros(-(-size // BLOCK) * BLOCK, np.uint8)
  padded[: len(text)] = np.frombuffer(text, np.uint8)
  message = json.loads(np.asarray(broadcast_one_to_all(padded)).tobytes()[:size])
  if 'error' in message:
    is_user_error, text = message['error']
    raise error or (UserError if is_user_error else RunError)(text)
  return message['value']


def on_main(make: Callable[[], Any]) -> Any:
  """Returns make() on process 0, and None on the others, which wait. Raises as `broadcast` does."""
  made = []
  broadcast(lambda: made.append(make()))
  return made[0] if made else None


def first(make: Callable[[], Any]) -> Any:
  """Returns each process's own make(). Process 0 comes first: the others use what it has cached."""
  made = on_main(make)
  return made if is_main() else make()


def check_equal(name: str, value: Any) -> None:
  """Raises UserError on a process whose value, of the types of JSON, is not process 0's."""
  text = json.dumps(value, default=str)
  if (expected := broadcast(lambda: text)) != text:
    index = sys.modules['jax'].process_index()
    raise UserError(
      f'process {index} ({socket.gethostname()}) has other {name} than process 0: {text}, not '
      f'{expected}. Give all processes the same'
    )


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
  """Catches STOP_SIGNALS, which end a run.

  Yields a function that returns the number of the signal, or 0. Every process must call it
  equally often, once a chunk. A signal to any of them is returned on all at the same call, as
  SIGTERM if there are several. Signals that are ignored (nohup), and those outside the main thread,
  stay as they are.
  """
  received, several = [], count() > 1

  def handle(number, frame):
    # JAX handles SIGTERM from `join` on, and informs the other processes.
    os.kill(os.getpid(), signal.SIGTERM) if several else received.append(number)

  def requested() -> int:
    if not several:
      return received[0] if received else 0
    from jax.experimental.multihost_utils import reached_preemption_sync_point

    return signal.SIGTERM if reached_preemption_sync_point(next(CALLS)) else 0

  in_main = threading.current_thread() is threading.main_thread()
  numbers = STOP_SIGNALS[several:] if in_main else ()
  before = {n: old for n in numbers if (old := signal.getsignal(n)) not in (None, signal.SIG_IGN)}
  for number in before:
    signal.signal(number, handle)
  try:
    yield requested
  finally:
    for number, old in before.items():
      signal.signal(number, old)


def is_lost_peer(error: BaseException) -> bool:
  """Whether an error says that a collective failed because another process has ended."""
  return count() > 1 and bool(re.search('Gloo|remote process exited', str(error)))


def leave(status: int) -> int:
  """Exits at once with an error, as one of several processes: in Python's own exit JAX would wait
  for the others. A single process gets the status back."""
  if count() == 1:
    return status
  if is_main():
    time.sleep(1)  # JAX aborts the others once process 0 is gone: let the same error end them
  with contextlib.suppress(OSError, ValueError):
    print(end='', flush=True)  # stderr is not buffered
  os._exit(status)


def close() -> None:
  """Waits until all processes have finished, and disconnects."""
  if count() > 1:
    sys.modules['jax'].distributed.shutdown()
