"""Accuracy of style transfers: whether two judges recognise the content of one image and the style
of the other."""

import math

import jax.numpy as jnp

from vaejax.data import settings
from vaejax.data.device.styles import names
from vaejax.errors import UserError
from vaejax.estimates import Estimate, proportion
from vaejax.eval_type import Eval
from vaejax.evaluation import judges
from vaejax.types import Example, Method


def make(method: Method, config, example: Example) -> Eval:
  """Accuracy of transferring to every image the style of the previous row, over the pairs whose
  styles differ.

  One judge classifies content and one style. Both are trained on the same data in the same styles
  (configs/judge.py:NAME,content and NAME,style) and read from the cache. The metrics are
  proportions of correct predictions:

    transfer_content and transfer_style of transfers; transfer_style_thick and so on for each style.
    reconstruction_content and reconstruction_style of reconstructions.
    content_kept: transfer_content / reconstruction_content.

  The metrics of content ignore rows without a label. Metrics of no row are left out.

  Raises UserError for a method without transfers, for data without styles or classes, and for
  judges that are missing or damaged.
  """
  if 'transfer' not in method.predict:
    raise UserError(f'the style eval needs transfers, but the method {config.method!r} has none')
  kind = settings.styles(config.data)
  if not kind:
    raise UserError(
      f'the style eval needs images in styles, but {config.data.name} has none. Set data.styles'
    )
  fields = {'content': 'label', 'style': 'style'}
  judge_of = {name: judges.find('', config.data, field) for name, field in fields.items()}
  styles = names(kind)

  def classify(name, image, key):
    """The class [B] that a judge predicts for images [B, H, W, C] in the range of the run."""
    judge = judge_of[name]
    batch = {'image': judge.example.to_data(example.to_unit(image))}
    return jnp.argmax(judge.method.predict['classify'](judge.variables, batch, key)['logits'], -1)

  def extract(variables, batch, key, hyper):
    mask, content, target = batch['mask'], batch['label'], batch['previous_style'][:, 0]
    pairs = {'image': batch['image'], 'style_image': batch['previous_image'][:, 0]}
    transfer = method.predict['transfer'](variables, pairs, key)['image']
    reconstruction = method.predict['reconstruct'](variables, batch, key)['image']
    labelled = mask * (content >= 0)
    differ = mask * (target != batch['style'])
    transferred = classify('content', transfer, key) == content
    reconstructed = classify('content', reconstruction, key) == content
    by_style = differ * (target == jnp.arange(len(styles))[:, None])  # [styles, B]
    sums = {
      'examples': jnp.sum(mask),
      'labelled': jnp.sum(labelled),
      'labelled_pairs': differ @ (content >= 0),
      'pairs': jnp.sum(differ),
      'transfer_content': differ @ transferred,
      'reconstruction_content': labelled @ reconstructed,
      'content_of_both': differ @ (transferred & reconstructed),
      'reconstruction_style': mask @ (classify('style', reconstruction, key) == batch['style']),
      'pairs_by_style': jnp.sum(by_style, axis=1),
      'correct_by_style': by_style @ (classify('style', transfer, key) == target),
    }
    return sums, {}

  def finish(sums, rows):
    sums = sums['test']
    totals = {
      'reconstruction_content': 'labelled',
      'reconstruction_style': 'examples',
      'transfer_content': 'labelled_pairs',
    }
    metrics = {name: proportion(sums[name], sums[n]) for name, n in totals.items() if sums[n]}
    if sums['labelled_pairs'] and sums['reconstruction_content']:
      names = 'transfer_content', 'labelled_pairs', 'reconstruction_content', 'labelled'
      metrics['content_kept'] = ratio(*(sums[n] for n in names), sums['content_of_both'])
    if sums['pairs']:
      metrics['transfer_style'] = proportion(sums['correct_by_style'].sum(), sums['pairs'])
    counts = zip(styles, sums['correct_by_style'], sums['pairs_by_style'], strict=True)
    for name, correct, count in counts:
      if count:
        metrics[f'transfer_style_{name}'] = proportion(correct, count)
    return metrics

  metric_names = ['reconstruction_content', 'reconstruction_style', 'transfer_content']
  metric_names += ['content_kept', 'transfer_style', *(f'transfer_style_{name}' for name in styles)]
  protocol = {'pairs': 'each row in the style of the row before it, where their styles differ'}
  for name, judge in judge_of.items():
    protocol[f'{name}_judge'] = judge.read
    protocol[f'{name}_judge_accuracy'] = judge.accuracy
    protocol[f'{name}_judge_checksum'] = judge.checksum[:16]
  return Eval({'test': extract}, finish, lambda: metric_names, protocol, previous=1)


def ratio(a, rows_a, b, rows_b, both) -> Estimate:
  """The ratio of two proportions, a / rows_a to b / rows_b, where the rows of the first are among
  those of the second and `both` count in both. Its error is that of the first order (delta method).
  """
  p, q = a / rows_a, b / rows_b
  if not p:
    return Estimate(0.0)
  covariance = (both / rows_a - p * q) / rows_b
  variance = (1 - p) / (p * rows_a) + (1 - q) / (q * rows_b) - 2 * covariance / (p * q)
  return Estimate(float(p / q), float(p / q * math.sqrt(max(variance, 0.0))))
