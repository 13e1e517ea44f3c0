"""Classes that a judge sees in pictures on the host, in batches."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from vaejax.errors import UserError
from vaejax.evaluation import judges
from vaejax.evaluation.features import check_judge, judge_row, judge_rows
from vaejax.evaluation.judges import BATCH, Judge
from vaejax.types import Example

PROGRAMS: dict[str, Callable[..., list[jax.Array]]] = {}  # by the checksum of the judge


class Verdicts(NamedTuple):
  """The class that a judge predicts of each picture, int [N], and its probability, [N]."""

  predicted: np.ndarray
  confidence: np.ndarray


def find(
  path: str, data, example: Example, setting: str, target: str = 'label'
) -> tuple[Judge | None, str]:
  """The judge in a workdir, or for '' the cached one of the data, and why there is none.

  Args:
    setting: the one that names the judge.
    target: the field that it predicts.

  Raises UserError for a judge that was named and cannot be used.
  """
  try:
    judge = judges.find(path, data, target)
    check_judge(judge, example, setting)
  except UserError as error:
    if path:
      raise
    return None, str(error)
  return judge, ''


def verdicts(judge: Judge, images) -> Verdicts:
  """The judge's verdicts on pictures, float32 [N, H, W, C] in [0, 1]."""
  program, parts = programs(judge), []
  for first in range(0, len(images), BATCH):
    part = np.asarray(images[first : first + BATCH], np.float32)
    count = len(part)
    if len(images) > BATCH:  # one shape, so that it is compiled once
      part = np.pad(part, [(0, BATCH - count), *[(0, 0)] * 3])
    parts.append([np.asarray(x)[:count] for x in program(judge.variables, part)])
  return Verdicts(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def programs(judge: Judge) -> Callable[..., list[jax.Array]]:
  """The jitted (variables, pictures) -> the fields of Verdicts, made once for each judge."""
  if judge.checksum not in PROGRAMS:

    def program(variables, x):
      rows = judge_rows(judge._replace(variables=variables), x)
      return [rows[judge_row(judge, name)] for name in Verdicts._fields]

    PROGRAMS[judge.checksum] = jax.jit(program)
  return PROGRAMS[judge.checksum]


def describe(judge: Judge) -> dict:
  """What verdicts depend on, for a protocol."""
  return {
    'judged_by': judge.name,
    'judge_accuracy': judge.accuracy,
    'judge_checksum': judge.checksum[:16],
  }
