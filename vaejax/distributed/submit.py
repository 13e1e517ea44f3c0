"""Submits command lines as jobs of a cluster, by submitit. A job is one process on each node,
and resumes from its checkpoint when it is requeued."""

import contextlib
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vaejax.errors import UserError

NOTICE_SECONDS = 90  # before the time limit, for a run to save
LOCAL_REQUEUE = 144  # exit status with which a local job asks to be requeued


class Job:
  """A command line, as submitit pickles and calls it in every process of a job."""

  def __init__(self, line: Sequence[str], folder: str, port: int | None):
    self.line, self.folder, self.port = tuple(line), folder, port

  def __call__(self) -> int:
    """Runs the command as a child process, and passes signals on as SIGTERM, so that it saves.

    After preemption or the time limit the job is requeued.
    """
    import submitit

    job, signals = submitit.JobEnvironment(), []
    # submitit ignores SIGTERM, which is the only notice of preemption.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
      signal.signal(number, lambda number, frame: signals.append(number))
    command = [sys.executable, 'launch.py', *self.line]
    if self.port:
      command += [f'--coordinator=127.0.0.1:{self.port}', f'--processes={job.num_tasks}']
      command += [f'--process={job.global_rank}']
      visible = os.environ.get('CUDA_VISIBLE_DEVICES', '')
      os.environ['CUDA_VISIBLE_DEVICES'] = share_devices(visible, job.global_rank, job.num_tasks)
    print(f'{socket.gethostname()}: {shlex.join(command)}', flush=True)
    # SLURM sends its notice to every process of a job; this one passes it on.
    ignore = lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    child, terminated = subprocess.Popen(command, cwd=self.folder, preexec_fn=ignore), False
    while child.poll() is None:
      if signals and not terminated:
        child.terminate()
        terminated = True
      time.sleep(0.1)
    status = child.returncode
    if signals and status:  # not only 143: another process may have ended first
      requeue(job, signals)
    if status:
      sys.stdout.flush()
      os._exit(status if status > 0 else 128 - status)  # submitit would print a long traceback
    return 0


def share_devices(visible: str, rank: int, count: int) -> str:
  """The GPUs of one of `count` processes, in the form of CUDA_VISIBLE_DEVICES like `visible`."""
  listed = visible.split(',')
  share = len(listed) // count
  return ','.join(listed[share * rank :][:share])


def requeue(job, signals: list[int]) -> None:
  """Requeues the job of a process that was stopped, unless it was cancelled."""
  if 'SLURM_JOB_ID' not in os.environ:
    if signal.SIGUSR2 in signals:
      os._exit(LOCAL_REQUEUE)
    return
  number = os.environ['SLURM_JOB_ID']
  if job.global_rank:
    os._exit(0)  # process 0 requeues; an error status here might end it first
  shown = subprocess.run(['scontrol', 'show', 'job', number], capture_output=True, text=True)
  if 'JobState=RUNNING' in shown.stdout:
    print(f'job {number} is requeued', flush=True)
    subprocess.run(['scontrol', 'requeue', number], check=False)
    os._exit(0)


class Settings(NamedTuple):
  """Resources of a job; gpus and cpus are per node."""

  cluster: str = 'slurm'
  nodes: int = 1
  gpus: int = 0
  cpus: int = 0
  minutes: int | None = None
  partition: str | None = None
  name: str = 'vaejax'
  folder: Path = Path('runs/jobs')


def submit(lines: Sequence[Sequence[str]], settings: Settings) -> list:
  """Submits command lines (the words after `python launch.py`), several as one array of jobs.

  On SLURM each node runs one process. On this machine ('local') each node is a process. Returns
  submitit's jobs. Raises UserError.
  """
  executor = make_executor(settings)
  several = settings.cluster == 'local' and settings.nodes > 1
  jobs = [Job(line, os.getcwd(), free_port() if several else None) for line in lines]
  try:
    return executor.submit_array(jobs) if len(jobs) > 1 else [executor.submit(*jobs)]
  except Exception as error:  # submitit wraps sbatch's errors in its own
    reason = ' '.join(str(error).split())
    raise UserError(f'{settings.cluster} rejects the job: {reason[:400]}') from error


def make_executor(settings: Settings):
  """submitit's executor for the settings. Raises UserError."""
  # submitit would otherwise configure the logging of the whole process.
  os.environ.setdefault('SUBMITIT_LOG_LEVEL', 'NOCONFIG')
  try:
    import submitit
  except ImportError:
    raise UserError(
      "submit needs submitit, which is not installed. Run pip install -e '.[slurm]'"
    ) from None
  if settings.cluster == 'slurm' and not on_slurm():
    raise UserError(
      '--cluster=slurm: this machine has no sbatch and srun. Run it on a login node, or use '
      '--cluster=local'
    )
  local = settings.cluster == 'local'
  try:
    executor = submitit.AutoExecutor(settings.folder, cluster=settings.cluster)
  except OSError as error:
    raise UserError(f'--folder={settings.folder}: {error.strerror}') from None
  parameters = {
    'name': settings.name,
    # submitit requeues a local job at most five times.
    'timeout_min': settings.minutes or (60 * 24 * 365 if local else 60),
    'nodes': 1 if local else settings.nodes,
    'tasks_per_node': settings.nodes if local else 1,
    'stderr_to_stdout': True,
  }
  if settings.gpus:
    parameters['gpus_per_node'] = settings.gpus * (settings.nodes if local else 1)
  if settings.cpus:
    parameters['cpus_per_task'] = settings.cpus
  executor.update_parameters(**parameters)
  if not local:
    executor.update_parameters(
      slurm_signal_delay_s=NOTICE_SECONDS,
      slurm_additional_parameters={'requeue': True},
      **({'slurm_partition': settings.partition} if settings.partition else {}),
    )
  return executor


def on_slurm() -> bool:
  """Whether this machine can submit jobs to SLURM."""
  return all(shutil.which(name) for name in ('sbatch', 'srun', 'scontrol'))


def free_port() -> int:
  """A free port of this machine, above those that systems hand out themselves: until the job
  listens there, no connection is given it."""
  for port in random.sample(range(61440, 65536), 4096):
    with contextlib.suppress(OSError), socket.create_server(('', port)):
      return port
  raise UserError('this machine has no free port from 61440 to 65535')
