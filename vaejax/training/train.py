"""The one training loop: the device runs chunk after chunk, the host handles the previous one."""

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vaejax.core import passes, sharding, stack
from vaejax.core.devices import ANY_LAYOUT, Layout
from vaejax.core.stack import Member
from vaejax.distributed import processes
from vaejax.errors import UserError
from vaejax.evaluation import judge_cache
from vaejax.reporting.lines import print_line
from vaejax.reporting.log import elapsed_seconds, open_log
from vaejax.runs import checkpoint, claim, init_from, restore, same_data, workdir
from vaejax.runs.resume import check_hyper, read_matching
from vaejax.training.boundary import BoundaryHandler, take_snapshot
from vaejax.training.chunk_length import ChunkLength
from vaejax.training.final import final_test
from vaejax.training.setup import Setup, set_up
from vaejax.training.stopped import Stopped
from vaejax.types import State


def train(
  config,
  folder: Path,
  data_dir: Any = None,
  stream=None,
  members: tuple[Member, ...] = (),
  layout: Layout = ANY_LAYOUT,
) -> list[passes.Values]:
  """Trains the run of a config in a workdir, or resumes it from its newest checkpoint.

  With `members` it trains a stack of runs, which differ from the config only in seed and
  hyper-parameters. Of several processes, process 0 alone reads and writes the workdir and prints;
  each may have its own `data_dir`. Progress goes to `stream`.

  Returns the values of the whole test split after the last step: of the run, or of each member.

  Raises:
    UserError: the config, the data or the workdir cannot be used; nothing was created.
    RunError: a loss is not finite, or the disk is full; the last good checkpoint is kept.
    Stopped: a signal ended it (see processes.stop_signals); a checkpoint was written.
  """
  log = lambda text: processes.is_main() and print_line(text, stream)
  workdir.check_name(folder)
  saved = processes.on_main(lambda: read_matching(config, folder, members))
  resumes, earlier = processes.broadcast(lambda: [bool(saved), saved and saved.data_dir])
  if resumes:
    same_data.check_place(config.data, data_dir or earlier)
  data_dir = data_dir or earlier or os.environ.get('TFDS_DATA_DIR')
  setup = processes.first(lambda: set_up(config, data_dir, members, layout))
  content = lambda split: {name: split[name] for name in ('rows', 'content')}
  processes.check_equal('data', {k: content(split) for k, split in setup.provenance.items()})
  processes.check_equal('evals', list(setup.evals))
  for line in setup.skipped_evals:
    log(line)

  def read_initial_nets():
    if saved and claim.is_claimed(folder):
      changes = setup.changes(saved.data)
      same_data.check_unchanged(folder, saved, changes, setup.source.example)
    if not checkpoint.steps(folder):
      return init_from.read(config, setup.method, setup.create, bool(members), log)

  taken = processes.on_main(read_initial_nets)

  def clear_after_mistake(kind, error, trace):
    if kind and issubclass(kind, UserError):
      claim.clear(folder)

  with contextlib.ExitStack() as resources:

    def lock():
      resources.enter_context(workdir.locked(folder))
      read_matching(config, folder, members)  # another run may have used the folder since
      claim.clear(folder)
      resources.push(clear_after_mistake)

    processes.on_main(lock)
    state = restore.restore(folder, setup.abstract_state, log)
    if state is None:
      state = init_from.first_state(setup.create, setup.state_sharding, setup.mesh, taken, members)
    else:
      check_hyper(config, folder, state, members)
    start, steps = stack.current_step(state), setup.cadence.steps
    if start > steps:
      raise UserError(
        f'{folder} is at step {start}, past steps={steps}. Use steps={start} or more, or another '
        'workdir'
      )
    several = f', {processes.count()} processes' if processes.count() > 1 else ''
    several += f', {len(members)} members' if members else ''
    for line in (f'{setup.about}; {setup.mesh.size} device(s){several}', *setup.notes):
      log(line)
    if members and not setup.source.resident:
      log('the data is streamed: all members see it in the order of the first one')
    if start:
      verb = 'finished' if start == steps else 'resuming'
      log(f'{folder}: {verb} at step {start} of {steps}')
    writers = None, None, 0.0
    if processes.is_main():
      restore.set_aside(folder, start)
      init = taken.about if taken else saved and saved.init
      about = setup.source.example, setup.provenance, data_dir, members, init
      workdir.write_config(folder, workdir.SavedRun(config, *about))
      seconds, images = elapsed_seconds(folder, start), setup.images_per_step
      writers = (
        resources.enter_context(
          open_log(folder, total=steps, images_per_step=images, step=start, stream=stream)
        ),
        resources.enter_context(checkpoint.manage(folder, setup.keep, setup.best)),
        seconds,
      )
    handler = BoundaryHandler(setup, folder, state, *writers)
    values = final_test(handler, run_steps(setup, state, handler))
  if config.keep_as_judge and processes.is_main() and not members:
    judge_cache.keep(folder, log)
  return values


def run_steps(setup: Setup, state: State, handler: BoundaryHandler) -> State:
  """Runs all steps from the state's own to the last one, or until the run stops early. Raises
  Stopped and RunError."""
  if handler.early is not None:  # it had stopped before
    return handler.early
  program, cadence = setup.program, setup.cadence
  step = start = stack.current_step(state)
  zeros, pending, chunks, stop = None, None, ChunkLength(), 0
  blocks = contextlib.closing(setup.source.buffers(step, cadence.steps))
  with processes.stop_signals() as stop_signal, blocks as buffers:
    for buffer, available in buffers:
      if zeros is None:
        zeros = program.put(program.chunk.zeros(state, buffer))
        unfinished = handler.resume(step, zeros)
        sums = program.put(unfinished) if unfinished else zeros
      end = step + available
      while step < end and not handler.is_over and not (stop := stop_signal()):
        boundary = cadence.next_boundary(step)
        length = min(end, boundary, step + chunks.next()) - step
        previous, began = (step, sums), time.monotonic()
        state, sums = program.run(state, sums, buffer, np.int32(length))
        step += length
        if chunks.warming_up:
          jax.block_until_ready(sums)
          chunks.record(length, time.monotonic() - began)
        # The device has its next steps, so the host may wait for the previous ones.
        if pending:
          handler.finish(pending)
        else:
          handler.poll(*previous)
        pending = None
        if step == boundary and handler.early is None:
          # Dispatched before the next chunk, which overwrites the state.
          pending, sums = handler.dispatch(step, sums, state), zeros
      if stop or handler.is_over:
        break
    stop = stop or stop_signal()  # a signal during the last chunk
    if pending:
      if stop:
        pending = pending._replace(snapshot=sharding.replicate(take_snapshot(state)))
      handler.finish(pending)
    elif handler.early is None and stop and step > start:
      handler.suspend(step, sums, state)
    if handler.early is not None:
      state, step = handler.early, stack.current_step(handler.early)
    if handler.all_frozen:  # so that the members can be inspected where they froze
      handler.save((sharding.replicate(state), True), step)
    processes.on_main(lambda: handler.checkpoints.wait())
  if stop and (step < cadence.steps or setup.members):  # a sweep has other stacks
    raise Stopped(stop, step)
  return state
