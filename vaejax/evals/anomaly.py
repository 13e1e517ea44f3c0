"""Detection of outliers by anomaly scores: AUROC, average precision, FPR at 95 % TPR."""

import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from vaejax import scores
from vaejax.data import arrays, classes, left_out, splits
from vaejax.errors import UserError
from vaejax.estimates import Estimate
from vaejax.eval_type import Eval
from vaejax.evaluation import background as backgrounds
from vaejax.evaluation import streams
from vaejax.metrics.detection import STATISTICS, detection
from vaejax.types import Example, Method

SETTINGS = {
  'outliers': '',  # name or path of another dataset, whose test split is the outliers
  'label': '',  # or a class of the tested split, or FACTOR=VALUE; '': hyper.left_out
  'background': '',  # workdir of a background model, for the likelihood ratio
  'draws': scores.DRAWS,  # of the latents, for the ELBO and its terms
  'samples': scores.SAMPLES,  # importance samples
}
SMOKE = {'draws': 2, 'samples': 4}
RANGES = {'draws': (1, 2**16), 'samples': (1, 2**31)}

STREAM = 'anomaly_outliers'  # rows of another dataset
OUTLIER, UNKNOWN = 'anomaly_outlier', -1  # rows: 1 for an outlier, 0 for others


def make(method: Method, config, example: Example) -> Eval:
  """Values of each score of vaejax/scores.py, `auroc_SCORE`, `ap_SCORE` and `fpr95_SCORE` (see
  metrics/detection.py), and `anomaly_outliers` and `anomaly_inliers`, the numbers of rows. Outliers
  are the rows of the class that the run left out, those of the class or factor value
  `eval.anomaly.label`, or the test split of the dataset `eval.anomaly.outliers`; inliers are the
  other rows of the tested split. Rows without a label are left out. A score that is not finite for
  some row cannot rank it and has no values; a note of `anomaly_outliers` says so.

  Raises UserError for a method without scores, for outliers that are unknown, and if no score is
  finite for all rows.
  """
  settings = config.eval.anomaly
  known = scores.names(method)
  if not known:
    raise UserError(
      f'the anomaly eval needs p(x|z) or reconstructions, but the method {config.method!r} has none'
    )
  others = {STREAM: other_data(method, config, example)} if settings.outliers else {}
  is_outlier, what = (None, settings.outliers) if others else labelled(config, example)
  score = scores.make(method, settings.draws, settings.samples)
  ratio, protocol = None, {}
  if settings.background:
    arguments = settings.background, example, settings.samples, config.hyper
    ratio, without = backgrounds.make(*arguments)
    protocol = {'background': settings.background, 'background_left_out': without}
    known = *known, scores.RATIO

  def scored(v, batch, hyper):
    fields = {name: x for name, x in batch.items() if name != 'mask'}
    values = score(v, fields)
    if ratio:
      values = values | {scores.RATIO: values['neg_log_prob'] - ratio(fields, hyper)}
    return {f'anomaly_{name}': x for name, x in values.items()}

  def extract(v, batch, key, hyper):
    rows = scored(v, batch, hyper)
    if is_outlier:
      rows[OUTLIER] = is_outlier(batch, hyper)
    return {}, rows

  def finish(sums, rows):
    inner = outer = rows['test']
    if is_outlier:
      flag = np.asarray(inner[OUTLIER])
      select = lambda value: {k: x[flag == value] for k, x in rows['test'].items()}
      outer, inner = select(1), select(0)
    else:
      outer = rows[STREAM]
    outliers, inliers = (len(part[f'anomaly_{known[0]}']) for part in (outer, inner))
    if not outliers or not inliers:
      raise UserError(
        f'it needs outliers and inliers, but there are {outliers:,} and {inliers:,} tested'
      )
    result, missing = {}, []
    for name in known:
      pair = [np.asarray(part[f'anomaly_{name}'], np.float64) for part in (outer, inner)]
      if bad := sum(np.count_nonzero(~np.isfinite(x)) for x in pair):
        missing.append(f'{name} is not finite for {bad:,} of {outliers + inliers:,} rows')
        continue
      values = detection(*pair)
      result |= {f'{kind}_{name}': estimate for kind, estimate in values.items()}
    if not result:
      raise UserError(f'no score is finite: {"; ".join(missing)}. Evaluate an earlier checkpoint')
    result['anomaly_outliers'] = Estimate(float(outliers), note='; '.join(missing))
    result['anomaly_inliers'] = Estimate(float(inliers))
    return {name: e._replace(n=outliers + inliers) for name, e in result.items()}

  def value_names():
    of_scores = [f'{kind}_{name}' for name in known for kind in STATISTICS]
    return [*of_scores, 'anomaly_outliers', 'anomaly_inliers']

  protocol |= {'outliers': what, 'draws': settings.draws, 'samples': settings.samples}
  extracts = {'test': extract, **({STREAM: extract} if others else {})}
  return Eval(extracts, finish, value_names, protocol, others=others)


def labelled(config, example: Example):
  """(batch, hyper) -> [B], 1 for an outlier, 0 for an inlier and UNKNOWN without a label; and a
  text that names the outliers, which `eval.anomaly.label` or hyper.left_out chooses. Raises
  UserError."""
  text = config.eval.anomaly.label
  flag = lambda known, outlier: jnp.where(known, outlier.astype(jnp.int32), UNKNOWN)
  if match := re.fullmatch(r'([^=]+)=(\d+)', text):
    place, value = factor_place(text, match[1], example, config.data.name), int(match[2])
    all_known = lambda factor: jnp.ones_like(factor, bool)
    of_factor = lambda factor: flag(all_known(factor), factor == value)
    return (lambda batch, hyper: of_factor(batch['factors'][:, place])), text
  if 'label' not in example.fields or not example.classes:
    raise UserError(
      f'the anomaly eval needs labels or factors, but the dataset {config.data.name!r} has no '
      'labels. Set eval.anomaly.outliers=NAME, another dataset'
    )
  if text:
    number = classes.index(text, example.class_names, example.classes)
    of_class = lambda label, hyper: label == number
  elif left_out.FIELD in config.hyper:
    of_class = lambda label, hyper: ~left_out.is_kept(label, hyper[left_out.FIELD])
    text = f'class hyper.{left_out.FIELD}'
  else:
    raise UserError(
      'the anomaly eval needs outliers, but this run left out no class. Set '
      'eval.anomaly.outliers=NAME, another dataset, or eval.anomaly.label=CLASS'
    )
  return (lambda b, hyper: flag(b['label'] >= 0, of_class(b['label'], hyper))), text


def factor_place(text: str, name: str, example: Example, dataset: str) -> int:
  """The column of a factor in the field 'factors', by its name, or by its number if factors have no
  names. Raises UserError."""
  count = example.fields['factors'].shape[0] if 'factors' in example.fields else 0
  names = [known for known, _ in example.factors] or [str(number) for number in range(count)]
  if name not in names:
    hint = f'Use one of {", ".join(names)}' if names else f'{dataset} has no factors'
    raise UserError(f'eval.anomaly.label={text!r} is not a factor of the data. {hint}')
  return names.index(name)


def other_data(method: Method, config, example: Example):
  """(folder of datasets) -> the test split of `eval.anomaly.outliers`, in the run's size and
  channels. Raises UserError."""
  settings = config.eval.anomaly
  if settings.label:
    raise UserError(
      'eval.anomaly.outliers and eval.anomaly.label exclude each other. Use one of them'
    )
  if method.conditional:
    raise UserError(
      f'eval.anomaly.outliers has no labels of {config.data.name}, which this conditional run '
      'needs. Use eval.anomaly.label'
    )
  if settings.outliers == arrays.NAME:
    raise UserError('eval.anomaly.outliers cannot be arrays. Give the name or path of a dataset')
  path = Path(settings.outliers).expanduser()
  name = str(path) if path.exists() else settings.outliers
  data = streams.other_section(config.data, name, example)
  return lambda data_dir: splits.table(data, 'test', data_dir)
