"""How long an exported ONNX file takes, by onnxruntime on this machine's CPU."""

import contextlib
import os
import platform
import statistics
import time
from collections.abc import Mapping
from pathlib import Path

from vaejax.plural import counted

BATCHES = 1, 64
THREADS = 1, 2
ROUNDS = 5
SECONDS = 0.03  # of one file in a round


def machine() -> str:
  """The processor and the runtime in words."""
  import onnxruntime

  name = platform.processor() or platform.machine()
  with contextlib.suppress(OSError):
    lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    name = next((x.split(':')[1].strip() for x in lines if x.startswith('model name')), name)
  return f'{counted(os.cpu_count() or 1, "core")} of {name}, onnxruntime {onnxruntime.__version__}'


def session(path: Path, threads: int = 0, options: Mapping[str, str] = {}):
  """An onnxruntime session on the CPU. 0 threads: as many as there are cores."""
  import onnxruntime

  made = onnxruntime.SessionOptions()
  made.log_severity_level = 3
  made.intra_op_num_threads = threads
  for name, value in options.items():
    made.add_session_config_entry(name, value)
  return onnxruntime.InferenceSession(path, made, ['CPUExecutionProvider'])


def rounds(calls: Mapping, count: int = ROUNDS, seconds: float = SECONDS) -> dict[str, list[float]]:
  """{name: milliseconds of each round} of {name: function}. In a round all take turns, and the time
  of each is that of its fastest call: other programs on the machine slow down the rest."""
  times = {name: [] for name in calls}
  for call in calls.values():
    call()
  for _ in range(count):
    for name, call in calls.items():
      some, end = [], time.perf_counter() + seconds
      while not some or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        some.append(time.perf_counter() - start)
      times[name].append(1000 * min(some))
  return times


def measure(files: Mapping[str, tuple[Path, Mapping[str, str]]], inputs) -> dict[str, dict]:
  """{name: {'milliseconds': {'batch 1, 1 thread': …}}} of {name: (file, its options)} that take
  the same inputs.

  Args:
    inputs: n -> {name: array} with n rows.
  """
  found = {name: {} for name in files}
  for threads in THREADS:
    sessions = {name: session(path, threads, how) for name, (path, how) in files.items()}
    for batch in BATCHES:
      given = inputs(batch)
      calls = {name: lambda s=s, x=given: s.run(None, x) for name, s in sessions.items()}
      for name, times in rounds(calls).items():
        found[name][label(batch, threads)] = statistics.median(times)
  return {name: {'milliseconds': values} for name, values in found.items()}


def label(batch: int, threads: int) -> str:
  """The name of a measurement."""
  return f'batch {batch}, {threads} thread{"s" if threads > 1 else ""}'
