"""Command lines as jobs of a cluster, by submitit: each job is a process on every node, and goes on
from its checkpoint wherever it is put again."""

import os
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

# Seconds that a run has for its checkpoint before the time limit, and at most after a signal.
NOTICE = 90
LOCAL_AGAIN = 144  # of a local job: put it again


class Job:
  """A command line, as submitit pickles and calls it in every process of a job."""

  def __init__(self, line: Sequence[str], folder: str, port: int | None):
    self.line, self.folder, self.port = tuple(line), folder, port

  def __call__(self) -> int:
    """Runs the command as a child, to which signals are passed on as SIGTERM, so that it saves;
    where they came of preemption or of the time limit the job is put again."""
    import submitit

    where, got = submitit.JobEnvironment(), []
    # submitit ignores SIGTERM, which is all that a job hears of its preemption.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
      signal.signal(number, lambda number, frame: got.append(number))
    command = [sys.executable, 'launch.py', *self.line]
    if self.port:
      command += [f'--coordinator=127.0.0.1:{self.port}', f'--processes={where.num_tasks}']
      command += [f'--process={where.global_rank}']
      visible = os.environ.get('CUDA_VISIBLE_DEVICES', '')
      os.environ['CUDA_VISIBLE_DEVICES'] = own(visible, where.global_rank, where.num_tasks)
    print(f'{socket.gethostname()}: {shlex.join(command)}', flush=True)
    # SLURM sends its notice to every process of a job, and whoever does not know it dies of it.
    deaf = lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    child, passed = subprocess.Popen(command, cwd=self.folder, preexec_fn=deaf), False
    while child.poll() is None:
      if got and not passed:
        child.terminate()
        passed = True
      time.sleep(0.1)
    status = child.returncode
    if got and status:  # not 143 alone: another process may have ended first
      put_again(where, got)
    if status:
      sys.stdout.flush()
      os._exit(status if status > 0 else 128 - status)  # submitit would add a page of its own
    return 0


def own(visible: str, rank: int, count: int) -> str:
  """Of GPUs, as CUDA_VISIBLE_DEVICES lists them, those of one of so many processes."""
  listed = visible.split(',')
  each = len(listed) // count
  return ','.join(listed[each * rank :][:each])


def put_again(where, got: list[int]) -> None:
  """Requeues the job of a process that was stopped, unless somebody cancelled it."""
  if 'SLURM_JOB_ID' not in os.environ:
    if signal.SIGUSR2 in got:
      os._exit(LOCAL_AGAIN)
    return
  job = os.environ['SLURM_JOB_ID']
  if where.global_rank:
    os._exit(0)  # process 0 asks for it; an error here might end that one first
  shown = subprocess.run(['scontrol', 'show', 'job', job], capture_output=True, text=True)
  if 'JobState=RUNNING' in shown.stdout:
    print(f'job {job} is put again', flush=True)
    subprocess.run(['scontrol', 'requeue', job], check=False)
    os._exit(0)


class Settings(NamedTuple):
  """What a job asks of a cluster, per job, but for gpus and cpus: those of a node."""

  cluster: str = 'slurm'
  nodes: int = 1
  gpus: int = 0
  cpus: int = 0
  minutes: int | None = None
  partition: str | None = None
  name: str = 'vaejax'
  folder: Path = Path('runs/jobs')


def submit(lines: Sequence[Sequence[str]], settings: Settings) -> list:
  """Submits command lines (the words after `python launch.py`), several as one array.

  On SLURM every node has a process of its own. On this machine, `local`, the nodes are so many
  processes. Returns submitit's jobs. Raises UserError.
  """
  executor = make_executor(settings)
  several = settings.cluster == 'local' and settings.nodes > 1
  jobs = [Job(line, os.getcwd(), free_port() if several else None) for line in lines]
  try:
    return executor.submit_array(jobs) if len(jobs) > 1 else [executor.submit(*jobs)]
  except Exception as error:  # submitit's own of sbatch's
    said = ' '.join(str(error).split())
    raise UserError(f'{settings.cluster} does not take the job: {said[:400]}') from error


def make_executor(settings: Settings):
  """submitit's executor of these settings. Raises UserError."""
  # It would take the logging of all that is imported for itself.
  os.environ.setdefault('SUBMITIT_LOG_LEVEL', 'NOCONFIG')
  try:
    import submitit
  except ImportError:
    raise UserError(
      "submit needs submitit, which is not installed: pip install '.[slurm]'"
    ) from None
  if settings.cluster == 'slurm' and not on_slurm():
    raise UserError(
      '--cluster=slurm: there is no sbatch and srun on this machine: run it where jobs are '
      'submitted, or take --cluster=local'
    )
  local = settings.cluster == 'local'
  try:
    executor = submitit.AutoExecutor(settings.folder, cluster=settings.cluster)
  except OSError as error:
    raise UserError(f'--folder={settings.folder}: {error.strerror}') from None
  asked = {
    'name': settings.name,
    # submitit puts a local job again five times and no more.
    'timeout_min': settings.minutes or (60 * 24 * 365 if local else 60),
    'nodes': 1 if local else settings.nodes,
    'tasks_per_node': settings.nodes if local else 1,
    'stderr_to_stdout': True,
  }
  if settings.gpus:
    asked['gpus_per_node'] = settings.gpus * (settings.nodes if local else 1)
  if settings.cpus:
    asked['cpus_per_task'] = settings.cpus
  executor.update_parameters(**asked)
  if not local:
    more = {'requeue': True}
    executor.update_parameters(
      slurm_signal_delay_s=NOTICE,
      slurm_additional_parameters=more,
      **({'slurm_partition': settings.partition} if settings.partition else {}),
    )
  return executor


def on_slurm() -> bool:
  """Whether jobs can be submitted to SLURM from here."""
  return all(shutil.which(name) for name in ('sbatch', 'srun', 'scontrol'))


def free_port() -> int:
  """A port of this machine that nothing listens at."""
  with socket.create_server(('', 0)) as server:
    return server.getsockname()[1]
