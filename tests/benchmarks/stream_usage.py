"""Processor time and memory of this process and of its children, from /proc."""

import contextlib
import os
from pathlib import Path

TICK = os.sysconf('SC_CLK_TCK')


def family() -> list[int]:
  """This process and its children."""
  pids = [os.getpid()]
  for task in Path('/proc/self/task').iterdir():
    with contextlib.suppress(FileNotFoundError):  # of a thread that has ended
      pids += map(int, (task / 'children').read_text().split())
  return pids


def processor_seconds() -> float:
  """Processor time of this process and its living children."""
  stats = (Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split() for pid in family())
  return sum(int(stat[11]) + int(stat[12]) for stat in stats) / TICK


def memory_mib() -> float:
  """Memory of this process and its children in MiB; what they share counts once (PSS)."""
  total = 0
  for pid in family():
    lines = Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()[1:]
    total += int(dict(line.split()[:2] for line in lines)['Pss:'])
  return total / 1024
