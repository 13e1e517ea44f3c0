"""Versions of restored pictures, by a model that was trained for it or by inference of latents."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.core.batched import compiled, in_batches
from vaejax.errors import UserError
from vaejax.inference.gibbs import gibbs
from vaejax.inference.importance import importance
from vaejax.inference.observation import Observation
from vaejax.inference.optimise import check_real, optimise
from vaejax.task_type import Progress, Setting
from vaejax.types import zeros

HOWS = 'auto', 'model', 'optimise', 'gibbs', 'importance'
SETTINGS = {
  'how': Setting(
    'auto',
    'model: a run that was trained for it; optimise, gibbs or importance: latents of any run, given '
    'what is seen; auto: the first that the run can',
    HOWS,
  ),
  'versions': Setting(8, 'number of versions of each picture', low=1, high=256),
  'steps': Setting(200, 'steps of optimise', low=1, high=10**5),
  'rate': Setting(0.2, 'rate of optimise, the first step in every latent', high=10),
  'sweeps': Setting(50, 'sweeps of gibbs', low=1, high=10**5),
  'draws': Setting(256, 'draws of importance', low=2, high=10**5),
}
GUESSES = 8  # completions whose q(z|x) importance sampling draws from
ELEMENTS = 2**21  # of pictures that are decoded at once


class Versions(NamedTuple):
  """Restored pictures, and how.

  Attributes:
    image: [N, V, H, W, C] in [0, 1].
    protocol: what they depend on.
  """

  image: np.ndarray
  protocol: Mapping[str, Any]


def trained_for(model: Any) -> str:
  """The source that a run predicts images from, as its data.source; '' for any other run."""
  latent = model.method.latent
  if latent is None or 'source' not in latent.conditions:
    return ''
  return model.config.data.get('source', '')


def fits(trained: str, kind: str) -> bool:
  """Whether a run that was trained for one source can be used for another."""
  return trained == kind or (trained == 'mask:any' and kind.startswith('mask:'))


def choose(model: Any, kind: str, observation: Observation, settings: Mapping[str, Any]) -> str:
  """How versions are made: 'model', 'optimise', 'gibbs' or 'importance'.

  Args:
    kind: the source that is given, as in data.source.

  Raises UserError, before any work, for a run that cannot do it.
  """
  example, latent, how = model.example, model.method.latent, settings['how']
  if example.data != 'image' or example.units:
    what = 'real numbers' if example.units else 'videos'
    raise UserError(f'pictures are restored in [0, 1], but this run is of {what}. Use another run')
  if latent is None:
    raise UserError(
      f'a run of {model.config.method} has no p(x|z) to restore pictures with. Use a latent-variable '
      'model, such as configs/vae.py'
    )
  trained = trained_for(model)
  if 'source' in latent.conditions and not fits(trained, kind):
    raise UserError(
      f'this run was trained with data.source={trained}, and not for {kind}. Use a run with '
      f'data.source={kind}, or one without a source'
    )
  if how == 'auto':
    how = 'model' if trained else 'optimise' if is_real(model) else 'importance'
  if how == 'model' and not trained:
    raise UserError(
      f'--how=model needs a run that was trained with data.source={kind}. Train one, or use '
      '--how=optimise'
    )
  if how == 'optimise':
    check_real(latent, model.variables, 1, zeros(example, 1))
  if how == 'gibbs' and not observation.imposed:
    raise UserError(
      'Gibbs sampling needs a part of the picture that is known without noise. Use --how=optimise '
      'or --how=importance'
    )
  return how


def is_real(model: Any) -> bool:
  """Whether all latents are real numbers."""
  try:
    check_real(model.method.latent, model.variables, 1, zeros(model.example, 1))
    return True
  except UserError:
    return False


def make(
  model: Any,
  how: str,
  observation: Observation,
  seen: Mapping[str, np.ndarray],
  given: Mapping[str, np.ndarray],
  settings: Mapping[str, Any],
  seed: int,
  progress: Progress,
) -> Versions:
  """Versions of N pictures.

  The first version of 'model' decodes the mean of p(z|source), and the others draws of it. Those of
  'optimise' are sorted by their posterior density. Those of 'gibbs' and 'importance' are draws.

  Args:
    how: see choose.
    seen: what was observed, arrays [N, ...] in the data's own range.
    given: the conditions of the run, as its methods take them, 'source' among them if it has it.
  """
  if how == 'model':
    return by_model(model, given, settings, seed, progress)
  return by_inference(model, how, observation, seen, given, settings, seed, progress)


def by_model(model, given, settings, seed: int, progress: Progress) -> Versions:
  """Versions by a run that was trained for the task."""
  n, versions = len(given['source']), settings['versions']
  parts, size = [], max(1, 256 // versions)
  words = np.random.SeedSequence(seed).generate_state(-(-n // size))
  mean = model.sample(n, seed=seed, temperature=0.0, **given)[:, None]
  for first, word in zip(range(0, n, size), words, strict=True):
    rows = {k: np.repeat(x[first : first + size], versions - 1, 0) for k, x in given.items()}
    count = len(rows['source'])
    drawn = model.sample(count, seed=int(word), **rows) if count else mean[:0, 0]
    parts.append(drawn.reshape(-1, versions - 1, *mean.shape[2:]))
    progress(min(first + size, n), n)
  drawn = np.concatenate(parts) if versions > 1 else mean[:, :0]
  about = {'how': 'model', 'first_version': 'mean of p(z|source)'}
  return Versions(np.concatenate([mean, drawn], axis=1), about)


def by_inference(model, how, observation, seen, given, settings, seed, progress) -> Versions:
  """Versions from latents that are inferred from what is seen."""
  latent, example, versions = model.method.latent, model.example, settings['versions']
  v, n = model.variables, len(next(iter(seen.values())))
  # Draws belong to guesses in pairs, see inference.importance.
  draws = -(-settings['draws'] // (2 * GUESSES)) * 2 * GUESSES
  real = is_real(model)

  def decode(v, z, seen, given):
    p, _ = latent.likelihood(v, z, repeat(given, len(jax.tree.leaves(z)[0])))
    x = p.mean
    return observation.impose(x, repeat(seen, len(x))) if observation.imposed else x

  def modes(v, seen, given, key, count):
    number = settings['steps'], settings['rate']
    return optimise(latent, v, observation, seen, given, key, count, *number)

  def chains(v, seen, given, key, count):
    return gibbs(latent, v, observation, seen, given, key, count, settings['sweeps'])

  def weighted(v, seen, given, key):
    """Importance resampling around the modes, or around the ends of chains if z is a code."""
    guess_key, key = jax.random.split(key)
    if real:
      guesses = decode(v, modes(v, seen, given, guess_key, GUESSES).z, seen, given)
    elif observation.imposed:
      guesses = chains(v, seen, given, guess_key, GUESSES).image
    else:
      guesses = observation.start(jax.tree.map(lambda x: x[None], seen))
    of = latent, v, observation, seen, given, key, versions, draws
    return importance(*of, guesses)

  def one(v, seen, given, key):
    """The versions of one picture in the data's range, and a value that describes them."""
    if how == 'optimise':
      found = modes(v, seen, given, key, versions)
      return decode(v, found.z, seen, given), found.log_joint
    if how == 'gibbs':
      found = chains(v, seen, given, key, versions)
      return found.image, jnp.zeros(())
    found = weighted(v, seen, given, key)
    return decode(v, found.z, seen, given), found.effective_samples

  def program(v, rows, index, key):
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
    x, value = jax.vmap(one, (None, 0, 0, 0))(v, rows['seen'], rows['given'], keys)
    return example.to_unit(x).astype(jnp.float32), value

  run, key = compiled(program, None), jax.random.key(seed)

  def part(rows, index):
    progress(int(index[0]), n)
    return run(v, rows, index, key)

  at_once = draws if how == 'importance' else versions
  pixels = int(np.prod(example.fields['image'].shape))
  size = min(n, max(1, ELEMENTS // (pixels * at_once)))
  given = {name: np.asarray(x) for name, x in given.items()}
  image, value = in_batches(part, {'seen': seen, 'given': given}, n, size)
  names = {'optimise': ('steps', 'rate'), 'gibbs': ('sweeps',)}
  used = names.get(how, ('steps', 'rate', 'draws') if real else ('sweeps', 'draws'))
  about = {'how': how, **{name: settings[name] for name in used}}
  if how == 'importance':
    about['effective_samples'] = float(np.median(value))
  return Versions(image, about)


def repeat(tree: Any, n: int) -> Any:
  """n copies of one example, a tree of arrays [...] -> [n, ...]."""
  return jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *jnp.shape(x))), tree)


Degrade = Callable[[jax.Array], jax.Array]
