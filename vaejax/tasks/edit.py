"""Add or remove an attribute: a class, the value of a factor, or what pictures of a folder have.

A change of latents is learned from training rows, or from the pictures of folders, with the
attribute and without it; see inference/attributes.py. `strength` times this change is added to the
mean of q(z|x). The decoded change is added to the picture, x + p(x|z + v) - p(x|z) by their means,
so that what the model does not reconstruct stays. `decoded` shows p(x|z + v) instead.

`vector` is how the change is learned:

  regression: a linear function of z, from pairs of rows that differ in one factor alone.
  pairs: the mean change of such pairs.
  means: the mean of the latents with the attribute minus that without (Larsen et al. 2016,
    arXiv:1512.09300, section 4.2).
  auto: the regression if there are 50 pairs, else means.

Pairs are rows of the same other factors and, if rows have files, of the same name without skin
tone. If the model is given the label and the attribute is a class, z stays and the label changes.
Of the rows of a split, those are edited that have what is removed, or lack what is added.

The scores are of held-out rows. If there are rows with the value that was added, but for which all
is as in the edited ones: PSNR, SSIM and LPIPS to them, as means over the rows of each group of
variants, against copying the input and against adding the mean change of pixels. Where the two rows
are the same picture, there is nothing to edit and no score. For a class: the proportion of pictures
in which a judge sees it.

The picture and the GIF have the rows that change most, of those with a true result if there are
any.
"""

from functools import partial

import jax
import numpy as np

from vaejax.errors import UserError
from vaejax.evaluation import attribute_rows, judged
from vaejax.evaluation.attribute_rows import values_of
from vaejax.evaluation.learned_change import Change, learn, pick
from vaejax.evaluation.sides import Side, factor_of, parts, side
from vaejax.inference import attributes, space
from vaejax.perceptual.compare import BETTER, protocol, similarities
from vaejax.reporting import previews
from vaejax.reporting.images import grid
from vaejax.task_type import Result, Score, Setting, part_of

SETTINGS = {
  'add': Setting('', 'classes, values of the factor, or a folder, each a version', arrays=True),
  'remove': Setting('', 'a class, a value of the factor, or a folder', arrays=True),
  'factor': Setting('', 'the factor that these are values of (the label)'),
  'strength': Setting(1.0, 'how much of the change is added', low=-100, high=100),
  'vector': Setting('auto', 'how the change is learned', ('auto', 'regression', 'pairs', 'means')),
  'decoded': Setting(False, 'show what the model decodes, without the detail of the input'),
  'rows': Setting(20_000, 'training rows that the change is learned from', low=2),
  'judged_by': Setting('', 'workdir of the judge of classes (that of the cache)'),
}
ARGUMENTS = 'add', 'remove'
ROWS = 2000
SHOWN, MOVES = 8, 8  # pictures shown, and frames of a change in the GIF


def run(model, pictures, settings, seed, progress) -> Result:
  """The edited pictures, [N, versions, H, W, C]."""
  space.check_continuous(model, 'edit')
  column, factor = factor_of(model, settings['factor']), settings['factor'] or 'label'
  of = partial(side, model, column=column, factor=factor, fit=pictures.fit)
  remove = of(settings['remove']) or Side('the rest')
  adds = [of(part) for part in parts(settings['add'])]
  if not adds and remove == Side('the rest'):
    raise UserError(
      'edit needs what to add or what to remove. Give --add, --remove or both: a class, a value of '
      'a --factor, or a folder of pictures'
    )
  adds = adds or [Side(f'without {remove.title}')]
  index = chosen(pictures, column, remove, adds)
  rows = None
  if any(s.pictures is None for s in (remove, *adds)):
    reading = part_of(progress, 0, 0.5)
    rows = attribute_rows.read(model, pictures.train, column, settings['rows'], reading)
  x, fields = pictures.image[index], {k: v[index] for k, v in pictures.fields.items()}
  given = model.conditions(fields)
  z = model.encode(x, **given)
  conditional = column is None and 'label' in given
  changes, versions, ways, begun = [], [], [], 0.0 if rows is None else 0.5
  for done, add in enumerate(adds, 1):
    change, after = learn(model, rows, remove, add, settings['vector'], seed), given
    if conditional and add.value is not None:
      zero = attributes.Shift(0 * change.shift.offset, change.shift.mean)
      change = change._replace(shift=zero, how='the label that the model is given')
      after = model.conditions({**fields, 'label': np.full(len(x), add.value, np.int32)})

    def apply(strength, part, change=change, after=after):
      these = x[part], pick(z, part), pick(given, part), pick(after, part)
      return edited(model, strength, change, *these, settings['decoded'])

    changes.append(change)
    ways.append(apply)
    versions.append(apply(settings['strength'], slice(None)))
    part_of(progress, begun, 1)(done, len(adds))
  y, about = np.stack(versions, axis=1), {'learned': [change.how for change in changes]}
  truth = partners(model, pictures, column, index, remove, adds)
  scores = {}
  if pictures.held_out:
    pixels = x[:, None] + settings['strength'] * pixel_changes(model, pictures, rows, changes)
    outputs = {'ours': y, 'copy': np.broadcast_to(x[:, None], y.shape)}
    outputs['pixels'] = clipped(model, pixels)
    given_to = settings['judged_by'], index, outputs, truth, column, adds
    scores, more = score(model, pictures, *given_to)
    about |= more
  look = lambda images: previews.shown(images, model.example)
  few = most_changed(x, y, truth)
  moving = [apply(strength, few) for apply in ways for strength in swing(settings['strength'])]
  frames = np.stack([grid(look(frame), len(few)) for frame in moving])
  table = shown(look(x), look(y), look(pictures.image), truth, adds, few)
  return Result(y, table, frames=frames, scores=scores, protocol=about, arrays={'rows': index})


def chosen(pictures, column: int | None, remove: Side, adds: list[Side]) -> np.ndarray:
  """The rows that are edited: with what is removed, or without what is added; all of a user's.
  Raises UserError if there are none."""
  n, name = len(pictures.image), 'label' if column is None else 'factors'
  if not pictures.split or name not in pictures.fields:
    return np.arange(n)
  values, index = values_of(pictures.fields, column), np.arange(n)
  if remove.value is not None:
    index = np.flatnonzero(values == remove.value)
  elif remove.pictures is None:
    index = np.flatnonzero(~np.isin(values, [add.value for add in adds if add.value is not None]))
  if not len(index):
    raise UserError(f'no row of {pictures.split} has {remove.title} to remove. Use a larger --n')
  return index


def edited(model, strength: float, change: Change, x, z, given, after, decoded: bool) -> np.ndarray:
  """Pictures with `strength` times a change of their latents z, decoded under other conditions."""
  delta = change.shift(z)
  y = model.decode(jax.tree.map(lambda z, d: z + np.float32(strength) * d, z, delta), **after)
  if decoded:
    return y
  return clipped(model, x + y - model.decode(z, **given))


def clipped(model, x: np.ndarray) -> np.ndarray:
  """Pictures in [0, 1]; real numbers as they are."""
  return np.asarray(x if model.example.units else np.clip(x, 0, 1), np.float32)


def most_changed(x, y, truth: np.ndarray) -> np.ndarray:
  """The rows that are shown, at most SHOWN of N in order: those of which the versions y
  [N, V, H, W, C] differ most from x, by the mean square. Rows that have a true result [N, V] go
  before others, but not by how near they are to it."""
  size = np.square(y - x[:, None]).mean(axis=tuple(range(1, y.ndim)))
  known = (truth >= 0).any(axis=1)
  return np.sort(np.lexsort((-size, ~known))[:SHOWN])


def swing(strength: float) -> np.ndarray:
  """Strengths from 0 to `strength` and back, 2 MOVES of them."""
  return strength * (1 - np.cos(np.pi * np.arange(2 * MOVES) / MOVES)) / 2


def pixel_changes(model, pictures, rows, changes: list[Change]) -> np.ndarray:
  """The mean change of the pixels of each version, [V, H, W, C]."""
  if rows is None:
    return np.stack([change.image for change in changes])
  weights, n = np.stack([change.weights for change in changes], axis=1), len(rows.values)
  images = attribute_rows.weighted_images(pictures.train(n), model.example.data, weights)
  return np.stack([image + change.image for image, change in zip(images, changes, strict=True)])


def partners(model, pictures, column, index, remove: Side, adds: list[Side]) -> np.ndarray:
  """The row of `pictures` that is the true result of each edited row and version, [N, V]; -1 where
  there is none, or where it is the same picture, so that there is nothing to edit."""
  truth = np.full((len(index), len(adds)), -1)
  if not pictures.split or column is None or remove.value is None:
    return truth
  keys, _ = attribute_rows.known(model, pictures.split, pictures.fields, column)
  place = {row: i for i, row in enumerate(index)}
  for v, add in enumerate(adds):
    if add.value is not None:
      values = values_of(pictures.fields, column)
      for row, partner in attributes.partners(keys, values, remove.value, add.value):
        if (pictures.image[row] != pictures.image[partner]).any():
          truth[place[row], v] = partner
  return truth


def score(model, pictures, workdir, index, outputs, truth, column, adds):
  """The scores of outputs {name: [N, V, H, W, C]}, 'ours' and those of baselines, and what they
  depend on."""
  row, version = np.nonzero(truth >= 0)
  if len(row):
    look = lambda images: previews.shown(images, model.example)
    y = look(pictures.image[truth[row, version]])
    _, groups = attribute_rows.known(model, pictures.split, pictures.fields, column)
    of_group = lambda values: group_means(values, groups[index[row]])
    values = {name: similarities(look(x[row, version]), y) for name, x in outputs.items()}
    scores = {
      metric: Score(
        of_group(values['ours'][metric]),
        {name: of_group(v[metric]) for name, v in values.items() if name != 'ours'},
        BETTER[metric],
      )
      for metric in values['ours']
    }
    pairs = f'{len(row)} of {len(np.unique(groups[index[row]]))} groups of variants'
    return scores, {'true_results': pairs, **protocol(y.shape[1:])}
  wanted = [add.value for add in adds]
  if column is not None or None in wanted or 'label' not in pictures.fields:
    return {}, {}
  judge, missing = judged.find(workdir, model.config.data, model.example, 'judged_by')
  if judge is None:
    return {}, {'judged_as_added': f'left out: {missing}'}

  def share(x):
    predicted = judged.verdicts(judge, x.reshape(-1, *x.shape[2:])).predicted
    return np.mean(predicted.reshape(x.shape[:2]) == np.asarray(wanted), axis=1)

  ours, *baselines = ((name, share(x)) for name, x in outputs.items())
  return {'judged_as_added': Score(ours[1], dict(baselines))}, judged.describe(judge)


def group_means(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
  """The mean of the values [N] of each group, [G]. Variants are alike, so the error of a mean over
  groups is not too small."""
  _, index = np.unique(groups, return_inverse=True)
  return np.bincount(index, values) / np.bincount(index)


def shown(x, y, images, truth, adds: list[Side], few) -> list[tuple[str, np.ndarray]]:
  """The rows of the picture: inputs, and for each version the output and the true result."""
  known, rows = (truth >= 0).any(), [('input', x[few])]
  for v, add in enumerate(adds):
    rows.append((add.title, y[few, v]))
    if known:
      true = images[truth[few, v]].copy()
      true[truth[few, v] < 0] = np.nan
      rows.append(('true', true))
  return rows
