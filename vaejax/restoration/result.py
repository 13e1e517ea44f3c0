"""The result of a task that restores pictures: its picture, and its scores against baselines."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from vaejax.reporting import previews
from vaejax.restoration import scoring
from vaejax.restoration.problem import Problem
from vaejax.restoration.scoring import Reference
from vaejax.restoration.versions import Versions
from vaejax.task_type import Pictures, Progress, Result

COLUMNS, SHOWN = 8, 4  # of the picture: pictures, and versions of each
NONE = MappingProxyType({})


def make(
  model: Any,
  problem: Problem,
  made: Versions,
  pictures: Pictures,
  given: np.ndarray,
  baselines: Mapping[str, np.ndarray],
  progress: Progress,
  subsets: Mapping[str, np.ndarray] = NONE,
  protocol: Mapping[str, Any] = NONE,
) -> Result:
  """The result of restored pictures; with scores if the pictures are held out.

  Args:
    given: what a viewer is shown as the input, [N, H, W, C] in [0, 1].
    baselines: {name: [N, H, W, C] or [N, K, H, W, C]}, only for rows of a split.
    subsets: see scoring.scores.
    protocol: what else the scores depend on.
  """
  n = len(made.image)
  columns = np.unique(np.linspace(0, n - 1, min(n, COLUMNS)).astype(int))
  show = lambda x: previews.as_shown(np.clip(x[columns], 0, 1), model.example)
  count = made.image.shape[1]
  versions = [
    (f'version {k + 1}' if count > 1 else 'restored', show(made.image[:, k]))
    for k in range(min(count, SHOWN))
  ]
  rows, scores = [('input', show(given)), *versions], {}
  protocol = {'source': problem.kind, 'versions': count, **made.protocol, **protocol}
  if pictures.split:
    rows.append(('truth', show(pictures.image)))
    first = lambda x: x[:, 0] if x.ndim == 5 else x
    others = {name: show(first(x)) for name, x in baselines.items()}
    same = [name for name, x in others.items() if np.array_equal(x, rows[0][1])]
    rows += [(name, x) for name, x in others.items() if name not in same]
  if pictures.held_out:
    judge, reason = scoring.find_judge(model, pictures.fields)
    missing = 1 - problem.seen if problem.kind.startswith('mask:') else None
    to = Reference(pictures.image, missing, pictures.fields.get('label'), judge)
    scores = scoring.scores(made.image, baselines, to, progress, subsets)
    protocol |= scoring.protocol(to, reason)
  return Result(made.image, rows, scores=scores, protocol=protocol)
