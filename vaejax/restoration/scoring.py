"""Scores of restored pictures, of the first version and of the best, with those of baselines."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from vaejax.core.batched import compiled, in_batches
from vaejax.evaluation import judged
from vaejax.evaluation.judges import Judge
from vaejax.metrics import region
from vaejax.metrics.similarity import WINDOW
from vaejax.perceptual import compare
from vaejax.task_type import Progress, Score

AT_ONCE = 128  # pictures that are measured at once
AGREEMENT = 'agreement'
BETTER = compare.BETTER | {AGREEMENT: 'higher'}
NONE = MappingProxyType({})
PSNR, SSIM = (compiled(lambda rows, f=f: f(**rows), None) for f in (region.psnr, region.ssim))


class Reference(NamedTuple):
  """What restored pictures are compared with.

  Attributes:
    truth: [N, H, W, C] in [0, 1].
    missing: [N, H, W, 1], 1 in the part to which PSNR and SSIM are confined; None: the picture.
    label: [N], which a judge should recognise.
    judge: the cached judge of the data; None: it is not asked.
  """

  truth: np.ndarray
  missing: np.ndarray | None = None
  label: np.ndarray | None = None
  judge: Judge | None = None


def find_judge(model: Any, fields: Mapping[str, np.ndarray]) -> tuple[Judge | None, str]:
  """The cached judge of a run's data, or None and the reason."""
  label = fields.get('label')
  if label is None or (label < 0).any():
    return None, 'it needs the label of every row'
  return judged.find('', model.config.data, model.example, 'the cached judge')


def measure(x: np.ndarray, to: Reference) -> dict[str, np.ndarray]:
  """{metric: [N, V]} of versions [N, V, H, W, C] in [0, 1].

  PSNR and SSIM of the missing part, if there is one; LPIPS with two nets of the whole pictures; and
  `agreement`, 1 where the judge classifies a picture as its label, else 0.
  """
  n, versions = x.shape[:2]
  flat = x.reshape(n * versions, *x.shape[2:])
  repeated = lambda rows: np.repeat(rows, versions, axis=0)
  names = tuple(compare.BETTER)
  result = {}
  if to.missing is not None:
    names = tuple(name for name in names if name.startswith('lpips'))
    rows = {'x': flat, 'y': repeated(to.truth), 'region': repeated(to.missing)}
    result['psnr'] = of_rows(PSNR, rows)
    if min(flat.shape[1:3]) >= WINDOW:
      result['ssim'] = of_rows(SSIM, rows)
  result |= compare.similarities(flat, repeated(to.truth), names)
  if to.judge:
    predicted = judged.verdicts(to.judge, flat).predicted
    result[AGREEMENT] = (predicted == repeated(to.label)).astype(np.float32)
  return {name: values.reshape(n, versions) for name, values in result.items()}


def of_rows(program: Callable[[Mapping], jax.Array], rows: Mapping[str, np.ndarray]) -> np.ndarray:
  """program(rows) of all rows on the host, [N]."""
  n = len(next(iter(rows.values())))
  return in_batches(lambda part, index: program(part), rows, n, min(n, AT_ONCE))


def scores(
  versions: np.ndarray,
  baselines: Mapping[str, np.ndarray],
  to: Reference,
  progress: Progress,
  subsets: Mapping[str, np.ndarray] = NONE,
) -> dict[str, Score]:
  """{metric: Score} of the first version, and as best_of_V_METRIC of the version that is best by
  this metric, which takes the truth to know. Of baselines with several versions the same.

  Args:
    versions: [N, V, H, W, C] in [0, 1].
    baselines: {name: [N, H, W, C] or [N, K, H, W, C]}.
    subsets: {prefix: bool [N]}: as PREFIX_METRIC the same of these rows alone.
  """
  several = lambda x: x[:, None] if x.ndim == 4 else x
  every, values = {'': versions, **baselines}, {}
  for done, (name, x) in enumerate(every.items()):
    progress(done, len(every))
    values[name] = measure(several(x), to)
  ours, count, result = values.pop(''), versions.shape[1], {}
  for prefix, rows in {'': np.ones(len(versions), bool), **subsets}.items():
    for name in ours:
      best = partial({'higher': np.max, 'lower': np.min}[BETTER[name]], axis=1)
      picks = {'': lambda x: x[:, 0]} | ({f'best_of_{count}_': best} if count > 1 else {})
      for kind, pick in picks.items():
        of = {k: pick(measured[name])[rows] for k, measured in values.items()}
        value = pick(ours[name])[rows]
        if np.isfinite(value).all():  # a region that has no window has no SSIM
          key = '_'.join(filter(None, (prefix, kind.rstrip('_'), name)))
          result[key] = Score(value, of, BETTER[name])
  return result


def protocol(to: Reference, reason: str) -> dict[str, Any]:
  """What the scores depend on. `reason`: why there is no judge."""
  result = dict(compare.protocol(to.truth.shape[1:]))
  if to.missing is not None:
    result |= {
      'psnr': 'dB, of the missing part, at most 40 for each picture',
      'ssim': '7x7 windows centred in the missing part',
    }
    result['lpips'] = 'of the completed picture'
  if to.judge is None:
    return result | {f'without_{AGREEMENT}': reason}
  own = float((judged.verdicts(to.judge, to.truth).predicted == to.label).mean())
  return result | judged.describe(to.judge) | {'agreement_of_the_truth': own}
