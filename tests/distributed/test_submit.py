"""Commands as jobs: what is asked of a cluster, and a real SLURM of two nodes on this machine."""

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from running import HANGS, NEVER, ROOT, SMOKE, free_port, reached, wait_for

from vaejax.cli.main import main
from vaejax.distributed import submit

ENDLESS = (SMOKE, f'--config.steps={NEVER}', '--config.schedule.lr=constant')
ENDLESS += (f'--config.checkpoint.every={NEVER}', '--config.checkpoint.best=')
ENDLESS += (f'--config.eval.every={NEVER}',)


submitit = pytest.mark.skipif(
  importlib.util.find_spec('submitit') is None, reason='submitit is not installed'
)


@pytest.mark.parametrize(
  'words, said',
  [
    ((), 'submit needs another command after --'),
    (('--',), 'submit needs another command after --'),
    (('--', 'submit'), 'submit needs another command after --'),
    (('--gpu=8', '--', 'train'), 'unknown flag --gpu=8'),
    (('--nodes=0', '--', 'train'), "argument --nodes: '0' is not a whole number from 1 to 10,000"),
    (('--', 'train', '--config=configs/vea.py'), "(did you mean 'configs/vae.py'?)"),
    (('--', 'train', SMOKE, '--config.stepz=3'), 'stepz'),
    (('--', 'sweep', SMOKE, '--grid', 'sed=0:2'), "did you mean 'seed'"),
    (('--', 'evaluate'), 'evaluate needs --workdir=DIR'),
    (('--', 'train', SMOKE, '--', 'train', SMOKE), 'two of the commands train in runs/vae'),
  ],
)
def test_mistakes_are_told_before_anything_is_submitted(project, capsys, words, said):
  assert main(['submit', *words]) == 2
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert line.startswith('error: ') and said in line


def test_what_is_not_installed(project, capsys, monkeypatch):
  monkeypatch.setitem(sys.modules, 'submitit', None)
  assert main(['submit', '--', 'train', SMOKE]) == 2
  assert "pip install -e '.[slurm]'" in capsys.readouterr().err


def test_the_groups_of_a_sweep_are_jobs_of_an_array(project, capsys, monkeypatch):
  asked, job = [], SimpleNamespace(job_id='1', paths=SimpleNamespace(stdout='log'))
  put = lambda lines, settings: asked.extend(lines) or [job] * len(lines)
  monkeypatch.setattr(submit, 'submit', put)
  sweep = ['sweep', SMOKE, '--grid', 'seed=0:2', '--grid', 'model.latents=2,3']
  assert main(['submit', '--', *sweep]) == 0
  assert asked == [[*sweep, '--group=0'], [*sweep, '--group=1']]
  asked.clear()
  main(['submit', '--', *sweep[:4], '--', *sweep, '--group=1', '--workdir=runs/other'])
  assert asked == [sweep[:4], [*sweep, '--group=1', '--workdir=runs/other']]


@submitit
def test_no_slurm_here(project, capsys, monkeypatch):
  monkeypatch.setenv('PATH', '/nowhere')
  assert main(['submit', '--', 'train', SMOKE]) == 2
  assert '--cluster=slurm: this machine has no sbatch' in capsys.readouterr().err


@submitit
def test_a_process_of_this_machine_has_gpus_of_its_own(monkeypatch, tmp_path):
  found = [submit.share_devices('0,1,2,3', rank, 2) for rank in range(2)]
  assert found == ['0,1', '2,3'] and submit.share_devices('', 1, 2) == ''
  settings = submit.Settings('local', nodes=2, gpus=2, folder=tmp_path)
  asked = submit.make_executor(settings)._executor.parameters
  assert (asked['gpus_per_node'], asked['tasks_per_node']) == (4, 2)


def jobs(launch, folder, *words, **environment):
  """Submits; [(number, log)] of what it says of each job."""
  result = launch('submit', f'--folder={folder}', *words, **environment)
  assert result.status == 0, result.err
  found = re.findall(r'job (\S+) \(.*\nlog:  (.*)\nstop: (?:scancel|kill) \1', result.out)
  return [(number, Path(log)) for number, log in found]


def said(log, text):
  """Waits for a text in a log, which it gives."""
  wait_for(lambda: log.exists() and text in log.read_text())
  return log.read_text()


@submitit
@pytest.mark.slow
def test_two_processes_of_this_machine(launch, tmp_path):
  command = ('--cluster=local', '--nodes=2', '--', 'train', SMOKE, f'--workdir={tmp_path / "run"}')
  ((_, log),) = jobs(launch, tmp_path / 'jobs', *command)
  assert '2 processes' in said(log, 'next:       python launch.py sample')


def one_machine(folder):
  """The configuration of a SLURM whose two nodes are both this machine: 'low' is preempted by
  'high'. Nobody is asked who he is."""
  host = socket.gethostname().partition('.')[0]
  ports = [free_port() for _ in range(3)]
  node = 'NodeName={} NodeHostname={} NodeAddr=127.0.0.1 Port={} CPUs=4 State=UNKNOWN'
  return f"""
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/%n.pid
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{node.format(host, host, ports[1])}
{node.format('localhost', host, ports[2])}
PartitionName=low Nodes={host},localhost Default=YES PriorityTier=1 GraceTime=60
PartitionName=high Nodes={host},localhost PriorityTier=10 PreemptMode=OFF
"""


@pytest.fixture(scope='module')
def slurm(tmp_path_factory):
  """The environment of a SLURM that runs on this machine as long as the tests do."""
  missing = [name for name in ('sbatch', 'slurmctld', 'slurmd') if not shutil.which(name)]
  missing += [] if importlib.util.find_spec('submitit') else ['submitit']
  if missing or os.getuid():
    why = f'{", ".join(missing)} is not installed (Debian: slurm-wlm)' if missing else 'not root'
    pytest.skip(f'a SLURM on this machine: {why}')
  folder = tmp_path_factory.mktemp('slurm')
  (folder / 'state').mkdir()
  (folder / 'slurm.conf').write_text(one_machine(folder))
  environment = {'SLURM_CONF': str(folder / 'slurm.conf')}
  host = socket.gethostname().partition('.')[0]
  daemons = []
  with open(folder / 'log', 'w') as log:
    for command in (
      ['slurmctld', '-D', '-c'],
      *(['slurmd', '-D', '-N', n] for n in (host, 'localhost')),
    ):
      out = {'stdout': log, 'stderr': subprocess.STDOUT}
      daemons.append(subprocess.Popen(command, env=os.environ | environment, **out))
  try:
    wait_for(lambda: ask(environment, 'sinfo', '-h', '-o', '%T %D') == 'idle 2')
    yield environment
    for job in ask(environment, 'squeue', '-h', '-o', '%A').split():
      ask(environment, 'scancel', '--signal=KILL', job)
      ask(environment, 'scancel', job)
    wait_for(lambda: not ask(environment, 'squeue', '-h'))
  finally:
    for daemon in reversed(daemons):
      daemon.terminate()
      daemon.wait(HANGS)


def ask(environment, *command):
  """What one of SLURM's commands says."""
  done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
  return done.stdout.strip()


@pytest.mark.slow
def test_preempted_it_goes_on_and_cancelled_it_ends(launch, slurm, tmp_path):
  """submit, train on two nodes, SIGTERM, checkpoint, requeue, resume."""
  run, environment = tmp_path / 'run', {**slurm, 'JAX_NUM_CPU_DEVICES': '2'}
  asked = ('--nodes=2', '--cpus=2', '--name=endless', '--', 'train', *ENDLESS, f'--workdir={run}')
  ((job, log),) = jobs(launch, tmp_path / 'jobs', *asked, **environment)
  assert ask(slurm, 'squeue', '-h', '-o', '%A %j %D') == f'{job} endless 2'
  wait_for(lambda: reached(run))
  stops = {
    # All processors of both nodes are wanted by what comes before it.
    'preempted': ('srun', '--partition=high', '--nodes=2', '--cpus-per-task=4', 'true'),
    # What it hears before its time limit.
    'out of time': ('scancel', '--signal=USR2', job),
  }
  for number, stop in enumerate(stops.values(), 1):
    ask(slurm, *stop)
    wait_for(lambda n=number: log.read_text().count('is requeued') == n)
    steps = re.findall(r'stopped by SIGTERM at step (\d+)', log.read_text())
    assert len(steps) == number
    # SLURM waits two minutes before it starts such a job again.
    wait_for(lambda: ask(slurm, 'squeue', '-h', '-o', '%T', '-j', job) == 'PENDING')
    ask(slurm, 'scontrol', 'update', f'jobid={job}', 'StartTime=now')
    said(log, f'{run}: resuming at step {steps[-1]} of {NEVER}')
    wait_for(lambda last=steps[-1]: max(reached(run)) > int(last))
  assert '4 device(s), 2 processes' in log.read_text()
  ask(slurm, 'scancel', job)
  wait_for(lambda: log.read_text().count('stopped by SIGTERM') == 3)
  wait_for(lambda: not ask(slurm, 'squeue', '-h', '-j', job))
  time.sleep(2)
  assert log.read_text().count('is requeued') == 2
  assert 'JobState=CANCELLED' in ask(slurm, 'scontrol', 'show', 'job', job)


@pytest.mark.slow
def test_several_commands_are_one_array(launch, slurm, tmp_path):
  lines = [
    word for i in (0, 1) for word in ('--', 'train', SMOKE, f'--workdir={tmp_path / str(i)}')
  ]
  found = jobs(launch, tmp_path / 'jobs', *lines, **slurm)
  (first, second), logs = zip(*found, strict=True)
  assert first.removesuffix('_0') == second.removesuffix('_1') != first
  for number, log in enumerate(logs):
    assert f'--workdir={tmp_path / str(number)}\n' in said(log, 'test after 20 steps')


@pytest.mark.slow
def test_srun_needs_no_flags(slurm, tmp_path):
  command = ['srun', '-n', '2', sys.executable, 'launch.py', 'train', SMOKE]
  done = subprocess.run(
    [*command, f'--workdir={tmp_path / "run"}'],
    cwd=ROOT,
    env=os.environ | slurm | {'JAX_NUM_CPU_DEVICES': '2'},
    capture_output=True,
    text=True,
    timeout=HANGS,
  )
  assert done.returncode == 0, done.stderr
  assert '4 device(s), 2 processes' in done.stderr and done.stdout.count('test after 20') == 1


# Of `srun --pty bash` the first task has the terminal; in the others the shell ends at once.
PTY = 'script -qec "srun -n 2 --pty bash -c \'[ \\$SLURM_PROCID = 1 ] || {}\'" /dev/null'


@pytest.mark.slow
@pytest.mark.parametrize('command', ['salloc -n 2 {}', PTY])
def test_a_shell_of_several_tasks_starts_one_process(slurm, tmp_path, command):
  launch = f'{sys.executable} launch.py train {SMOKE} --workdir={tmp_path / "run"}'
  done = subprocess.run(
    command.format(launch),
    shell=True,
    cwd=ROOT,
    env=os.environ | slurm,
    stdin=subprocess.DEVNULL,
    capture_output=True,
    text=True,
    timeout=HANGS,
  )
  shown = done.stdout + done.stderr
  assert done.returncode == 0, shown
  assert 'SLURM allocated 2 tasks' in shown and 'test after 20 steps' in shown
