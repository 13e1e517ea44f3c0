"""Versions of restored pictures."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from vaejax.errors import UserError
from vaejax.restoration.inferred import infer
from vaejax.restoration.problem import Problem
from vaejax.task_type import Pictures, Progress

AT_ONCE = 128  # rows of which a trained model draws versions at once


class Versions(NamedTuple):
  """Restored pictures, [N, V, H, W, C] in [0, 1], and what they depend on."""

  image: np.ndarray
  protocol: Mapping[str, Any]


def make(
  model: Any,
  how: str,
  problem: Problem,
  pictures: Pictures,
  settings: Mapping[str, Any],
  seed: int,
  progress: Progress,
) -> Versions:
  """Versions of the pictures of a problem.

  The first version of 'model' decodes the mean of p(z|source), and the others draws of it. Those of
  'optimise' are sorted by their posterior density. Those of 'gibbs' and 'importance' are draws.

  Args:
    how: see choose.
    pictures: the other fields of the same rows, and the training rows.
  """
  rows = {**pictures.fields, 'source': problem.source}
  for name in model.method.latent.conditions:
    if name not in rows:
      raise UserError(
        f'this run needs the {name} of every picture. Use rows of a split, or {name}=... in Python'
      )
  if how == 'model':
    made = by_model(model, rows, settings, seed, progress)
  else:
    made = Versions(*infer(model, how, problem, rows, pictures.train, settings, seed, progress))
  if not problem.kind.startswith('mask:'):
    return made
  seen, known = problem.seen[:, None], problem.source[:, None, ..., :-1]
  return made._replace(image=np.where(seen > 0, known, made.image))


def by_model(model, rows, settings, seed: int, progress: Progress) -> Versions:
  """Versions by a run that was trained for the task."""
  given, versions = model.conditions(rows), settings['versions']
  n, parts = len(rows['source']), []
  seeds = np.random.SeedSequence(seed).generate_state(-(-n // AT_ONCE))
  for first, part_seed in zip(range(0, n, AT_ONCE), seeds, strict=True):
    part = {name: x[first : first + AT_ONCE] for name, x in given.items()}
    count = len(part['source'])
    made = model.sample(count, temperature=0.0, **part)[:, None]
    if versions > 1:
      several = {name: np.repeat(x, versions - 1, axis=0) for name, x in part.items()}
      drawn = model.sample(count * (versions - 1), seed=int(part_seed), **several)
      made = np.concatenate([made, drawn.reshape(count, versions - 1, *drawn.shape[1:])], axis=1)
    parts.append(made)
    progress(min(first + AT_ONCE, n), n)
  return Versions(np.concatenate(parts), {'how': 'model', 'first_version': 'mean of p(z|source)'})
