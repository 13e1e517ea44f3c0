"""Interpolate between pictures along paths in latent space.

Pictures are encoded as the means of q(z|x), and the mean of p(x|z) is decoded at each point of a
path between them: a straight line, or an arc around the centre of the latents (Shoemake 1985; White
2016, arXiv:1609.04468, section 2.1), see inference/paths.py. The centre is 0 if the prior is
N(0, I), else the mean of the aggregate posterior. Pictures of a user are joined in order, and the
last of three or more to the first. With `to`, and for rows of a split, there is a path for each
pair. The GIF is a loop.

The scores are of pairs of held-out rows, against blending the pixels of the two pictures:

  agreement: the proportion of frames between the ends in which a judge sees the class of one of the
    two pictures, as it sees them there.
  path_length: the length of the path by the root of LPIPS, divided by the distance of its ends. The
    root is a norm of differences of features, so 1 is a straight line and more is a detour.
  largest_step: the largest step between neighbouring frames over the mean step, by the root of
    LPIPS; 1 is an even path.

LPIPS is that of VGG16; names that end in _alex have AlexNet's. A conditional model decodes the
first half of a path with the conditions of its first end, and the rest with those of the other.
`to_label` has the classes of the pictures in `to`.
"""

import jax
import numpy as np

from vaejax.data import classes
from vaejax.errors import UserError
from vaejax.evaluation import judged
from vaejax.inference import paths, space
from vaejax.perceptual.compare import protocol, similarities
from vaejax.reporting import previews
from vaejax.reporting.images import grid
from vaejax.task_type import Result, Score, Setting

SETTINGS = {
  'to': Setting(None, 'pictures at which the paths end', kind=str, arrays=True),
  'to_label': Setting(
    '', 'their classes, for a run that is given the label: of all or of each', arrays=True
  ),
  'steps': Setting(11, 'frames of a path, with both ends', low=3, high=1000),
  'path': Setting('linear', 'its form', tuple(paths.KINDS)),
  'judged_by': Setting('', 'workdir of the judge of classes (that of the cache)'),
}
ARGUMENTS = ('to',)
ROWS = 256
SHOWN, COLUMNS, MOVING = 4, 11, 16  # paths and frames in the picture, paths in the GIF
AT_ONCE = 512  # frames that are decoded between two lines of progress
NETS = {'': 'lpips_vgg', '_alex': 'lpips_alex'}  # {end of a metric's name: its LPIPS}


def run(model, pictures, settings, seed, progress) -> Result:
  """The frames of every path, [paths, steps, H, W, C]."""
  space.check_continuous(model, 'interpolate')
  x, given, steps = pictures.image, model.conditions(pictures.fields), settings['steps']
  if settings['to'] is not None:
    other = model.read(settings['to'], 'to', pictures.fit)
    if len(other) != len(x):
      raise UserError(f'there are {len(x)} pictures and {len(other)} in to. Use the same number')
    start, end = np.arange(len(x)), np.arange(len(x)) + len(x)
    x = np.concatenate([x, other])
    ends = end_conditions(model, settings['to_label'], len(x) - len(start))
    given = {name: np.concatenate([value, ends[name]]) for name, value in given.items()}
  else:
    start, end = pairs(len(x), separate=bool(pictures.split))
  judge, missing = None, 'left out: the data has no labels'
  if pictures.held_out and 'label' in model.example.fields:
    named = settings['judged_by']
    judge, missing = judged.find(named, model.config.data, model.example, 'judged_by')
  centre = None
  if settings['path'] == 'spherical':
    centre = space.measure(model, pictures.train, seed).centre
  z = model.encode(x, **given)
  at = lambda tree, index: jax.tree.map(lambda a: a[index], tree)
  path = paths.between(at(z, start), at(z, end), steps, settings['path'], centre)
  frames = decode(model, path, halves(given, start, end, steps), progress)
  blend, example = np.asarray(paths.between(x[start], x[end], steps)), model.example
  ours, pixels = (previews.shown(a, example) for a in (frames, blend))
  scores, about = {}, {}
  if pictures.held_out:
    scores, about = agreements(judge, frames, blend, x[start], x[end]), protocol(ours.shape[2:])
    scores |= smoothness(ours, pixels)
    about |= judged.describe(judge) if judge else {'agreement': missing}
    joined = settings['to'] is not None
    about['pairs'] = 'each row and its picture in to' if joined else '1 and 2, 3 and 4, and so on'
  chain = not pictures.split and settings['to'] is None and len(start) > 1
  moving = loop(ours[:MOVING], chain)
  rows = [row for i in range(min(SHOWN, len(start))) for row in shown(ours[i], pixels[i])]
  return Result(frames, rows, frames=moving, scores=scores, protocol=about)


def pairs(n: int, separate: bool) -> tuple[np.ndarray, np.ndarray]:
  """The first and the last picture of each path: 0 and 1, 2 and 3, ... if `separate`, else from
  each of n pictures to the next, and from the last of three or more to the first. Raises UserError
  for fewer than two pictures."""
  if n < 2:
    raise UserError('interpolate needs two pictures or more, but there is one. Give another one')
  if separate:
    return np.arange(0, n - 1, 2), np.arange(1, n, 2)
  start = np.arange(n if n > 2 else 1)
  return start, (start + 1) % n


def end_conditions(model, label, n: int) -> dict[str, np.ndarray]:
  """The conditions of the n pictures in `to`, of which `label` has the classes: a text, with commas
  between several, or an array. Raises UserError for a run that needs more."""
  latent, example = model.method.latent, model.example
  needed = latent.conditions if latent else ()
  if other := [name for name in needed if name != 'label']:
    raise UserError(
      f'this run needs the {other[0]} of every picture, which those in to do not have. Leave out to'
    )
  if not needed:
    return {}
  words = label.split(',') if isinstance(label, str) else map(str, np.ravel(label))
  label = [classes.index(word, example.class_names, example.classes) for word in words if word]
  if len(label) not in (1, n):
    raise UserError(
      f'this run needs the label of every picture in to, {n} or one for all, but to_label has '
      f'{len(label)}. Give --to_label=CLASS,CLASS,...'
    )
  return model.conditions({'label': np.broadcast_to(np.int32(label), n)})


def halves(given, start, end, steps: int) -> dict[str, np.ndarray]:
  """The conditions of every frame, [paths * steps, ...]: of the first picture up to the middle of a
  path, then of the last."""
  late = np.arange(steps) > (steps - 1) / 2
  index = np.where(late, end[:, None], start[:, None]).reshape(-1)
  return {name: value[index] for name, value in given.items()}


def decode(model, latents, given, progress) -> np.ndarray:
  """Pictures [N, T, H, W, C] of latents [N, T, ...] and conditions [N * T, ...]."""
  n, steps = jax.tree.leaves(latents)[0].shape[:2]
  flat = jax.tree.map(lambda z: np.asarray(z).reshape(n * steps, *z.shape[2:]), latents)
  parts = []
  for first in range(0, n * steps, AT_ONCE):
    part = slice(first, first + AT_ONCE)
    of_part = {name: value[part] for name, value in given.items()}
    parts.append(model.decode(jax.tree.map(lambda z, part=part: z[part], flat), **of_part))
    progress(min(first + AT_ONCE, n * steps), n * steps)
  x = np.concatenate(parts)
  return x.reshape(n, steps, *x.shape[1:])


def agreements(judge, frames, blend, first, last) -> dict[str, Score]:
  """The score `agreement` of paths [N, T, H, W, C] between pictures [N, H, W, C]; {} without a
  judge."""
  if judge is None:
    return {}
  ends = [judged.verdicts(judge, x).predicted for x in (first, last)]
  of = lambda x: agreement(judge, x, *ends)
  return {'agreement': Score(of(frames), {'pixels': of(blend)})}


def smoothness(frames, blend) -> dict[str, Score]:
  """The scores `path_length` and `largest_step` of paths and of blends, [N, T, H, W, C] each."""
  scores = {}
  (ours, ours_ends), (theirs, their_ends) = distances(frames), distances(blend)
  for suffix, net in NETS.items():
    if net in ours:
      a, b = length(ours[net], ours_ends[net]), length(theirs[net], their_ends[net])
      scores['path_length' + suffix] = Score(a, {'pixels': b}, 'lower')
      a, b = unevenness(ours[net]), unevenness(theirs[net])
      scores['largest_step' + suffix] = Score(a, {'pixels': b}, 'lower')
  return scores


def agreement(judge, frames, first, last) -> np.ndarray:
  """The proportion of inner frames [N, T, ...] that are judged as one of two classes [N]; [N]."""
  inner = frames[:, 1:-1]
  predicted = judged.verdicts(judge, inner.reshape(-1, *inner.shape[2:])).predicted
  predicted = predicted.reshape(inner.shape[:2])
  return np.mean((predicted == first[:, None]) | (predicted == last[:, None]), axis=1)


def distances(frames) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
  """The root of LPIPS by each net, between neighbours [N, T - 1] and between the ends [N]."""
  n, count = len(frames), frames.shape[1] - 1
  flat = lambda x: x.reshape(-1, *x.shape[2:])
  a = np.concatenate([flat(frames[:, :-1]), frames[:, 0]])
  b = np.concatenate([flat(frames[:, 1:]), frames[:, -1]])
  roots = {k: np.sqrt(np.maximum(v, 0)) for k, v in similarities(a, b, NETS.values()).items()}
  split = n * count
  return (
    {k: v[:split].reshape(n, count) for k, v in roots.items()},
    {k: v[split:] for k, v in roots.items()},
  )


def length(steps: np.ndarray, ends: np.ndarray) -> np.ndarray:
  """The sum of the steps [N, T - 1] of a path over the distance of its ends [N]; [N]."""
  return steps.sum(axis=1) / np.maximum(ends, 1e-6)


def unevenness(steps: np.ndarray) -> np.ndarray:
  """The largest of the steps [N, T - 1] of a path over their mean; [N]."""
  return steps.max(axis=1) / np.maximum(steps.mean(axis=1), 1e-6)


def shown(frames, blend) -> list[tuple[str, np.ndarray]]:
  """Two rows of the picture: a path and its baseline, at most COLUMNS frames of each."""
  index = np.unique(np.linspace(0, len(frames) - 1, min(COLUMNS, len(frames))).round().astype(int))
  return [('latents', frames[index]), ('pixels', blend[index])]


def loop(frames, chain: bool) -> np.ndarray:
  """The frames of a GIF, uint8 [T, h, w, C], of paths [N, T, H, W, C]: all in turn if they are a
  closed `chain`, else there and back, next to each other."""
  if chain:
    moving = frames[:, :-1].reshape(1, -1, *frames.shape[2:])
  else:
    moving = np.concatenate([frames, frames[:, -2:0:-1]], axis=1)
  return np.stack([grid(moving[:, t]) for t in range(moving.shape[1])])
