"""Evaluating a checkpoint of a run: its evals, each value with its error and its protocol."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax

from vaejax.config.fields import check
from vaejax.config.load import set_field
from vaejax.core import optim, sharding
from vaejax.core.devices import make_mesh
from vaejax.core.passes import Values, make_pass
from vaejax.core.step import scheduled
from vaejax.data import left_out, sources, splits
from vaejax.errors import RunError, UserError
from vaejax.estimates import Estimate
from vaejax.evaluation.evals import fit_split, make_evals, make_protocol, record
from vaejax.evaluation.streams import open_others
from vaejax.lookup import lookup
from vaejax.reporting import report
from vaejax.runs import trained, workdir
from vaejax.types import averaged


def evaluate(
  folder: Path,
  names: Iterable[str] = (),
  split: str = 'test',
  seed: int = 0,
  overrides: Iterable[tuple[str, str]] = (),
  weights: str = 'ema',
  which: str = 'latest',
  data_dir: Any = None,
  member: int | None = None,
  log: Callable[[str], None] = print,
  data: str | None = None,
  progress: bool = True,
) -> tuple[dict[str, Estimate], list[str], Exception | None]:
  """Evaluates a checkpoint of a run and records the values.

  Returns {name: estimate}, a line for each eval that does not fit, and the error that kept the
  values from being recorded, or None.

  Args:
    folder: the run's workdir.
    names: of evals; (): those of its config.
    split: of the run's dataset.
    seed: of random draws.
    overrides: settings of evals, for example ('eval.nll.samples', '50').
    weights: 'ema', the average if the run keeps one, or 'raw'.
    which: checkpoint: 'latest', 'best' or a step.
    data, data_dir: where the data is now, see trained.with_data; None: where it was.
    member: of a sweep, whose values are recorded in its own folder.
    log: gets lines on unreadable checkpoints, on data that has changed, and, with `progress`, on
      progress.

  Raises UserError.
  """
  for name in names:
    lookup('evals', name)  # a mistake shows before the run is read
  mesh = make_mesh()
  run = trained.open_run(folder, log, which, sharding.replicated(mesh), member)
  run = trained.with_data(run, data, data_dir)
  settings = names, split, seed, overrides, weights, log, progress
  (values,), protocol, skipped = evaluate_state(run, mesh, *settings)
  problem = write_values(run.folder, values, protocol(int(run.state.step)))
  return by_name(values), skipped, problem


def by_name(values: Values) -> dict[str, Estimate]:
  """{name: estimate} of all evals."""
  return {name: e for of_eval in values.values() for name, e in of_eval.items()}


def evaluate_state(
  run: trained.TrainedRun,
  mesh,
  names: Iterable[str],
  split: str,
  seed: int,
  overrides: Iterable[tuple[str, str]],
  weights: str,
  log: Callable[[str], None],
  progress: bool,
) -> tuple[list[Values], Callable[[int], dict[str, dict]], list[str]]:
  """The values of a run, or of each member of a stack, whose state is on a mesh.

  Returns them with protocol(step) -> {eval: its protocol}, and a line for each eval that does not
  fit. Raises UserError, also if none fits. For the arguments see `evaluate`.
  """
  config = run.config.copy_and_resolve_references()
  for field, text in overrides:
    set_field(config, field, text)
  check(config)
  put, train = sharding.MeshPlacement(mesh), None
  table, source = trained.open_split(run, split, put, log)
  split = splits.split_name(config.data, split, run.data_dir)  # as it is recorded
  # The data may have labels that it did not have in training.
  evals, skipped = make_evals(names or config.evals, config, run.method, source.example)
  labels = [sources.count_labels(config.data, table)] * 2
  if any('train' in e.extract for e in evals.values()):
    train_table, train = trained.open_split(run, 'train', put, log)
    labels[1] = sources.count_labels(config.data, train_table)
  evals, lines, notes = fit_split(evals, config, run.method, source.example, split, labels)
  for note in notes:
    log(note)
  evals, others, missing = open_others(evals, config.data, run.data_dir, source.example, put)
  skipped += lines + missing
  if not evals:
    raise UserError(*skipped)
  variables = averaged(run.state) if weights == 'ema' else run.state.variables
  hyper = scheduled(run.state, optim.schedules(config.schedule, config.steps))
  stacked = bool(run.members)
  leave_out = left_out.streams(split) if left_out.FIELD in config.hyper else ()
  size = config.eval.batch_size
  split_pass = make_pass(evals, run.method, source, size, mesh, stacked, train, leave_out, others)
  # `show` waits for each batch: many programs with collectives can block each other on CPUs.
  show = report_progress(', '.join(evals), log if progress else lambda text: None)
  pending = split_pass.start(variables, hyper, jax.random.key(seed), show=show)
  values, lines = split_pass.finish(pending)
  skipped += lines.values()
  if not any(map(by_name, values)):
    raise UserError(*skipped)
  protocol = make_protocol(config, evals, {split: workdir.provenance(table)}, seed)
  ema = weights == 'ema' and run.state.ema is not None
  return values, lambda step: protocol(split, step, ema), skipped


def write_values(folder: Path, values: Values, protocols: dict[str, dict]) -> Exception | None:
  """Records values in a run's folder. Returns the error instead of raising it: minutes of computing
  must not be lost because nothing can be written there."""
  try:
    folder.mkdir(parents=True, exist_ok=True)
    record(folder, values, protocols)
    if (folder / 'config.json').is_file():  # not a member of a sweep
      report.write_report(folder)
  except (OSError, UserError, RunError) as error:
    return error
  return None


def report_progress(name: str, log: Callable[[str], None]) -> Callable[..., None]:
  """A function (output, done, total) that waits for an output, and logs the progress of a pass
  every ten seconds. The time left is that of the current split."""
  began = last = before = time.monotonic()
  seen = 0

  def show(output, done: int, total: int) -> None:
    nonlocal began, last, before, seen
    jax.block_until_ready(output)
    now = time.monotonic()
    if done <= seen:  # the first batch of another split
      began = before
    seen, before = done, now
    if now - last > 10:
      last = now
      left = (now - began) * (total - done) / done
      log(f'{name}: {done} of {total} examples, {left:.0f} s left')

  return show
