"""Show every content in every style: pictures of the one, in the look of the other.

The contents are the pictures of --inputs or of the split, the styles those of --style or, without
it, one of each style of the data. For a run that translates an image to the style of another one.

Scores are computed for rows that are held out. Where the styles are procedural and the data gives
the true transfer (data.pairs), ours is compared with it: PSNR, SSIM and LPIPS, over the rows that
it changes. Where judges of the data are there (configs/judge.py:NAME,content and NAME,style),
`content` and `style` are the shares of transfers to the style of the previous row in which they
recognise the class and that style, over the rows whose styles differ. The baselines are copying the
content, and giving it the colour statistics of the style (Reinhard et al. 2001).
"""

from collections.abc import Callable

import numpy as np

from vaejax.errors import UserError
from vaejax.evaluation import judged
from vaejax.perceptual import colour, compare
from vaejax.task_type import Pictures, Result, Score, Setting

SETTINGS = {
  'style': Setting(
    None,
    'pictures whose style is taken: files or folders, cropped to squares',
    kind=str,
    arrays=True,
  ),
  'shown': Setting(8, 'contents in the picture', low=1, high=64),
}
ARGUMENTS = ('style',)
ROWS = 1000  # default of --n
STYLES = 16  # in the picture at most
AT_ONCE = 250  # pictures
SEARCHED = 2048  # training rows, among which one of each style is looked for
SAME = 0.5 / 255  # the largest difference of equal pictures
COPY, STATISTICS = 'copy of the content', 'colour statistics'


def run(model, pictures: Pictures, settings, seed: int, progress: Callable[[int, int], None]):
  """Returns transfers [contents, styles, H, W, C] of the pictures shown; of all of a user's own."""
  if 'transfer' not in model.method.predict:
    raise UserError(
      f'a run of {model.config.method} has no transfers of style. Train one of configs/style.py'
    )
  styles = style_pictures(model, pictures, settings['style'])
  contents = pictures.image[: settings['shown']] if pictures.split else pictures.image
  total = len(contents)
  transfers = []
  for done, content in enumerate(contents, 1):
    transfers.append(model.transfer(np.repeat(content[None], len(styles), axis=0), styles))
    progress(done, total)
  transfers = np.stack(transfers)
  scores, protocol = {}, {}
  if pictures.held_out:
    scores, protocol = evaluate(model, pictures, progress)
  rows = table(contents[: settings['shown']], styles[:STYLES], transfers)
  return Result(transfers, rows, scores=scores, protocol=protocol)


def style_pictures(model, pictures: Pictures, given) -> np.ndarray:
  """The pictures that give a style, [S, H, W, C]: those of a user, or one of each style of the
  data. Raises UserError."""
  if given is not None:
    return model.read(given, 'style', 'crop')
  if not model.example.styles:
    raise UserError('the data of this run has no styles. Give pictures with --style=FILES')
  image, style = pictures.image, pictures.fields.get('style')
  if style is None or len(np.unique(style)) < model.example.styles:
    part = next(iter(pictures.train(SEARCHED)))
    image, style = part['image'], part['style']
  firsts = [np.flatnonzero(style == k)[:1] for k in range(model.example.styles)]
  return image[np.concatenate(firsts)]


def table(contents, styles, transfers) -> list[tuple[str, np.ndarray]]:
  """Rows of a picture: the styles, then each content with its transfers."""
  blank = np.full_like(styles[:1], np.nan)
  rows = [('styles', np.concatenate([blank, styles]))]
  for number, (content, row) in enumerate(zip(contents, transfers, strict=False)):
    title = '' if number else 'contents'
    rows.append((title, np.concatenate([content[None], row[: len(styles)]])))
  return rows


def evaluate(model, pictures: Pictures, progress) -> tuple[dict[str, Score], dict]:
  """Scores of transfers of held-out rows, with their protocol. Both are {} for data without
  styles."""
  fields, image = pictures.fields, pictures.image
  scores, protocol = {}, {}
  unit = lambda x: np.asarray(model.example.to_unit(x), np.float32)
  if 'pair' in fields:
    truth, style = unit(fields['pair']), unit(fields['style_image'])
    other = np.abs(truth - image).max((1, 2, 3)) > SAME
    truth, style = truth[other], style[other]
  if 'pair' in fields and len(truth):
    every = candidates(model, image[other], style, progress)
    values = {name: compare.similarities(x, truth) for name, x in every.items()}
    for metric, better in compare.BETTER.items():
      if metric in values['']:
        of = {name: value[metric] for name, value in values.items()}
        scores[metric] = Score(of.pop(''), of, better)
    protocol['truth'] = 'rows in a random procedural style of another row, which changes them'
    protocol |= compare.protocol(image.shape[1:])
  if 'style' in fields:
    more, how = by_judges(model, image, fields, progress)
    scores, protocol = scores | more, protocol | how
  return scores, protocol


def candidates(model, image, style, progress) -> dict[str, np.ndarray]:
  """Transfers of images [N, H, W, C] to the styles of others: {'': ours, baseline: its}."""
  parts = []
  for first in range(0, len(image), AT_ONCE):
    here = slice(first, first + AT_ONCE)
    parts.append(model.transfer(image[here], style[here]))
    progress(min(first + AT_ONCE, len(image)), len(image))
  return {'': np.concatenate(parts), COPY: image, STATISTICS: colour.transfer(image, style)}


def by_judges(model, image, fields, progress) -> tuple[dict[str, Score], dict]:
  """The shares of transfers to the style of the previous row that judges recognise, over the rows
  whose styles differ; {} without judges."""
  known = {}
  for name, field in {'content': 'label', 'style': 'style'}.items():
    known[name], missing = judged.find('', model.config.data, model.example, 'judged_by', field)
    if known[name] is None:
      return {}, {'judges': f'none: {missing}'}
  target = np.roll(fields['style'], 1)
  differ = (target != fields['style']) & (fields['label'] >= 0)
  if not differ.any():
    return {}, {'judges': 'none: all rows have one style'}
  truth = {'content': fields['label'][differ], 'style': target[differ]}
  every = candidates(model, image[differ], np.roll(image, 1, axis=0)[differ], progress)
  scores, protocol = {}, {'judged': int(differ.sum())}
  for name, judge in known.items():
    hits = {of: judged.verdicts(judge, x).predicted == truth[name] for of, x in every.items()}
    hits = {of: x.astype(np.float64) for of, x in hits.items()}
    scores[name] = Score(hits.pop(''), hits)
    protocol |= {f'{name}_{key}': value for key, value in judged.describe(judge).items()}
  return scores, protocol
