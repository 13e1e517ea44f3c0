"""Scores of restored pictures: PSNR, SSIM, LPIPS and a judge's agreement, of the first version and of
the best, with those of baselines."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.core.batched import compiled, in_batches
from vaejax.errors import UserError
from vaejax.estimates import mean
from vaejax.evaluation import judges
from vaejax.evaluation.features import check_judge, judge_row, judge_rows
from vaejax.metrics import region, similarity
from vaejax.perceptual import lpips, weights
from vaejax.task_type import Score

AT_ONCE = 128  # pictures that are compared at once


class Metric(NamedTuple):
  """A comparison of pictures with the truth.

  Attributes:
    compare: (x, rows) -> values [B] of pictures x [B, H, W, C] in [0, 1], where the rows have
      'truth' [B, H, W, C], 'missing' [B, H, W, 1] and, if known, 'label' [B].
    better: 'higher' or 'lower'.
    protocol: what it depends on.
  """

  name: str
  compare: Callable[[jax.Array, Mapping[str, jax.Array]], jax.Array]
  better: str
  protocol: Mapping[str, Any]


def metrics(model: Any, fields: Mapping[str, np.ndarray]) -> tuple[list[Metric], dict[str, str]]:
  """The metrics that fit the pictures of a run, and {metric: why it is left out}.

  LPIPS needs the extra `perceptual`, SSIM pictures of 7x7 pixels, and `agreement`, the proportion of
  pictures that the cached judge of the data classifies as their label, needs that judge.
  """
  shape = model.example.fields[model.example.data].shape
  found, missing = [psnr()], {}
  if min(shape[:2]) >= similarity.WINDOW:
    found.append(ssim())
  else:
    missing['ssim'] = 'it needs pictures of 7x7 pixels'
  for net in lpips.NETS:
    if not weights.is_installed():
      missing[f'lpips_{net}'] = f'it needs the extra perceptual: {weights.EXTRA}'
    elif shape[-1] not in (1, 3, 4):
      missing[f'lpips_{net}'] = 'it needs pictures of 1, 3 or 4 channels'
    else:
      found.append(perceptual(net, shape))
  try:
    found.append(agreement(model, fields))
  except UserError as error:
    missing['agreement'] = str(error)
  return found, missing


def psnr() -> Metric:
  """PSNR of the missing part in dB."""
  compare = lambda x, rows: region.psnr(x, rows['truth'], rows['missing'])
  return Metric('psnr', compare, 'higher', {'psnr': 'of the missing part, in dB'})


def ssim() -> Metric:
  """SSIM of the windows centred in the missing part."""
  compare = lambda x, rows: region.ssim(x, rows['truth'], rows['missing'])
  return Metric('ssim', compare, 'higher', {'ssim': '7x7 windows centred in the missing part'})


def perceptual(net: str, shape: Sequence[int]) -> Metric:
  """LPIPS of the completed picture."""
  distance = lpips.distance(net)
  compare = lambda x, rows: distance(x, rows['truth'])
  about = f'of the completed picture, {lpips.describe(net, shape)}'
  return Metric(f'lpips_{net}', compare, 'lower', {f'lpips_{net}': about})


def agreement(model: Any, fields: Mapping[str, np.ndarray]) -> Metric:
  """1 where the cached judge classifies the completed picture as its label, else 0. Raises
  UserError if there is no judge that fits, or if a row has no label."""
  label = fields.get('label')
  if label is None or (label < 0).any():
    raise UserError('it needs the label of every row')
  judge = judges.find('', model.config.data)
  check_judge(judge, model.example, 'the cached judge')
  row = judge_row(judge, 'predicted')

  def compare(x, rows):
    return (judge_rows(judge, x)[row] == rows['label']).astype(jnp.float32)

  about = {'judge': judge.name, 'judge_accuracy': judge.accuracy}
  return Metric('agreement', compare, 'higher', about)


class Compared(NamedTuple):
  """Values {name: [N] or [N, versions]} of one metric, of ours and of the baselines."""

  metric: Metric
  ours: np.ndarray
  baselines: Mapping[str, np.ndarray]


def compare(
  found: Sequence[Metric],
  versions: np.ndarray,
  baselines: Mapping[str, np.ndarray],
  rows: Mapping[str, np.ndarray],
  progress: Callable[[int, int], None],
) -> list[Compared]:
  """Every metric of versions [N, V, H, W, C] and of baselines [N, H, W, C] or [N, K, H, W, C]."""
  every = {'': versions, **baselines}
  count = lambda x: x.shape[1] if x.ndim == 5 else 1
  work = len(versions) * sum(map(count, every.values()))
  done, result = 0, []
  for metric in found:
    program = compiled(lambda x, rows, metric=metric: metric.compare(x, rows), None)
    values = {}
    for name, x in every.items():
      columns = np.moveaxis(x, 1, 0) if x.ndim == 5 else x[None]
      values[name] = np.stack([of_rows(program, column, rows) for column in columns], axis=1)
      done += values[name].size
      progress(done, work * len(found))
    result.append(Compared(metric, values.pop(''), values))
  return result


def of_rows(program: Callable, x: np.ndarray, rows: Mapping[str, np.ndarray]) -> np.ndarray:
  """program(x, rows) of all rows, [N]."""
  run = lambda part, index: program(part['x'], {k: v for k, v in part.items() if k != 'x'})
  return in_batches(run, {**rows, 'x': x}, len(x), min(len(x), AT_ONCE))


def scores(
  compared: Sequence[Compared], subsets: Mapping[str, np.ndarray] = {}  # noqa: B006
) -> dict[str, Score]:
  """{metric: Score} of the first version, and as best_of_V_METRIC that of the version that is best by
  this metric, which needs the truth. Baselines of several versions count alike.

  Args:
    subsets: {prefix: bool [N]}: the same of these rows alone, as PREFIX_METRIC.
  """
  result = {}
  everyone = np.ones(len(compared[0].ours), bool)
  for prefix, rows in {'': everyone, **subsets}.items():
    for metric, ours, baselines in compared:
      choose = {'higher': np.max, 'lower': np.min}[metric.better]
      best, first = partial(choose, axis=1), lambda x: x[:, 0]
      versions = ours.shape[1]
      for kind, pick in (('', first), *[(f'best_of_{versions}_', best)] * (versions > 1)):
        values = {k: np.asarray(pick(x)[rows], np.float64) for k, x in baselines.items()}
        value = np.asarray(pick(ours)[rows], np.float64)
        if np.isfinite(value).all():
          result[f'{prefix}{kind}{metric.name}'] = Score(value, values, metric.better)
  return result


def protocol(found: Sequence[Metric], missing: Mapping[str, str]) -> dict[str, Any]:
  """What the metrics depend on, and why some are left out."""
  result = {k: v for metric in found for k, v in metric.protocol.items()}
  return result | {f'without_{name}': reason for name, reason in missing.items()}


def average(values) -> float:
  """The mean, as a number."""
  return mean(values).value
