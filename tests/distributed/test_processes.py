"""How processes join, share values and end; whole runs of several are in test_hosts.py."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest
from running import HANGS, free_port

from vaejax.distributed.processes import Place, find_place, first_host, stop_signals
from vaejax.errors import UserError

STEP = {
  'SLURM_STEP_NUM_TASKS': '4',
  'SLURM_NTASKS': '4',
  'SLURM_PROCID': '3',
  'SLURM_STEP_NODELIST': 'gpu[07-08]',
  'SLURM_JOB_ID': '5',
  'SLURM_STEP_ID': '0',
  'SLURM_LOCALID': '1',
  'SLURM_STEP_TASKS_PER_NODE': '2(x2)',
}


def test_flags_name_a_place():
  assert find_place('node1:1234', 8, 3, STEP) == Place('node1:1234', 8, 3)
  assert find_place('[::1]:1', 2, 0, {}) == Place('[::1]:1', 2, 0)
  assert find_place(None, None, None, {}) is None
  assert find_place(None, 1, None, STEP) is None  # a way out, where each task is a run of its own


@pytest.mark.parametrize(
  'flags, message',
  [
    (('a:1', None, None), '--processes and --process missing:'),
    ((None, 2, 1), '--coordinator missing:'),
    (('a:1', 2, 2), '--process=2 is not one of --processes=2. Use 0 to 1'),
    (('a', 2, 1), '--coordinator=a is not HOST:PORT'),
    (('a:99999', 2, 1), 'is not HOST:PORT'),
    (('::1', 2, 1), 'is not HOST:PORT. Use node1:1234 or [::1]:1234'),
    (('[::1', 2, 1), 'is not HOST:PORT'),
  ],
)
def test_flags_that_name_no_place(flags, message):
  with pytest.raises(UserError) as error:
    find_place(*flags, {})
  assert message in str(error.value)


def test_a_task_of_srun_has_a_place():
  place = lambda **env: find_place(None, None, None, STEP | env)
  assert place() == Place('gpu07:61445', 4, 3, None)
  # Two tasks on a node that see both of its GPUs take one each; one that sees its own has it.
  assert place(CUDA_VISIBLE_DEVICES='0,1').device == 1
  assert place(CUDA_VISIBLE_DEVICES='1').device is None
  assert place(CUDA_VISIBLE_DEVICES='0,1', SLURM_STEP_TASKS_PER_NODE='1(x4)').device is None
  assert place(SLURM_STEP_NUM_TASKS='1', SLURM_NTASKS='1') is None


@pytest.mark.parametrize(
  'env',
  [
    {key: value for key, value in STEP.items() if 'STEP' not in key},  # salloc, or a batch script
    STEP | {'SLURM_STEP_NUM_TASKS': '1'},  # salloc whose shell is a step
    STEP | {'SLURM_PTY_PORT': '1'},  # srun --pty bash
  ],
)
def test_a_shell_of_several_tasks_is_one_process_and_says_so(env):
  lines = []
  assert find_place(None, None, None, env, lines.append) is None
  (line,) = lines
  assert line.startswith('SLURM allocated 4 tasks') and 'as one process' in line


@pytest.mark.parametrize(
  'nodes, first',
  [
    ('a', 'a'),
    ('a,b', 'a'),
    ('n[003-005,7],b1', 'n003'),
    ('n[7,9]', 'n7'),
    ('x-[1-2]-y,z', 'x-1-y'),
    ('rack1-n[12]', 'rack1-n12'),
  ],
)
def test_the_first_of_a_list_of_hosts(nodes, first):
  assert first_host(nodes) == first


def test_a_single_process_imports_nothing():
  code = """
import sys
from vaejax.distributed import processes
assert processes.is_main() and processes.count() == 1
assert processes.broadcast(lambda: {1: 2}) == {1: 2} and processes.on_main(lambda: 3) == 3
assert processes.first(lambda: 4) == 4 and processes.leave(5) == 5
processes.close()
assert 'jax' not in sys.modules and 'numpy' not in sys.modules
"""
  subprocess.run([sys.executable, '-c', code], check=True, env=environment())


NAMES = ('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2')


@pytest.mark.parametrize('name', NAMES)
def test_a_signal_is_caught_and_handlers_are_put_back(name):
  number, old = signal.Signals[name], [signal.getsignal(signal.Signals[name]) for name in NAMES]
  with stop_signals() as stop_signal:
    assert stop_signal() == 0
    signal.raise_signal(number)
    assert stop_signal() == number == stop_signal()
  assert [signal.getsignal(signal.Signals[name]) for name in NAMES] == old


def test_an_ignored_signal_stays_ignored():
  old = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
  try:
    with stop_signals() as stop_signal:
      signal.raise_signal(signal.SIGHUP)
      assert stop_signal() == 0
  finally:
    signal.signal(signal.SIGHUP, old)


def test_outside_the_main_thread_signals_stay_as_they_are():
  old, seen = signal.getsignal(signal.SIGTERM), []

  def run():
    with stop_signals() as stop_signal:
      seen.append((stop_signal(), signal.getsignal(signal.SIGTERM)))

  thread = threading.Thread(target=run)
  thread.start()
  thread.join()
  assert seen == [(0, old)]


# What a process of the tests below does: joins, runs the code of the test, parts.
SCRIPT = """
import sys, traceback
from vaejax.distributed import processes
from vaejax.errors import RunError, UserError

processes.JOIN_SECONDS, processes.NOTICE_SECONDS = int(sys.argv[4]), 0.1
show = lambda *words: print('ours:', *words, flush=True)
status = 0
try:
  place = processes.find_place(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), {})
  index = place.index
  processes.join(place, {arguments})
  {code}
  processes.close()
except (UserError, RunError) as error:
  show(error)
  status = processes.leave(2)
except Exception as error:
  show('lost' if processes.is_lost_peer(error) else 'bug', type(error).__name__)
  status = processes.leave(1)
sys.exit(status)
"""


def environment():
  paths = {'PYTHONPATH': os.pathsep.join(path for path in sys.path if path)}
  return os.environ | paths | {'JAX_NUM_CPU_DEVICES': '2'}


def start(code, place, arguments='"same"', seconds=HANGS):
  """A process at (HOST:PORT, count, index)."""
  script = SCRIPT.replace('{code}', code.strip().replace('\n', '\n  '))
  words = [*map(str, place), str(seconds)]
  return subprocess.Popen(
    [sys.executable, '-c', script.replace('{arguments}', arguments), *words],
    env=environment(),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def end(process):
  """(its status, its lines of ours, what it wrote to stderr)."""
  out, error = process.communicate(timeout=HANGS)
  return process.returncode, re.findall('^ours: (.*)', out, re.MULTILINE), error


def run(code, count=2, host='127.0.0.1', **more):
  address = f'{host}:{free_port()}'
  started = [start(code, (address, count, index), **more) for index in range(count)]
  return [end(process) for process in started]


def test_they_share_values_in_order(tmp_path):
  code = f"""
import os, time
import numpy as np
show(processes.count(), processes.is_main())
value = dict(of=index, x=np.float32(0.5), long='é' * 9999)
show(processes.broadcast(lambda: value) == dict(of=0, x=0.5, long='é' * 9999))
show(processes.on_main(lambda: index), processes.broadcast(lambda: None))
path = {str(tmp_path / 'made')!r}
made = processes.first(lambda: (os.path.exists(path), time.sleep(0.5), open(path, 'a').close()))
show(made[0])
"""
  main, other = run(code)
  assert main[:2] == (0, ['2 True', 'True', '0 None', 'False']), main[2]
  assert other[:2] == (0, ['2 False', 'True', 'None None', 'True']), other[2]


@pytest.mark.slow
@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason='no IPv6 here')
def test_they_join_by_ipv6():
  assert [status for status, _, _ in run('', host='[::1]')] == [0, 0]


def test_an_error_of_process_0_ends_all_in_the_same_line():
  code = """
def make():
  raise UserError('runs/m is in use')
processes.on_main(make)
"""
  assert [result[:2] for result in run(code)] == [(2, ['runs/m is in use'])] * 2


def test_other_arguments_are_named():
  main, other = run('processes.broadcast(lambda: 1)', arguments='f"--config={index}"')
  assert main[0] not in (0, 2)
  assert other[0] == 2
  assert 'other arguments than process 0: "--processes=2 --config=1", not "--pro' in other[1][0]


@pytest.mark.slow
@pytest.mark.parametrize('failing', [0, 1])
def test_an_error_of_one_ends_the_others(failing):
  code = f"""
if index == {failing}:
  raise KeyError('bug')
while True:
  processes.broadcast(lambda: 1)
"""
  results = run(code)
  assert results[failing][:2] == (1, ['bug KeyError'])
  status, lines, _ = results[1 - failing]
  # JAX aborts the others without process 0, unless the collective fails before.
  lost = status == 1 and lines[0].startswith('lost ')
  assert lost or (status == -signal.SIGABRT and not lines)


@pytest.mark.parametrize(
  'name', ['SIGHUP', *(pytest.param(n, marks=pytest.mark.slow) for n in NAMES if n != 'SIGHUP')]
)
def test_a_signal_to_one_stops_all_at_the_same_call(name):
  code = f"""
import itertools, os, signal, time
with processes.stop_signals() as stop_signal:
  for chunk in itertools.count():
    if status := stop_signal():
      break
    if chunk == 5 and index == 1:
      os.kill(os.getpid(), signal.{name})
    time.sleep(0.002 * (index + 1))
show(chunk)
show(int(status))
"""
  main, other = run(code)
  assert main[:2] == other[:2] and main[1][1] == '15' and main[0] == 15, main[2]


def test_a_port_that_is_taken():
  with socket.create_server(('', 0)) as server:
    port = server.getsockname()[1]
    status, (line,), _ = end(start('', (f'127.0.0.1:{port}', 2, 0)))
  assert status == 2 and f'cannot listen at the port of 127.0.0.1:{port} (' in line


@pytest.mark.slow
@pytest.mark.parametrize('index', [0, 1])
def test_one_that_waits_in_vain_says_for_whom(index):
  address = f'127.0.0.1:{free_port()}'
  status, lines, error = end(start('', (address, 2, index), seconds=4))
  assert status == -signal.SIGABRT and not lines
  assert f'process {index} of 2 waits for the others at {address}, up to 4 s' in error
