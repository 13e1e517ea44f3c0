"""The test after the last step: the whole test split, recorded with its protocol."""

import contextlib
import math
from collections.abc import Callable

import jax

from vaejax.core import passes, sharding, stack
from vaejax.core.step import scheduled
from vaejax.distributed import processes
from vaejax.estimates import Estimate
from vaejax.evaluation.evals import record
from vaejax.evaluation.evaluate import by_name, report_progress
from vaejax.reporting import report
from vaejax.runs import sweep_files
from vaejax.training.boundary import EVAL_SEED, BoundaryHandler
from vaejax.training.stopped import Stopped
from vaejax.types import State, averaged


def final_test(handler: BoundaryHandler, state: State) -> list[passes.Values]:
  """The values of the whole test split, for a run or for each member of a stack.

  Process 0 logs them, and writes evaluation.json and the report, or results.json for a stack.
  """
  setup, folder = handler.setup, handler.folder
  step, steps = stack.current_step(state), sharding.replicate(state.step)
  watched = None if handler.all_frozen else handler.test_values
  if setup.watched == 'validation' and watched is None:
    watched = evaluate(handler, 'validation', state, setup.watch_size)
  values = watched if watched and not setup.partial else evaluate(handler, 'test', state)
  if not handler.log:
    return values
  if setup.partial or handler.test_values is None:
    handler.row_step = step
    handler.write_row('test', [passes.flat(v) for v in values], final=True)
  protocol = lambda split: setup.protocol(split, step, state.ema is not None)
  if setup.members:
    rows, protocols = list(values), protocol('test')
    if best := setup.best.lstrip('-'):  # the value by which members are ordered
      of_best = next((e for e, of_eval in watched[0].items() if best in of_eval), '')
      protocols['validation'] = protocol('validation').get(of_best, {})
      name, none = f'validation/{best}', Estimate(math.nan)
      rows = [
        {**of_test, 'validation': {name: by_name(v).get(best, none)}}
        for of_test, v in zip(values, watched, strict=True)
      ]
    sweep_files.write_results(folder, setup.members, steps, rows, protocols)
    return values
  if setup.watched == 'validation':
    record(folder, watched[0], protocol('validation'))
  record(folder, values[0], protocol('test'))
  report.write_report(folder)
  return values


def evaluate(handler: BoundaryHandler, split: str, state: State, limit: int = 0):
  """The values of a split. It may take minutes, and logs its progress."""
  setup, log = handler.setup, handler.log
  hyper, key = scheduled(state, setup.schedules), jax.random.key(EVAL_SEED)
  show = report_progress(split, log.print) if log else None
  split_pass = setup.passes[split]
  with contextlib.ExitStack() as resources:
    if processes.count() > 1:
      # A single process just ends at a signal, as the state is saved. With several, JAX catches
      # SIGTERM.
      stop_signal = resources.enter_context(processes.stop_signals())
      show = stopping(show, stop_signal, stack.current_step(state))
    pending = split_pass.start(averaged(state), hyper, key, limit, show)
    return handler.finish_pass(split, pending)


def stopping(show, stop_signal: Callable[[], int], step: int) -> Callable[..., None]:
  """A function like `show` that waits for each batch, and raises Stopped on all processes at the
  same one."""

  def wait(output, done: int, total: int) -> None:
    jax.block_until_ready(output)
    if number := stop_signal():
      raise Stopped(number, step)
    if show:
      show(output, done, total)

  return wait
