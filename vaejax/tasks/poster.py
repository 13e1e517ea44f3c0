"""Make a picture for print out of a model's samples: a latent manifold, a walk, or a mosaic.

  manifold: decoded points of a plane of latents: two latents at quantiles of the prior, the others
    at its mean (Kingma & Welling 2014, arXiv:1312.6114, figure 4); or between four given pictures.
  walk: one path through draws of the prior, laid in rows that change their direction.
  mosaic: the picture --target, each part of it shown by the sample that is nearest to it. Its
    score is the squared error of the parts, beside the same grid of random samples.

The PNG is written in bands, so memory does not grow with --pixels. The command that made it is in
its metadata.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import numpy as np

from vaejax.data import classes
from vaejax.data.picture_files import eight_bit
from vaejax.errors import UserError
from vaejax.inference.flat import flatten
from vaejax.inference.paths import through
from vaejax.inference.points import bilinear, plane, snake
from vaejax.reporting import mosaic, previews, tiles
from vaejax.reporting.png_stream import write_bands
from vaejax.task_type import Pictures, Result, Score, Setting

SETTINGS = {
  'kind': Setting('manifold', 'what is shown', ('manifold', 'walk', 'mosaic')),
  'target': Setting(None, 'the picture that a mosaic shows', kind=Path),
  'pixels': Setting(6000, 'the longer side of the poster', low=64, high=60_000),
  'columns': Setting(0, 'tiles in a row (manifold 20, walk 24, mosaic 96)', high=2000),
  'latents': Setting((), 'the two latents of a manifold, as in 0,3 (the two that vary most)'),
  'label': Setting('', 'class of the samples, for a run that is conditioned on the label'),
  'tint': Setting(0.3, "share of the target's own colour in each tile of a mosaic", high=1),
  'bank': Setting(4096, 'samples that a mosaic chooses from', low=mosaic.GROUPS),
}
NEEDS_PICTURES = False
COLUMNS = {'manifold': 20, 'walk': 24, 'mosaic': 96}
DRAWS = 4096  # of the prior, for its mean and spread
ROWS_READ = 512  # training rows, by which latents are ranked
LEG = 8  # tiles from one draw of a walk to the next
PATCH = 4  # a tile of a mosaic is compared in PATCH x PATCH parts
PREVIEW = 768  # pixels of the picture that is shown in a notebook


def run(model, pictures: Pictures, settings, seed: int, progress: Callable[[int, int], None]):
  """Returns a preview, and the writer of the poster."""
  kind, pixels = settings['kind'], settings['pixels']
  check(model, settings)
  given = condition(model, settings['label'])
  columns = settings['columns'] or COLUMNS[kind]
  if columns * 2 > pixels:
    raise UserError(
      f'{columns} columns are too many for {pixels} pixels. Use at most {pixels // 2}'
    )
  scores, protocol = {}, {}
  if kind == 'mosaic':
    image = read_target(settings['target'])
    rows = max(1, round(columns * image.shape[0] / image.shape[1]))
    bank = samples(model, settings['bank'], given, seed, progress)
    choice, colours, scores = compose(image, bank, rows, columns, seed)
    protocol = {'parts': f'{PATCH}x{PATCH} of each tile before its tint', 'tiles': choice.size}
    arrays, shape = {'choice': choice}, bank.shape[1:]
    take = partial(tinted, bank, choice.ravel(), colours, settings['tint'])
  else:
    rows = columns
    points = walk if kind == 'walk' else partial(manifold, pictures, settings['latents'])
    flat, restore = points(model, columns, given, seed)
    take = lambda first, n: decode(model, restore(flat[first : first + n]), given)
    arrays, shape = {'latents': flat}, take(0, 1).shape[1:]
  layout = tiles.fitted(pixels, rows, columns, shape)
  small = tiles.fitted(min(PREVIEW, pixels), rows, columns, shape)

  def write(path: Path, command: str) -> None:
    bands = tiles.bands(layout, take)
    size = layout.height, layout.width, shape[-1]
    write_bands(path, with_progress(bands, layout.height, progress), size, command)

  preview = np.concatenate(list(tiles.bands(small, take)))
  return Result(
    picture=preview, scores=scores, protocol=protocol, arrays=arrays, files={'.png': write}
  )


def check(model, settings) -> None:
  """Raises UserError if the model cannot make such a poster."""
  kind, method = settings['kind'], model.config.method
  if model.example.data != 'image':
    raise UserError(f'a poster needs images, but a run of {method} makes videos')
  if kind == 'mosaic':
    if model.method.sample is None:
      raise UserError(f'a mosaic needs samples, but a run of {method} makes none')
    if settings['target'] is None:
      raise UserError('a mosaic needs the picture that it shows. Add --target=FILE')
  elif model.method.latent is None or 'decode' not in model.method.predict:
    raise UserError(
      f'a {kind} needs latents to decode, but a run of {method} has none. Use --kind=mosaic'
    )
  conditions = model.method.latent.conditions if model.method.latent else model.method.given
  if kind != 'mosaic' and 'label' in conditions and not settings['label']:
    raise UserError(f'a {kind} of this conditional run needs a class. Add --label=CLASS')
  if settings['label'] and 'label' not in conditions:
    raise UserError('this run is not given labels. Leave out --label')
  if other := [name for name in conditions if name != 'label']:
    raise UserError(f'a poster needs free samples, but this run is given the {other[0]} of each')


def condition(model, label: str) -> dict[str, int]:
  """{'label': the number of a class}, or {}. Raises UserError."""
  example = model.example
  return {'label': classes.index(label, example.class_names, example.classes)} if label else {}


def fields(model, given: dict[str, int], n: int) -> dict:
  """The conditions of n samples, as Run's methods take them."""
  return model.conditions({name: np.full(n, x, np.int32) for name, x in given.items()})


def shown(model, x: np.ndarray) -> np.ndarray:
  """Images as Run's methods give them, in [0, 1] with the channels to show."""
  example = model.example
  unit = np.asarray(example.to_picture(example.to_data(x))) if example.units else x
  return previews.as_shown(unit, example)


def samples(model, n: int, given, seed: int, progress) -> np.ndarray:
  """n samples of a run as uint8 [n, H, W, C], in parts with seeds of their own."""
  parts, size = [], 256
  seeds = np.random.SeedSequence(seed).generate_state(-(-n // size))
  for part, part_seed in enumerate(seeds):
    count = min(size, n - part * size)
    x = model.sample(count, seed=int(part_seed), **(fields(model, given, count) if given else {}))
    parts.append(np.round(shown(model, x).clip(0, 1) * 255).astype(np.uint8))
    progress(part + 1, len(seeds))
  return np.concatenate(parts)


def decode(model, z, given) -> np.ndarray:
  """The decoded pictures of latents, as float [N, H, W, C] in [0, 1]."""
  n = len(jax.tree.leaves(z)[0])
  return shown(model, model.decode(z, **fields(model, given, n)))


def prior_draws(model, n: int, given, seed: int):
  """n draws of p(z) as a matrix float [n, D], and the function from it to latents. Raises UserError
  for latents that are codes."""
  batch = {name: np.full(n, x, np.int32) for name, x in given.items()}

  @jax.jit
  def draw(variables, key):
    prior, _ = model.method.latent.prior(variables, n, batch)
    return prior.sample(key)

  z = jax.device_get(draw(model.variables, jax.random.key(seed)))
  return flatten(z)


def manifold(pictures: Pictures, directions, model, columns: int, given, seed: int):
  """Latents of a columns x columns grid in a plane, [columns ** 2, D], and how to restore them."""
  draws, restore = prior_draws(model, DRAWS, given, seed)
  if pictures.image is not None:
    if len(pictures.image) < 4:
      raise UserError(
        f'a manifold between pictures needs 4 of them, but got {len(pictures.image)}. Add more, or '
        'leave out --inputs'
      )
    z = model.encode(pictures.image[:4], **fields(model, given, 4))
    return bilinear(flatten(z)[0], columns), restore
  mean, deviation = draws.mean(0), draws.std(0)
  return plane(
    mean, deviation, two_latents(model, pictures, directions, deviation), columns
  ), restore


def two_latents(model, pictures: Pictures, directions, deviation) -> tuple[int, int]:
  """The latents that a manifold shows: those given, or the two whose posterior means vary most over
  training rows, relative to the prior. Raises UserError."""
  size = len(deviation)
  if directions:
    numbers = [int(text) if text.strip().isdecimal() else -1 for text in directions]
    if len(set(numbers)) != 2 or len(numbers) != 2 or not all(0 <= i < size for i in numbers):
      raise UserError(
        f'--latents={",".join(directions)} are not two of the latents 0 to {size - 1}. Use for '
        'example --latents=0,1'
      )
    return numbers[0], numbers[1]
  if size < 2:
    raise UserError('a manifold needs two latents, but this run has one. Use --kind=walk')
  if size == 2:
    return 0, 1
  batch = next(iter(pictures.train(ROWS_READ)))
  means, _ = flatten(model.encode(batch[model.example.data], **model.conditions(batch)))
  order = np.argsort(-means.std(0) / np.maximum(deviation, 1e-6))
  return int(order[0]), int(order[1])


def walk(model, columns: int, given, seed: int):
  """Latents along a path through draws of the prior, [columns ** 2, D], and how to restore them."""
  total = columns**2
  draws, restore = prior_draws(model, max(DRAWS, -(-total // LEG) + 1), given, seed)
  points = draws[: -(-total // LEG) + 1]
  path = np.asarray(through(points, LEG, 'spherical', draws.mean(0)))
  return snake(path[:total], columns), restore


def read_target(path: Path) -> np.ndarray:
  """A picture as float [h, w, 3] in [0, 1]. Raises UserError."""
  if not path.is_file():
    raise UserError(f'there is no picture {path}. Use the name of a file with --target')
  return eight_bit(path, 3, (255, 255, 255)).astype(np.float32) / 255


def compose(image: np.ndarray, bank: np.ndarray, rows: int, columns: int, seed: int):
  """The sample of each tile of a mosaic, int [rows, columns], the target's colour there, float
  [tiles, C], and the score."""
  from PIL import Image

  channels = bank.shape[-1]
  if channels not in (1, 3):
    raise UserError(f'a mosaic needs images of 1 or 3 channels, but this run has {channels}')
  size = columns * PATCH, rows * PATCH
  small = Image.fromarray(np.round(image * 255).astype(np.uint8)).resize(size, Image.Resampling.BOX)
  target = np.asarray(small if channels == 3 else small.convert('L'), np.float32) / 255
  cells = mosaic.cells(target.reshape(*target.shape[:2], channels), rows, columns, PATCH)
  colours = cells.reshape(rows * columns, -1, channels).mean(1)
  features = mosaic.patches(bank.astype(np.float32) / 255, PATCH)
  cells = mosaic.matched(cells, features, channels)
  choice = mosaic.choose(*(mosaic.emphasised(x, channels) for x in (cells, features)))
  other = np.random.default_rng(seed).integers(len(bank), size=choice.shape)
  error = lambda chosen: np.square(features[chosen] - cells).mean(-1).ravel()
  return choice, colours, {'error': Score(error(choice), {'random samples': error(other)}, 'lower')}


def tinted(bank, choice, colours, share: float, first: int, n: int) -> np.ndarray:
  """n tiles of a mosaic from the first on, each with a share of its colour, float [n, H, W, C]."""
  images = bank[choice[first : first + n]].astype(np.float32) / 255
  return (1 - share) * images + share * colours[first : first + n, None, None]


def with_progress(bands, height: int, progress):
  """Yields the bands of a picture, and reports how many of its rows there were."""
  done = 0
  for band in bands:
    yield band
    done += len(band)
    progress(done, height)
