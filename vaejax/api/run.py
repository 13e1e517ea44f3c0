"""A trained run in Python: it encodes, decodes, samples, scores, transfers styles, classifies."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import numpy as np
from numpy.typing import ArrayLike

from vaejax import scores
from vaejax.api import inputs, programs
from vaejax.api.loaded import Loaded
from vaejax.data.classes import named_by_numbers
from vaejax.errors import UserError
from vaejax.inference import by_class
from vaejax.lookup import nearest, task_names

if TYPE_CHECKING:
  from vaejax.api.stream import Stream

Latents: TypeAlias = np.ndarray | tuple[np.ndarray, ...]


class Run(Loaded):
  """A trained run, as `load` returns it.

  Images go in as uint8 or as floats in [0, 1], [N, H, W, C] (or [N, H, W] with one channel), and
  come out as float32 in [0, 1]; if the run was trained on real numbers, both are in their own
  units. Videos are [N, T, H, W, C]. Other fields of the examples are given by name, as in
  label=labels, one for each example or one for all. Every method raises UserError, in one line, for
  input that it cannot use.

  The result for an example does not depend on how many there are. Any thread may use a run. Its
  attributes (folder, config, example, method, variables, step, data_dir, data, log) are those of
  Loaded.
  """

  def __getattr__(self, name: str) -> Any:
    """A task of vaejax/tasks as a method, for example run.inpaint(images, mask='half')."""
    if name in task_names():
      return self._task(name)
    raise AttributeError(f'a Run has no {name!r}{nearest(name, dir(self))}')

  def __dir__(self) -> list[str]:
    return sorted({*super().__dir__(), *task_names()})

  def encode(
    self, images: ArrayLike, *, draw: bool = False, seed: int = 0, **fields: Any
  ) -> Latents:
    """Returns the mean of q(z|x) for every image, [N, ...] float32, or with `draw` a sample of it.

    A run with several latents returns a tuple of arrays, which are int32 if they are codes.
    """
    rows, n = self._rows('encode', images, fields)
    return self._run('draw' if draw else 'encode', rows, n, seed)

  def decode(self, latents: ArrayLike | tuple[ArrayLike, ...], **fields: Any) -> np.ndarray:
    """Returns the mean of p(x|z), [N, H, W, C] float32, for latents as `encode` returns them."""
    self._check('decode')
    z = inputs.latents(latents, self.latents())
    n = len(jax.tree.leaves(z)[0])
    rows = inputs.fields(fields, (), self._conditions, n, self.example)
    return self._run('decode', {**rows, 'latents': z}, n)

  def reconstruct(self, images: ArrayLike, **fields: Any) -> np.ndarray:
    """Returns reconstructions from the means of the latents, [N, H, W, C] float32. The frames of a
    video are decoded from the latents and the frames before them."""
    rows, n = self._rows('reconstruct', images, fields)
    return self._run('reconstruct', rows, n)

  def sample(
    self,
    n: int,
    *,
    seed: int = 0,
    temperature: float = 1.0,
    draw: bool = False,
    **given: Any,
  ) -> np.ndarray:
    """Returns n samples, [n, H, W, C] or [n, T, H, W, C] float32. With the same seed, a smaller n
    returns the first of them.

    Args:
      temperature: scale of the prior's standard deviation.
      draw: return a draw from p(x|z) instead of its mean.
      given: conditions, if the method has any: label=3, label='dog' by the name of a class, or a
        label for each. If classes are called by other numbers, such as 1 to 10, label=3 is the one
        of this name. Or video=frames [n, k, H, W, C], the first frames, which the samples continue.
        Or source=pictures [n, h, w, c], or one [h, w, c] of which there are n versions.
    """
    self._check('sample')
    inputs.integer('n', n, 0)
    inputs.nonnegative('temperature', temperature)
    needed = tuple(name for name in self._conditions if name != 'label')
    rows = inputs.fields(given, self.method.given, needed, n, self.example)
    settings = {'temperature': np.float32(temperature), 'draw': bool(draw)}
    return self._run('sample', rows, n, seed, **settings)

  def log_prob(
    self, images: ArrayLike, *, samples: int = 500, seed: int = 0, **fields: Any
  ) -> np.ndarray:
    """Returns log p(x) of every image in nats, [N] float32, by importance sampling (Burda et al.
    2016, equation 8). On average it is a lower bound, which more samples make tighter."""
    rows, n = self._rows('log_prob', images, fields)
    self._check_binary(rows[self.example.data])
    samples = inputs.integer('samples', samples, 1)
    return self._run('log_prob', rows, n, seed, programs.SCORED, samples=samples)

  def score(
    self,
    images: ArrayLike,
    *,
    draws: int = scores.DRAWS,
    samples: int = scores.SAMPLES,
    background: 'Run | None' = None,
    **fields: Any,
  ) -> dict[str, np.ndarray]:
    """Returns anomaly scores of every image, {name: [N] float32}, larger for less likely ones.

    They are 'neg_elbo', 'neg_log_prob' (-log p(x) by importance sampling), 'recon' and 'kl' in
    nats, 'squared_error' of the reconstruction, summed over elements in the range inside the
    method, and 'error_per_variation', which divides that by the image's total variation. Scores
    that the method does not have are left out. The random draws are fixed, so an image always has
    the same score.

    Args:
      draws: number of draws of the latents, for the ELBO and its terms.
      samples: number of importance samples.
      background: another run on the same kind of images. Adds 'ratio', the log of the ratio of
        likelihoods p_background(x) / p(x), in nats (Ren et al. 2019).
    """
    rows, n = self._rows('score', images, fields)
    self._check_binary(rows[self.example.data])
    settings = {'draws': inputs.integer('draws', draws, 1)}
    settings['samples'] = inputs.integer('samples', samples, 1)
    values = self._run('score', rows, n, 0, programs.SCORED, **settings)
    values = {name: values[name] for name in scores.NAMES if name in values}
    if background is not None:
      self.check_score('neg_log_prob')
      background.check_score('neg_log_prob')
      values[scores.RATIO] = (
        values['neg_log_prob'] - background.score(images, **settings, **fields)['neg_log_prob']
      )
    return values

  def check_score(self, name: str = '') -> None:
    """Raises UserError if the method has no anomaly scores, or lacks the score `name`."""
    self._check('score')
    if name and name not in scores.names(self.method):
      raise UserError(f'a run of {self.config.method} has no {name}, because it has no likelihood')

  def transfer(self, images: ArrayLike, style_images: ArrayLike, **fields: Any) -> np.ndarray:
    """Returns the content of every image in the style of its style image, [N, H, W, C] float32."""
    rows, n = self._rows('transfer', images, fields)
    rows['style_image'] = inputs.pixels('style_images', style_images, self.example)
    if len(rows['style_image']) != n:
      raise UserError(
        f'there are {n} images and {len(rows["style_image"])} style images. Use the same number'
      )
    return self._run('transfer', rows, n)

  def to_image(self, sources: ArrayLike) -> np.ndarray:
    """Returns the image of every source, a picture of another domain [N, h, w, c], for a run that
    translates without pairs: [N, H, W, C] float32."""
    self._check('to_image')
    x = inputs.sources(sources, len(sources), self.example)
    return self._run('to_image', {'source': x}, len(x))

  def to_source(self, images: ArrayLike) -> np.ndarray:
    """Returns the source of every image, the reverse of `to_image`: [N, h, w, c] float32."""
    rows, n = self._rows('to_source', images, {})
    return self._run('to_source', rows, n)

  def classify(
    self,
    images: ArrayLike,
    *,
    class_prior: ArrayLike | None = None,
    draws: int = 16,
    bound: str = 'importance',
    seed: int = 0,
    **fields: Any,
  ) -> np.ndarray:
    """Returns the probability of every class, [N, classes] float32.

    A run that is conditioned on the label classifies by Bayes' rule, p(y|x) ~ p(x|y) p(y), for
    which it takes these arguments:

    Args:
      class_prior: p(y) of every class, [classes]; None: the same for all.
      draws: number of draws of the latents for each class.
      bound: 'importance' for log p(x|y) by importance sampling, 'variational' for the ELBO.
      seed: of the draws.
    """
    self._check('classify')
    if 'classify' in self.method.predict:
      if class_prior is not None:
        raise UserError('this run has a classifier, which has learned p(y). Leave out class_prior')
      rows, n = self._rows('classify', images, fields)
      return self._run('classify', rows, n)
    p = inputs.class_prior(class_prior, self.example.classes)
    if bound not in by_class.BOUNDS:
      raise UserError(f'bound={bound!r} is unknown. Use {" or ".join(by_class.BOUNDS)}')
    data = self.example.data
    rows = {data: inputs.pixels(f'{data}s', images, self.example)}
    rows |= inputs.fields(fields, (), (), len(rows[data]), self.example)
    self._check_binary(rows[data])
    settings = {'draws': inputs.integer('draws', draws, 1), 'bound': bound}
    settings['class_prior'] = p
    return self._run('classify', rows, len(rows[data]), seed, programs.SCORED, **settings)

  def stream(self, n: int = 1, *, seed: int = 0) -> 'Stream':
    """Returns n videos that go on frame by frame, see api/stream.py."""
    self._check('advance')
    from vaejax.api.stream import Stream

    return Stream(self, inputs.integer('n', n, 1), inputs.integer('seed', seed, 0, 2**32 - 1))

  def read(self, files: Any, name: str = 'files', fit: str = '') -> np.ndarray:
    """Returns pictures in the form of the run's images, float32 [N, H, W, C] in [0, 1].

    Args:
      files: paths of pictures or folders, separated by commas. Or an array, which is checked.
      name: what they are, for errors.
      fit: resize, pad or crop, how pictures of several sizes get the size of the run.
    """
    from vaejax.api import pictures

    shape = self.example.fields[self.example.data].shape
    if isinstance(files, str | Path):
      return pictures.of_files(self, self.example.data, shape, str(files), fit, None).image
    x = inputs.pixels(name, files, self.example)
    return np.asarray(self.example.to_unit(self.example.to_data(x)), np.float32)

  def conditions(self, batch: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns the fields of a batch that the run is conditioned on, as its methods take them.

    Raises UserError if the batch lacks one.
    """
    if missing := [name for name in self._conditions if name not in batch]:
      raise UserError(
        f'this run needs the {missing[0]} of every picture. Use --split=test, or in Python '
        f'{missing[0]}=...'
      )
    fields = {name: batch[name] for name in self._conditions}
    if 'label' in fields and named_by_numbers(self.example.class_names):
      names = *self.example.class_names, '-1'  # -1 is no label, and the last name
      fields['label'] = np.asarray(names)[fields['label']]
    return fields

  def _task(self, name: str) -> Callable[..., Any]:
    """Returns a task as a function (images, ...) -> Result."""
    from vaejax.api.tasks import method

    return method(self, name)
