"""Several real processes as one program, on CPU devices of this machine."""

import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from running import (
  HANGS,
  NEVER,
  SMOKE,
  assert_same_run,
  free_port,
  reached,
  rows,
  values,
  wait_for,
)

pytestmark = pytest.mark.slow

# Adam's first steps are nearly sign(g), which a last bit can turn around.
SGD = ('--config.optimizer.name=sgd', '--config.hyper.lr=1e-4')
PLAIN = ('--config.optimizer.b1=None', '--config.optimizer.b2=None')
GAN = '--config=configs/gan.py:digits,smoke'
STREAM = '--config.data.mode=stream'
CONSTANT = (SMOKE, '--config.schedule.lr=constant')


def place(number, count, port):
  return f'--coordinator=127.0.0.1:{port}', f'--processes={count}', f'--process={number}'


def begin(launch, count, *words, devices=4, verb='train'):
  """Starts the processes of one program, which have so many devices together."""
  port, each = free_port(), {'JAX_NUM_CPU_DEVICES': str(devices // count)}
  return [launch.start(verb, *words, *place(i, count, port), **each) for i in range(count)]


def finish(launch, processes, status=0):
  """How they end: all alike; process 0 alone prints, but for what Gloo and JAX have to say, and
  for one that waits for a slow start."""
  results = [launch.end(process) for process in processes]
  assert [r.status for r in results] == [status] * len(results), [r.err for r in results]
  # Gloo's threads write at once: a line may begin in the middle of another, or be only the number
  # at its end.
  theirs = re.compile(
    r'\[Gloo\]|.*connected peer ranks|\d*$|[WIE][0-9]{4} |process \d of \d waits for the others'
  )
  lines = [line for r in results[1:] for line in (r.out + r.err).splitlines()]
  assert not [line for line in lines if not theirs.match(line)]
  return results[0]


def train(launch, count, *words, **more):
  return finish(launch, begin(launch, count, *words, **more))


@pytest.fixture(scope='module')
def single(launch, tmp_path_factory):
  """single(*words) -> the workdir of the run of one process with four devices."""
  made = {}

  def single(*words):
    if words not in made:
      made[words] = tmp_path_factory.mktemp('single') / 'run'
      result = launch('train', *words, f'--workdir={made[words]}', JAX_NUM_CPU_DEVICES='4')
      assert result.status == 0, result.err
    return made[words]

  return single


WHOLE = """
import sys

import jax
import numpy as np

from vaejax.core import sharding
from vaejax.core.devices import make_mesh
from vaejax.distributed import processes

processes.join(processes.find_place(sys.argv[1], 2, int(sys.argv[2]), {}), '')
mesh = make_mesh(members=4)
there = sharding.member_sharding(mesh, True)
found = {'a': np.arange(8.0).reshape(4, 2), 'b': np.arange(4, dtype=np.int8)}
split = lambda: jax.random.split(jax.random.key(0), 4)
tree = sharding.put_global(found, there) | {'key': jax.jit(split, out_shardings=there)()}
assert mesh.shape['sweep'] == 4 and not tree['a'].is_fully_addressable
# 'a' has 32 bytes, 'b' 4.
for sharding.MAX_GATHER_BYTES, hosts in ((0, 'ab'), (32, 'b'), (2**30, '')):
  whole = sharding.replicate(tree)
  assert all(isinstance(whole[name], np.ndarray) == (name in hosts) for name in found)
  assert all((np.asarray(whole[name]) == found[name]).all() for name in found)
  assert (jax.random.key_data(whole['key']) == jax.random.key_data(split())).all()
processes.close()
"""


def test_what_is_divided_is_whole_on_each_also_by_way_of_the_host():
  port, started = free_port(), []
  for number in ('0', '1'):
    words = [sys.executable, '-c', WHOLE, f'127.0.0.1:{port}', number]
    more = {'JAX_NUM_CPU_DEVICES': '2', 'PYTHONPATH': os.pathsep.join(sys.path)}
    started.append(subprocess.Popen(words, env=os.environ | more, stderr=subprocess.PIPE))
  for process in started:
    said = process.communicate(timeout=HANGS)[1]
    assert process.returncode == 0, said.decode()


def assert_close(one, other, step=20):
  """The same but for the order in which sums over devices are taken."""
  a, b = values(one, step), values(other, step)
  assert a.keys() == b.keys() and len(a) > 10
  for name in a:
    np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-5, err_msg=name)
  for x, y in zip(rows(one), rows(other), strict=True):
    assert x.keys() == y.keys()
    assert all(x[k] == y[k] or np.isclose(x[k], y[k], rtol=1e-3, atol=1e-4) for k in x)


def test_they_train_to_the_result_of_one(launch, single, tmp_path):
  words = GAN, *PLAIN, *SGD
  result = train(launch, 2, *words, f'--workdir={tmp_path / "run"}')
  assert '4 device(s), 2 processes' in result.err
  assert_close(single(*words), tmp_path / 'run')


def test_a_stream_is_the_resident_run(launch, single, tmp_path):
  words = (SMOKE, *SGD, '--config.data.seed=0')
  train(launch, 4, *words, STREAM, f'--workdir={tmp_path / "run"}')
  assert_close(single(*words), tmp_path / 'run')


def test_they_train_a_sweep_to_the_result_of_one(launch, tmp_path):
  """Each the members of its own devices, one of which is frozen; stopped, and taken up again."""
  words = (*CONSTANT, *SGD, '--grid', 'lr=1e-4,1e30', '--mesh=sweep:2,data:2')
  words += ('--config.eval.log_every=1', f'--config.eval.every={NEVER}')
  several, stack = f'--workdir={tmp_path / "several"}', ('stacks', '0')
  started = begin(launch, 2, *words, f'--config.steps={NEVER}', several, verb='sweep')
  own = tmp_path.joinpath('several', *stack)
  wait_for(lambda: reached(own) or started[0].poll() is not None)
  started[1].terminate()
  stopped = finish(launch, started, 143)
  assert '2 processes, 2 members' in stopped.err and 'member 1: seed=0, ' in stopped.err
  steps = 20 + int(re.search(r'stopped by SIGTERM at step (\d+)', stopped.err)[1])
  words += (f'--config.steps={steps}',)
  result = finish(launch, begin(launch, 2, *words, several, verb='sweep'))
  assert f'resuming at step {steps - 20} of {steps}' in result.err
  one = launch('sweep', *words, f'--workdir={tmp_path / "one"}', JAX_NUM_CPU_DEVICES='4')
  assert one.status == 0, one.err
  assert_close(tmp_path.joinpath('one', *stack), own, steps)
  tables = [
    (tmp_path / name / 'results.csv').read_text().splitlines() for name in ('one', 'several')
  ]
  assert [line.split(',')[:4] for line in tables[0]] == [line.split(',')[:4] for line in tables[1]]


@pytest.mark.parametrize('number, process', [(signal.SIGTERM, 1), (signal.SIGUSR1, 0)])
def test_a_signal_to_any_saves_and_the_run_goes_on(launch, tmp_path, number, process):
  """Resumed it has the bits of the run that was never stopped."""
  long = (*CONSTANT, f'--config.checkpoint.every={NEVER}', '--config.checkpoint.best=')
  started = begin(launch, 2, *long, f'--config.steps={NEVER}', f'--workdir={tmp_path / "run"}')
  wait_for(lambda: reached(tmp_path / 'run') or started[0].poll() is not None)
  started[process].send_signal(number)
  last = finish(launch, started, 143).lines[-1]
  step = int(last.removeprefix('stopped by SIGTERM at step ').split(';')[0])
  more = (*long, f'--config.steps={step + 20}')
  result = train(launch, 2, *more, f'--workdir={tmp_path / "run"}')
  assert f'resuming at step {step} of {step + 20}' in result.err
  train(launch, 2, *more, f'--workdir={tmp_path / "whole"}')
  assert_same_run(tmp_path / 'whole', tmp_path / 'run', step + 20)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_last_test_ends_all(launch, tmp_path, number):
  """Its values are computed when the same command runs again."""
  words = (SMOKE, f'--workdir={tmp_path / "run"}', '--config.eval.every=0')
  evals = ('--config.evals=elbo,nll', '--config.eval.batch_size=4')
  slow = (*words, *evals, '--config.eval.nll.samples=200000')
  started = begin(launch, 2, *slow)
  saved = tmp_path / 'run' / 'checkpoints' / '20'
  wait_for(lambda: saved.exists() or started[0].poll() is not None)
  time.sleep(5)
  started[1].send_signal(number)
  stopped = finish(launch, started, 143)
  assert stopped.lines[-1].startswith('stopped by SIGTERM at step 20'), stopped.err
  assert not (tmp_path / 'run' / 'evaluation.json').exists()
  finished = train(launch, 2, *words)
  assert 'finished at step 20 of 20' in finished.err and 'test after 20 steps' in finished.out


@pytest.mark.parametrize('killed, count', [(0, 2), (1, 4)])
def test_one_is_killed(launch, tmp_path, killed, count):
  """The others end soon, by a line of ours or by JAX's; the next launch goes on, as one process."""
  words = (*CONSTANT, '--config.checkpoint.every=5', f'--workdir={tmp_path}')
  started = begin(launch, count, *words, f'--config.steps={NEVER}')
  saved = lambda: [int(p.name) for p in tmp_path.glob('checkpoints/*') if p.name.isdecimal()]
  wait_for(lambda: saved() or started[0].poll() is not None)
  started[killed].kill()
  since = time.monotonic()
  for number, process in enumerate(started):
    result = launch.end(process)
    if number != killed:
      assert result.status in (1, -signal.SIGABRT) and 'Traceback' not in result.err
      ours = 'error: another process has ended, see its output.' in result.err
      assert ours or 'the JAX distributed service detected fatal errors' in result.err
  assert time.monotonic() - since < 90  # by itself JAX takes more than 100 s
  stands = max(saved())
  result = launch('train', *words, f'--config.steps={stands + 5}')
  assert result.status == 0 and f'resuming at step {stands}' in result.err, result.err
