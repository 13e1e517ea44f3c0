"""A figure: a measured value with its spread and what ran, printed as one JSON line.

accelerator.py reads these lines as a part prints them; run alone, a part prints them for people.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any


def report(name: str, values: float | Sequence[float], unit: str, what: str, **more: Any) -> None:
  """Prints a figure: the median of the repeats, and half their range as its error.

  `what` is what ran, in words. `more` may hold the seed, 0 by default. A name that comes again
  replaces the figure printed before.
  """
  values = list(values) if isinstance(values, Iterable) else [values]
  error = (max(values) - min(values)) / 2 if len(values) > 1 else None
  figure = {'name': name, 'value': statistics.median(values), 'error': error, 'unit': unit}
  figure |= {'repeats': len(values), 'what': what, 'seed': 0}
  print(json.dumps(figure | more), flush=True)


def left_open(name: str, reason: str) -> None:
  """Prints that a figure is open, and why."""
  print(json.dumps({'name': name, 'note': f'open: {reason}'}), flush=True)


def seconds(function: Callable[[], Any], repeats: int) -> list[float]:
  """Seconds of each of so many calls, after one that compiles. Waits for what a call returns."""
  import jax

  times = []
  for _ in range(repeats + 1):
    start = time.perf_counter()
    jax.block_until_ready(function())
    times.append(time.perf_counter() - start)
  return times[1:]


def rates(count: float, times: Iterable[float]) -> list[float]:
  """`count` a second, of each of the times."""
  return [count / time for time in times]


def parser(doc: str) -> argparse.ArgumentParser:
  """The flags of a part; --small is what a CPU manages in seconds."""
  made = argparse.ArgumentParser(description=doc.split('\n')[0])
  made.add_argument('--small', action='store_true', help='sizes for a CPU')
  return made
