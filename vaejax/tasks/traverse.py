"""Move one latent at a time and see what changes, with the name of the factor that it moves.

Each latent goes from -range to +range standard deviations around its mean, while the others stay as
in the picture, or with around=mean at their means. If the prior is N(0, I), mean and deviation are
0 and 1. A learned prior, and one for each class, has no scale along an axis, so they are those of
the aggregate posterior: of draws of q(z|x) of training rows.

Latents are ordered by their KL on training rows, KL(q(z_j|x) || p(z_j)) in nats. If the prior has
no KL for each latent, such as a mixture, it is that to the Gaussian with mean and variance of the
aggregate posterior.

If the data has factors, the picture has a heat map: the mutual information of the mean of each
latent and each factor, over the factor's entropy (20 bins; less the value of rows in random order).
A latent is named by the factors with which it shares a tenth of their entropy or more.
"""

import jax
import numpy as np

from vaejax.errors import UserError
from vaejax.evaluation.attribute_rows import available
from vaejax.inference import space, traversal
from vaejax.inference.flat import flatten
from vaejax.reporting.labelled_grid import labelled_grid
from vaejax.reporting.previews import shown
from vaejax.reporting.titled import titled
from vaejax.task_type import Result, Setting

SETTINGS = {
  'latents': Setting(10, 'latents that are shown, from the one of the largest KL on', low=1),
  'steps': Setting(9, 'pictures of each latent', low=2, high=101),
  'range': Setting(3.0, 'standard deviations on both sides', low=0.01, high=100),
  'around': Setting('picture', 'where the other latents are', ('picture', 'mean')),
  'rows': Setting(5000, 'training rows for KL and mutual information', low=2),
}
ROWS = 1
NAMED = 0.1  # share of a factor's entropy from which on a latent is named by it
FRAMES = 24  # of the GIF


def run(model, pictures, settings, seed, progress) -> Result:
  """The pictures, [N, latents, steps, H, W, C]; N is 1 around the mean. The first is shown."""
  space.check_continuous(model, 'traverse')
  if model.method.latent is None:
    raise UserError('traverse needs a latent-variable model. Use a VAE')
  data = statistics(model, pictures.train, settings['rows'], seed, progress)
  area = space.measure(model, pictures.train, seed)
  centre, scale = (flatten(jax.tree.map(lambda x: x[None], s))[0][0] for s in area[:2])
  order = np.argsort(-data['kl'], kind='stable')[: settings['latents']]
  given = model.conditions(pictures.fields)
  start = model.encode(pictures.image, **given)
  if settings['around'] == 'mean':
    start = jax.tree.map(lambda x: np.asarray(x)[None], area.centre)
    given = {k: v[:1] for k, v in given.items()}
  units = np.linspace(-settings['range'], settings['range'], settings['steps'])
  x = decode(model, start, given, centre, scale, order, units)
  wave = settings['range'] * np.sin(2 * np.pi * np.arange(FRAMES) / FRAMES)
  few = jax.tree.map(lambda z: z[:1], start), {k: v[:1] for k, v in given.items()}
  moving = decode(model, *few, centre, scale, order, wave)[0]
  names = [name for name, _ in model.example.factors]
  shares = data.get('shares')
  titles = [title(j, data['kl'][j], names, shares) for j in order]
  columns = [f'{unit:+.2g} sd' if unit else '0' for unit in units]
  table = None if shares is None else shares[order]
  picture = labelled_grid(
    list(zip(titles, shown(x[0], model.example), strict=True)),
    columns,
    table,
    names,
    'MI / entropy' if shares is not None else '',
  )
  moving = shown(moving, model.example)
  frames = [titled(list(zip(titles, moving[:, t : t + 1], strict=True))) for t in range(FRAMES)]
  arrays = {'kl': data['kl'], 'latents': order}
  if shares is not None:
    arrays['information'] = shares
  about = {'scale': area.origin, 'range': settings['range']}
  return Result(x, picture=picture, frames=np.stack(frames), protocol=about, arrays=arrays)


def statistics(model, train, n: int, seed: int, progress) -> dict:
  """Of n training rows: 'kl' [L] and, with factors, 'shares' [L, F]."""
  example, key = model.example, jax.random.key(seed)

  @jax.jit
  def program(variables, batch, key):
    inside = {example.data: example.to_data(batch[example.data])}
    if 'source' in batch:  # which need not have the levels of the data
      inside['source'] = example._replace(levels=256).to_data(batch['source'])
    return traversal.posterior(model.method, variables, batch | inside, key)

  parts, factors, done, total = [], [], 0, available(model, n)
  for rows in train(n):
    for first in range(0, len(rows[example.data]), 256):
      batch = {k: v[first : first + 256] for k, v in rows.items()}
      part = program(model.variables, batch, jax.random.fold_in(key, done))
      parts.append(jax.device_get(part))
      done += len(batch[example.data])
      progress(done, total)
    factors.append(rows.get('factors'))
  mean, scale = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
  if parts[0].kl is None:
    kl = traversal.kl_to_gaussian(mean, scale)
  else:
    kl = np.concatenate([part.kl for part in parts]).mean(axis=0)
  result = {'kl': kl}
  if example.factors and factors[0] is not None:
    result['shares'] = traversal.corrected(mean, np.concatenate(factors), seed)
  return result


def decode(model, start, given, centre, scale, order, units) -> np.ndarray:
  """Pictures [N, K, T, H, W, C] of N starts, in which latent order[k] is units[t] deviations from
  its mean."""
  values = centre[order, None] + scale[order, None] * units[None]
  z = traversal.moves(start, values, order)
  count = len(order) * len(units)
  x = model.decode(z, **{k: np.repeat(v, count, axis=0) for k, v in given.items()})
  return x.reshape(-1, len(order), len(units), *x.shape[1:])


def title(j: int, kl: float, names, shares) -> str:
  """The title of a latent: its number, its KL, and what it moves."""
  lines = [f'z{j}  {kl:.2f} nats']
  if shares is not None:
    best = np.argsort(-shares[j], kind='stable')
    moved = [names[f] for f in best if shares[j, f] >= NAMED]
    lines.append(', '.join(moved) or 'no factor')
  return '\n'.join(lines)
