"""Runs that are killed, stopped, starved of disk or blown up, each a real process."""

import contextlib
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from running import HANGS, NEVER, ROOT, SMOKE, assert_same_run, reached, values, wait_for

from vaejax.cli.main import main
from vaejax.distributed.processes import STOP_SIGNALS

# Many short chunks and saves, so that a kill finds something to break.
STEPS = 60
LONG = (SMOKE, f'--config.steps={STEPS}', '--config.checkpoint.every=5')
# With a constant rate any number of steps is the start of a longer run.
CONSTANT = (SMOKE, '--config.schedule.lr=constant')
BEST_OFF = '--config.checkpoint.best='
ENDLESS = ('train', *CONSTANT, f'--config.steps={NEVER}')


# The first line of a run, its steps, and the progress of a test that takes long.
IS_PROGRESS = re.compile(r'digits: |^ *\d|: \d+ of \d+ examples, ')


def temporary(workdir):
  """What orbax is writing now."""
  return list((workdir / 'checkpoints').glob('*.orbax-checkpoint-tmp*'))


@pytest.fixture(scope='module')
def whole(launch, tmp_path_factory):
  """The run that nothing disturbs."""
  workdir = tmp_path_factory.mktemp('whole') / 'run'
  result = launch('train', *LONG, f'--workdir={workdir}')
  assert result.status == 0, result.err
  return workdir


def kill_in_save(process, workdir, delay, beyond):
  """Kills a run in a save, after a row of at least `beyond` steps: `delay` seconds after the save
  has begun, or as late as it takes no longer."""
  newest = lambda: max(reached(workdir), default=0)
  while True:
    wait_for(lambda: (newest() >= beyond and temporary(workdir)) or process.poll() is not None)
    time.sleep(delay)
    process.send_signal(signal.SIGSTOP)  # so that the save does not end while we look
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    if temporary(workdir) or process.poll() is not None:
      process.kill()
      return
    process.send_signal(signal.SIGCONT)
    delay /= 2


@pytest.mark.slow
def test_killed_at_twenty_moments(launch, tmp_path):
  chance, often = random.Random(0), '--config.checkpoint.every=5'
  workdir, died_at = tmp_path / 'run', [0]
  for number in range(20):
    process, before = launch.start(*ENDLESS, often, f'--workdir={workdir}'), reached(workdir)
    if number % 2:
      # Each goes on by some checkpoints, however slow the machine: else all die at the same one.
      beyond = max(died_at) + 5 * chance.randint(1, 10)
      kill_in_save(process, workdir, chance.uniform(0, 0.05), beyond)
    else:
      if number % 4:  # anywhere from the first step on; else from the very start
        wait_for(lambda p=process, b=before: reached(workdir) != b or p.poll() is not None)
      time.sleep(chance.uniform(0, 1.5 if number % 4 else 4))
      process.kill()
    result = launch.end(process)
    assert result.status == -signal.SIGKILL, result.err
    died_at.append(max(reached(workdir), default=0))
    assert not number % 2 or (temporary(workdir) and died_at[-1] >= beyond)
  steps, told = max(died_at) + 20, []
  for name in ('run', 'whole'):
    words = *CONSTANT, often, f'--config.steps={steps}', f'--workdir={tmp_path / name}'
    result = launch('train', *words)
    assert result.status == 0, result.err
    told.append('resuming at step' in result.err)
  assert told == [True, False] and not temporary(workdir)
  assert_same_run(tmp_path / 'whole', workdir, steps)


def stop(launch, command, workdir, number, when):
  """Starts a run, sends it a signal when(workdir) is true; gives the step at which it stopped."""
  process = launch.start(*command, f'--workdir={workdir}')
  wait_for(lambda: when(workdir) or process.poll() is not None)
  process.send_signal(number)
  result = launch.end(process)
  assert result.status == 128 + number and 'Traceback' not in result.err
  last = result.lines[-1]
  assert last.startswith(f'stopped by {number.name} at step ')
  step = int(last.split('at step ')[1].split(';')[0])
  assert values(workdir, step)['step'] == step > 0
  return step


@pytest.mark.slow
@pytest.mark.parametrize('number', [n for n in STOP_SIGNALS if n != signal.SIGTERM])
def test_every_signal_saves(launch, tmp_path, number):
  rare = f'--config.checkpoint.every={NEVER}'
  stop(launch, (*ENDLESS, rare, BEST_OFF), tmp_path / 'run', number, reached)


@pytest.mark.slow
@pytest.mark.parametrize('when', [reached, temporary])
def test_a_signal_saves_and_the_run_goes_on(launch, tmp_path, when):
  """Between two saves, or in one."""
  saves = f'--config.checkpoint.every={5 if when is temporary else NEVER}'
  step = stop(launch, (*ENDLESS, saves, BEST_OFF), tmp_path / 'run', signal.SIGTERM, when)
  more = ('train', *CONSTANT, saves, BEST_OFF, f'--config.steps={step + 20}')
  result = launch(*more, f'--workdir={tmp_path / "run"}')
  assert result.status == 0 and f'resuming at step {step} of {step + 20}' in result.err
  assert launch(*more, f'--workdir={tmp_path / "whole"}').status == 0
  assert_same_run(tmp_path / 'whole', tmp_path / 'run', step + 20)


WITH_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.slow
def test_a_closed_terminal_saves(tmp_path):
  """It sends SIGHUP, and nothing can be printed any more: the status is that of the signal."""
  master, slave = pty.openpty()
  rare = (f'--config.checkpoint.every={NEVER}', '--config.eval.every=0')
  command = [sys.executable, 'launch.py', *ENDLESS, *rare, f'--workdir={tmp_path}']
  process = subprocess.Popen(
    [sys.executable, '-c', WITH_TERMINAL, *command],
    cwd=ROOT,
    stdin=slave,
    stdout=slave,
    stderr=slave,
    start_new_session=True,
  )
  os.close(slave)
  os.set_blocking(master, False)

  def row_or_end():
    with contextlib.suppress(OSError):  # until there is something to read
      os.read(master, 4096)
    return reached(tmp_path) or process.poll() is not None

  wait_for(row_or_end)
  os.close(master)
  assert process.wait(HANGS) == 128 + signal.SIGHUP
  assert any(path.name.isdecimal() for path in (tmp_path / 'checkpoints').iterdir())


@pytest.mark.slow
@pytest.mark.parametrize('seconds', [0.5, 1.0, 2.0, 3.0, 4.0])
def test_a_signal_while_it_starts(launch, tmp_path, seconds):
  """From the first import on: it ends soon, by that signal or with its status."""
  process = launch.start(*ENDLESS, f'--workdir={tmp_path / "run"}')
  time.sleep(seconds)
  process.terminate()
  result = launch.end(process)
  assert result.status in (-signal.SIGTERM, 128 + signal.SIGTERM)
  assert 'Traceback' not in result.err


@pytest.mark.slow
@pytest.mark.parametrize('damage', ['truncated', 'zeroed', 'missing'])
def test_the_newest_checkpoint_damaged(launch, whole, tmp_path, damage):
  run = shutil.copytree(whole, tmp_path / 'run')
  for file in (run / 'checkpoints' / str(STEPS) / 'state').rglob('*'):
    if file.is_file():
      size = file.stat().st_size
      content = {'truncated': file.read_bytes()[: size // 2], 'zeroed': bytes(size)}.get(damage)
      file.unlink() if content is None else file.write_bytes(content)
  result = launch('train', *LONG, f'--workdir={run}')
  assert result.status == 0, result.err
  said = [line for line in result.lines if 'cannot be read' in line]
  assert len(said) == 1 and said[0].startswith(f'{run}/checkpoints/{STEPS} cannot be read (files')
  assert f'{run}: resuming at step {STEPS - 5} of {STEPS}' in result.lines
  # Nothing else is said: what is not one of these is the progress.
  assert not [line for line in result.lines[3:] if not IS_PROGRESS.search(line)]
  assert result.lines[0] == said[0] and 'Traceback' not in result.err
  assert_same_run(whole, run, STEPS)


@pytest.fixture
def small_disk(tmp_path):
  """small_disk(kilobytes) -> a folder on a disk of its own; again, to change its size."""
  folder = tmp_path / 'disk'
  folder.mkdir()
  mount = lambda option: subprocess.run(
    ['mount', '-t', 'tmpfs', '-o', option, 'tmpfs', str(folder)], capture_output=True, check=False
  )

  def small_disk(kilobytes):
    again = 'remount,' if folder.is_mount() else ''
    done = mount(f'{again}size={kilobytes}k')
    if done.returncode:
      pytest.skip(f'cannot mount a small disk here: {done.stderr.decode().strip()}')
    return folder

  yield small_disk
  if folder.is_mount():
    subprocess.run(['umount', str(folder)], check=True)


# From a disk that has no room for config.json to one that has, but for two checkpoints.
SIZES = [4, 40, 200, 300, 400, 480]


@pytest.mark.slow
@pytest.mark.parametrize('kilobytes', SIZES)
def test_a_full_disk(launch, whole, small_disk, kilobytes):
  """Wherever it strikes: one line, exit 1, and with more room the run goes on as if it had not."""
  run = small_disk(kilobytes) / 'run'
  full = launch('train', *LONG, f'--workdir={run}')
  assert full.status == 1, full.err
  assert 'the disk is full' in full.lines[-1] and full.lines[-1].startswith('error: ')
  assert 'Traceback' not in full.err and 'RESOURCE_EXHAUSTED' not in full.err
  assert not [line for line in full.lines[:-1] if not IS_PROGRESS.search(line)]
  kept = re.search(r'checkpoint (\d+) is kept', full.err)
  assert kept or kilobytes != SIZES[-1]
  small_disk(20_000)
  result = launch('train', *LONG, f'--workdir={run}')
  assert result.status == 0, result.err
  assert not kept or f'resuming at step {kept[1]} of {STEPS}' in result.err
  assert_same_run(whole, run, STEPS)


BLOWN_UP = {
  'within a chunk': (16, 'adam', 10, 'in steps 16 to '),
  'in its last step, seen by the test pass': (19, 'adam', 10, 'test elbo'),
  'in its last step, seen in the parameters': (19, 'sgd', 100, 'parameters of'),
}


@pytest.mark.parametrize(
  'case', [pytest.param(c, marks=[] if 'parameters' in c else pytest.mark.slow) for c in BLOWN_UP]
)
def test_not_a_number(project, capsys, tmp_path, case):
  step, optimizer, every, said = BLOWN_UP[case]
  status = main(
    [
      'train',
      SMOKE,
      '--config.steps=30',
      f'--config.eval.every={every}',
      '--config.hyper.lr=3e38',
      f'--config.optimizer.name={optimizer}',
      f'--config.schedule.lr=piecewise:0=0,{step}=1,{step + 1}=0',
      f'--workdir={tmp_path}',
    ]
  )
  last = capsys.readouterr().err.strip().splitlines()[-1]
  assert status == 1 and last.startswith('error: ') and said in last
  assert 'player vae' in last and 'lr=3e+38)' in last and 'checkpoint 10 is kept' in last
  assert [path.name for path in (tmp_path / 'checkpoints').iterdir()] == ['10']
  assert all(np.isfinite(v).all() for v in values(tmp_path, 10).values())


@pytest.mark.slow
def test_not_a_number_from_the_start(project, capsys, tmp_path):
  status = main(['train', SMOKE, '--config.hyper.lr=1e30', f'--workdir={tmp_path}'])
  last = capsys.readouterr().err.strip().splitlines()[-1]
  assert (
    status == 1 and 'in steps 1 to ' in last and 'lr=1e+30)' in last and 'no checkpoint yet' in last
  )
  assert not list((tmp_path / 'checkpoints').glob('*'))
