"""Translate pictures of one domain to another, such as emoji of one designer to the other's.

For a run with a `data.source`: a conditional VAE (configs/translate.py), of which each version has
its own draw of the latents, or two VAEs with shared latents (configs/unit.py), which also translate
back with --reverse. The pictures of --inputs are of the domain that is translated.

On held-out rows, whose true translations are known, also if the run was trained without pairs, the
first version is compared with copying the input and with the nearest neighbour in the training
split: PSNR, SSIM, LPIPS (Zhang et al. 2018); `top1` and `top5`, the shares of rows whose true
picture is the nearest, or among the five nearest, of all true ones in LPIPS with AlexNet; and
`probe`, the share that a linear probe of AlexNet's features takes for the target domain's. The
first version of a conditional VAE has its latents at the mean of p(z|source).
"""

from collections.abc import Callable

import jax
import numpy as np

from vaejax.data.device import degrade
from vaejax.errors import UserError
from vaejax.lookup import nearest
from vaejax.metrics.retrieval import squared_distances
from vaejax.perceptual import translation, weights
from vaejax.task_type import Pictures, Result, Score, Setting

SETTINGS = {
  'versions': Setting(4, 'translations of each picture, if the run draws them', low=1, high=64),
  'temperature': Setting(1.0, 'scale of the noise of all versions but the first', high=10),
  'reverse': Setting(False, 'translate in the other direction'),
  'flips': Setting(False, 'average each version with that of the mirrored picture'),
  'where': Setting('', 'only rows with these factors, for example skin_tone=0'),
  'lpips_size': Setting(64, 'smaller pictures are enlarged to this side for LPIPS; 0: never'),
  'shown': Setting(12, 'pictures in the PNG', low=1, high=64),
}
ROWS = 1000  # default of --n
PROBED = 5000  # training rows that the probe is fitted to
COPY, NEAREST = 'copy', 'nearest neighbour'


def reads(model, settings) -> tuple[str, tuple[int, ...]]:
  """The field and shape of the pictures that are translated. Raises UserError."""
  translator(model, settings)
  field, _ = fields_of(settings)
  return field, model.example.fields[field].shape


def run(model, pictures: Pictures, settings, seed: int, progress: Callable[[int, int], None]):
  """Returns translations [N, versions, H, W, C], one version if the run draws none."""
  translate = translator(model, settings)
  _, target = fields_of(settings)
  kept = chosen(model, pictures, settings['where'])
  every = {**pictures.fields, 'image': pictures.image}
  x, truth = (
    every[name][kept] if every.get(name) is not None else None for name in fields_of(settings)
  )
  drawn = 1 if f'to_{target}' in model.method.predict else settings['versions']
  scored = pictures.held_out and truth is not None
  steps, done = drawn + 6 * scored, 0

  def advance():
    nonlocal done
    done += 1
    progress(done, steps)

  versions = []
  # seed + number would be the next seed's version before it.
  for number, own in enumerate(np.random.SeedSequence(seed).generate_state(drawn)):
    versions.append(translate(x, int(own), settings['temperature'] if number else 0.0))
    advance()
  versions = np.stack(versions, axis=1)
  outputs, scores, protocol = {'': versions[:, 0], COPY: as_shape(x, versions.shape[2:])}, {}, {}
  if scored:
    outputs[NEAREST], how = nearest_neighbour(model, pictures, x, settings)
    advance()
    scores, protocol = evaluate(model, pictures, outputs, truth, settings, advance)
    protocol |= {NEAREST: how, 'scored': 'the first version', 'where': settings['where'] or 'all'}
  rows = table(model, x, versions, truth, outputs.get(NEAREST), settings)
  return Result(versions, rows, scores=scores, protocol=protocol)


def fields_of(settings) -> tuple[str, str]:
  """The field that is translated, and that of its translation."""
  return ('image', 'source') if settings['reverse'] else ('source', 'image')


def translator(model, settings) -> Callable[[np.ndarray, int, float], np.ndarray]:
  """A function (pictures [N, H, W, C], seed, temperature) -> their translations. Raises UserError
  for a run that has none in this direction."""
  method, (_, target) = model.method, fields_of(settings)
  source = model.config.data.get('source', '')
  spec = degrade.parse(source) if source else None
  if f'to_{target}' in method.predict:
    convert = getattr(model, f'to_{target}')
    translate = lambda x, seed, temperature: convert(x)
  elif method.latent is None or 'source' not in method.latent.conditions:
    raise UserError(
      f'a run of {model.config.method} does not translate. Train configs/translate.py with pairs, '
      'or configs/unit.py without'
    )
  elif spec.kind == 'mask':
    raise UserError(f'this run completes pictures (data.source={source}). Use inpaint')
  elif settings['reverse']:
    a, b = spec.value if spec.kind == 'domain' else ('', '')
    other = f' with data.source=domain:{b}>{a}' if a else ''
    raise UserError(
      f'a run of {model.config.method} translates in one direction. Train another one{other}, or '
      'configs/unit.py, which has both'
    )
  else:
    translate = lambda x, seed, temperature: model.sample(
      len(x), seed=seed, temperature=temperature, source=x
    )
  if not settings['flips']:
    return translate
  mirror = lambda x: x[:, :, ::-1]
  return lambda x, *how: (translate(x, *how) + mirror(translate(mirror(x), *how))) / 2


def chosen(model, pictures: Pictures, where: str) -> np.ndarray:
  """The rows with the factors of `where`, 'NAME=VALUE' separated by commas, as indices. Raises
  UserError."""
  kept = np.ones(pictures.size, bool)
  names = [name for name, _ in model.example.factors]
  for part in filter(None, where.split(',')):
    name, _, value = part.partition('=')
    if name not in names or 'factors' not in pictures.fields:
      known = f'. Use {", ".join(names)}' if names else ', because these pictures have none'
      raise UserError(f'where={where!r}: there is no factor {name!r}{nearest(name, names)}{known}')
    if not value.isdecimal():
      raise UserError(f'where={where!r}: {value!r} is not a whole number, as in {name}=0')
    kept &= pictures.fields['factors'][:, names.index(name)] == int(value)
  if not kept.any():
    raise UserError(f'where={where!r} leaves none of {pictures.size} rows')
  return np.flatnonzero(kept)


def as_shape(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """Pictures copied to the size and channels of another domain: grey is repeated or is the luma,
  further channels are dropped, and a size is changed by bicubic interpolation."""
  if x.shape[-1] == 1:
    x = np.repeat(x, shape[-1], axis=-1)
  elif shape[-1] == 1:
    x = np.asarray(degrade.grey(x[..., :3]))
  x = x[..., : shape[-1]]
  if x.shape[1:] != tuple(shape):
    x = np.clip(jax.image.resize(x, (len(x), *shape), 'cubic'), 0, 1)
  return np.asarray(x, np.float32)


def nearest_neighbour(model, pictures: Pictures, x: np.ndarray, settings):
  """For each picture [N, H, W, C] one of the target domain in the training split, and in words how.

  It is the translation of the source with the smallest squared error, or without pairs the target
  with the smallest squared error itself.
  """
  field, target = fields_of(settings)
  paired = model.config.data.get('paired', True)
  best, result = np.full(len(x), np.inf), None
  flat = lambda x: x.reshape(len(x), -1)
  for part in pictures.train(None):
    near = part[field] if paired else as_shape(part[target], x.shape[1:])
    distances = np.asarray(squared_distances(flat(x), flat(near)))
    index, smallest = distances.argmin(1), distances.min(1)
    values = part[target][index]
    closer = (smallest < best)[:, None, None, None]
    result = values if result is None else np.where(closer, values, result)
    best = np.minimum(best, smallest)
  how = 'the target of the nearest input' if paired else 'the target that is nearest to the input'
  return result, f'in the training split, {how} by squared error of pixels'


def evaluate(model, pictures: Pictures, outputs, truth, settings, advance):
  """{metric: Score} of outputs {'': ours, baseline: its}, [N, H, W, C] each, and their protocol."""
  size, (field, target) = settings['lpips_size'], fields_of(settings)
  values = translation.similarities(outputs, truth, size)
  protocol = translation.protocol(truth.shape[1:], size)
  advance()
  if weights.is_installed() and truth.shape[-1] in (1, 3):
    values |= translation.retrieved(outputs, truth, size, advance)
    parts = list(pictures.train(PROBED))
    first, second = (np.concatenate([part[name] for part in parts]) for name in (field, target))
    first = as_shape(first, truth.shape[1:])
    judged = translation.judged({**outputs, 'target': truth}, first, second, size)
    share = judged.pop('target').mean()
    values['probe'] = judged
    protocol['probe'] = (
      f'logistic regression with ridge {translation.RIDGE} on AlexNet features of {len(first)} '
      f'training rows; it takes {share:.1%} of the true pictures for the target domain'
    )
    protocol['retrieval'] = f'among {len(truth)} true pictures'
  scores = {}
  for metric, rows in values.items():
    baselines = {name: x for name, x in rows.items() if name}
    scores[metric] = Score(rows[''], baselines, translation.BETTER[metric])
  return scores, protocol


def table(model, x, versions, truth, neighbours, settings) -> list[tuple[str, np.ndarray]]:
  """The rows of the picture."""
  shown = np.unique(np.linspace(0, len(x) - 1, min(len(x), settings['shown'])).astype(int))
  names = dict(zip(('source', 'image'), names_of(model), strict=True))
  of_input, of_output = (names[field] for field in fields_of(settings))
  rows = [(of_input, x[shown])]
  for number in range(versions.shape[1]):
    rows.append(('' if number else f'as {of_output}', versions[shown, number]))
  if truth is not None:
    rows.append((f'true {of_output}', truth[shown]))
  if neighbours is not None:
    rows.append(('nearest\ntraining row', neighbours[shown]))
  return rows


def names_of(model) -> tuple[str, str]:
  """What the sources and the images of a run are called in the picture."""
  spec = degrade.parse(model.config.data.source)
  if spec.kind == 'domain':
    return spec.value
  made = spec.value if spec.kind == 'style' else spec.kind
  plain = 'colour' if spec.kind == 'grey' else 'plain'
  return (plain, made) if spec.reverse else (made, plain)
