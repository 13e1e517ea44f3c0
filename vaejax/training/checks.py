"""Checks that a run's data has the labels and classes that its method and its evals need."""

import math

from vaejax.config.fields import prunes
from vaejax.core.prune import step_at
from vaejax.core.stack import Member
from vaejax.data import left_out, sources
from vaejax.data.labels import Count, read, sample
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.evaluation.evals import fit_split, needs_labels
from vaejax.types import Method


def check_left_out(
  config, members: tuple[Member, ...], train: Table, method: Method
) -> list[float]:
  """The classes that are left out of training, by the run or by members; [] if none is. Raises
  UserError."""
  name = left_out.FIELD
  if name not in config.hyper:
    return []
  if config.schedule.get(name, 'constant') != 'constant':
    raise UserError(f'schedule.{name} must be constant: a run leaves out one class')
  if not train.classes:
    raise UserError(f'hyper.{name} needs classes, but {train.origin} has none')
  if method.centred:
    raise UserError(
      f'model.bias=data is the mean of all rows of {train.origin}, also of the class that '
      f'hyper.{name} leaves out. Set it to zero'
    )
  values = [member.hyper[name] for member in members] or [config.hyper[name]]
  left_out.check(values, read(train, math.inf), train.classes, train.origin)
  return values


def check_training_labels(config, method: Method, train: Table) -> Count | None:
  """Returns how many rows of the training split have a label, None if that is not counted. Raises
  UserError if the method cannot be trained on them."""
  labels = sources.count_labels(config.data, train)
  if labels or not method.conditional:
    check_labels(config, method, train.origin, labels)
  else:
    check_labels(config, method, f'a sample of {train.origin}', sample(train))
  return labels


def check_labels(config, method: Method, origin: str, count: Count | None) -> None:
  """Raises UserError if training needs labels that rows of the training split lack."""
  if count is None or not count.unlabelled:
    return
  if method.conditional:
    raise UserError(
      f'{count.unlabelled:,} of {count.rows:,} rows of {origin} have no label, but '
      'model.conditional=True needs one for each row. Label them, choose others with data.label, '
      'or set model.conditional=False. configs/m2.py learns from a few labels'
    )
  if needs_labels(config, method) and not count.labelled:
    raise UserError(
      f'{config.method} needs labels, but no row of {origin} has one. Label some of them, or '
      'choose another field with data.label'
    )


def fit_evals(config, method: Method, evals, example, tables, labels: Count | None) -> tuple:
  """{split: its evals} of the splits that are tested, a line for each eval that does not fit one,
  and notes, where `labels` are those of the training split."""
  # Reading labels may decode a split, so they are read only if they are needed.
  used = needs_labels(config, method) or any('train' in e.extract for e in evals.values())
  fitting, skipped, notes = {}, [], []
  for split in (split for split in tables if split != 'train'):
    counts = sources.count_labels(config.data, tables[split]) if used else None, labels
    fitting[split], *lines = fit_split(evals, config, method, example, split, counts)
    skipped, notes = skipped + lines[0], notes + lines[1]
  return fitting, skipped, notes


def pruning_notes(config) -> list[str]:
  """A line if the run may stop, or its best checkpoint be, before it is as sparse as it will be."""
  optimizer, best = config.optimizer, config.checkpoint.best
  step = step_at(optimizer.prune_end, config.steps) + 1
  if not best or not prunes(optimizer) or step == 1:
    return []
  what = 'the best checkpoint' + (' and an early end' if config.eval.patience else '')
  return [
    f'{what} may come before step {step:,}, from which the nets are as sparse as they will be'
  ]
