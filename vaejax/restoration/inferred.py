"""Versions of restored pictures from latents that are inferred from what is seen."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.core.batched import compiled, in_batches
from vaejax.inference.gibbs import gibbs
from vaejax.inference.importance import importance
from vaejax.inference.observation import repeat
from vaejax.inference.optimise import optimise
from vaejax.restoration.how import is_real
from vaejax.restoration.problem import Problem, conditions_of, observation_of, what_is_seen
from vaejax.task_type import Progress

GUESSES = 8  # completed pictures whose q(z|x) importance sampling draws from
ELEMENTS = 2**21  # of pictures that are decoded at once


def infer(
  model: Any,
  how: str,
  problem: Problem,
  rows: Mapping[str, np.ndarray],
  train: Callable,
  settings: Mapping[str, Any],
  seed: int,
  progress: Progress,
) -> tuple[np.ndarray, dict[str, Any]]:
  """Versions of N pictures, [N, V, H, W, C] in [0, 1], and their protocol.

  Args:
    how: 'optimise', 'gibbs' or 'importance'.
    rows: the fields of the pictures, as the run's methods take them.
    train: see task_type.Pictures.
    settings: see how.SETTINGS.
  """
  latent, example = model.method.latent, model.example
  observation = observation_of(problem.kind, example)
  seen, protocol = what_is_seen(problem, model, train)
  versions, n, real = settings['versions'], len(problem.source), is_real(model)
  # Draws belong to guesses in pairs, see inference.importance.
  draws = -(-settings['draws'] // (2 * GUESSES)) * 2 * GUESSES

  def decode(v, z, seen, given):
    """The means of x given z and what is seen."""
    count = len(jax.tree.leaves(z)[0])
    x = latent.likelihood(v, z, repeat(given, count))[0].mean
    return observation.expected(x, repeat(seen, count))

  def modes(v, seen, given, key, count):
    of = latent, v, observation, seen, given, key, count
    return optimise(*of, settings['steps'], settings['rate'])

  def chains(v, seen, given, key, count):
    return gibbs(latent, v, observation, seen, given, key, count, settings['sweeps'])

  def guess(v, seen, given, key):
    """Completed pictures near the posterior: modes, or, of codes, the ends of chains."""
    if real:
      return decode(v, modes(v, seen, given, key, GUESSES).z, seen, given)
    if observation.impose:
      return chains(v, seen, given, key, GUESSES).image
    return observation.start(repeat(seen, 1))

  def one(v, seen, given, key):
    """The versions of one picture in the data's range, and the number of effective draws."""
    if how == 'optimise':
      return decode(v, modes(v, seen, given, key, versions).z, seen, given), jnp.ones(())
    if how == 'gibbs':
      return chains(v, seen, given, key, versions).image, jnp.ones(())
    guess_key, key = jax.random.split(key)
    guesses = guess(v, seen, given, guess_key)
    drawn = importance(latent, v, observation, seen, given, key, versions, draws, guesses)
    return decode(v, drawn.z, seen, given), drawn.effective_samples

  def program(v, part, index, key):
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
    x, effective = jax.vmap(one, (None, 0, 0, 0))(v, part['seen'], part['given'], keys)
    return example.to_unit(x).astype(jnp.float32), effective

  run, key = compiled(program, None), jax.random.key(seed)

  def shown(part, index):
    progress(int(index[0]), n)
    return run(model.variables, part, index, key)

  pixels = int(np.prod(example.fields['image'].shape))
  size = min(n, max(1, ELEMENTS // (pixels * (draws if how == 'importance' else versions))))
  given = conditions_of(rows, model)
  image, effective = in_batches(shown, {'seen': seen, 'given': given}, n, size)
  # The guesses of importance sampling are modes or ends of chains.
  guessing = ('steps', 'rate') if real else ('sweeps',) if observation.impose else ()
  used = {'optimise': ('steps', 'rate'), 'gibbs': ('sweeps',), 'importance': ('draws', *guessing)}
  protocol |= {'how': how, **{name: settings[name] for name in used[how]}}
  if how == 'importance':
    protocol['effective_draws'] = float(np.median(effective))
  return image, protocol
