"""Evals that compare features of samples with those of the tested split by one number."""

from collections.abc import Callable, Mapping

import numpy as np

from vaejax.estimates import Estimate
from vaejax.eval_type import Eval
from vaejax.evaluation.enough import check_rows
from vaejax.evaluation.features import Features, pictures
from vaejax.types import Example

Statistic = Callable[[np.ndarray, np.ndarray], Estimate]  # of samples [N, F], of a reference [M, F]


def make(
  name: str,
  statistic: Statistic,
  features: Features,
  example: Example,
  protocol: Mapping | None = None,
) -> Eval:
  """An eval with two values: `name`, between samples and the tested split with equally many rows,
  and `name`_floor, with rows of the training split instead of samples.

  If both splits have one distribution, no sampler is expected to be below the floor. It has as many
  training rows as the split has, evenly spaced, because a distance falls with the number of rows.
  With fewer, in a smaller training split or without the rows of a left-out class, both sides have
  that number of rows, and a note says so.
  """

  def extract(variables, batch, key, hyper):
    return {}, features.rows(pictures(batch, example))

  def finish(sums, rows):
    check_rows(rows, 2)
    of = {stream: named[features.row] for stream, named in rows.items()}
    n = min(len(of['test']), len(of['train']))
    floor = statistic(evenly(of['train'], n), evenly(of['test'], n))
    floor = floor._replace(n=n)
    if n < len(of['test']):
      note = f'of {n:,} rows each, all the training rows that it was given'
      floor = floor._replace(note='; '.join(filter(None, (floor.note, note))))
    return {name: statistic(of['samples'], of['test']), f'{name}_floor': floor}

  return Eval(
    {'samples': extract, 'test': extract, 'train': extract},
    finish,
    lambda: [name, f'{name}_floor'],
    {
      **features.protocol,
      'reference': 'the tested split',
      'floor': 'as many rows of the training split, evenly spaced before a class is left out',
      'images': 'in [0, 1], not binarised; decoders give the means of p(x|z)',
      **(protocol or {}),
    },
    spaced=True,
  )


def evenly(rows: np.ndarray, n: int) -> np.ndarray:
  """n of the rows, evenly spaced, as in passes.spaced."""
  return rows[:: max(len(rows) // n, 1)][:n]
