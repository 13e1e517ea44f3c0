"""A trained run in Python: encode, decode, reconstruct, sample, score, translate, classify."""

import math
import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

import jax
import numpy as np
from ml_collections import ConfigDict
from numpy.typing import ArrayLike

from vaejax.api import inputs, programs
from vaejax.errors import UserError
from vaejax.runs import trained
from vaejax.types import Example, Method, Variables, averaged, zeros

Latents: TypeAlias = np.ndarray | tuple[np.ndarray, ...]


def load(
  workdir: str | PathLike[str],
  checkpoint: str | int = 'latest',
  member: int | None = None,
  weights: Literal['ema', 'raw'] = 'ema',
) -> 'Run':
  """The run in a workdir, or one member of a sweep, ready to be asked. No data is read.

  Args:
    workdir: the run's folder.
    checkpoint: 'latest', 'best' or a step.
    member: of a sweep, its number in members.csv.
    weights: 'ema', the average where one is kept, or 'raw'.

  Raises UserError where there is no such run, member or checkpoint. A checkpoint that cannot be
  read, and is passed over for the one before, is a warning.
  """
  if weights not in ('ema', 'raw'):
    raise UserError(f'weights={weights!r}: it takes ema or raw')
  if member is not None:
    inputs.count('member', member, 0)
  if not isinstance(workdir, str | PathLike):
    raise UserError(f'workdir={workdir!r}: it takes the folder of a trained run')
  folder, passed_over = Path(workdir).expanduser(), []
  opened = trained.open_run(folder, passed_over.append, str(checkpoint), member=member)
  for text in passed_over:
    warnings.warn(text, stacklevel=2)
  return Run(opened, weights)


class Run:
  """A trained run, as `load` gives it.

  Images go in as uint8 or as floats in [0, 1], [N, H, W, C] ([N, H, W] of one channel) of any N,
  and come out as float32 in [0, 1]; of a run of real numbers both are in the data's own units.
  Videos are [N, T, H, W, C]. What else an example has goes by name, as in label=labels, one of each
  example or one for all. Every method raises UserError, in one line, for what it cannot take.

  What it gives of an example does not depend on how many there are. It may be used from any thread.

  Attributes:
    folder: where what is made of it goes: the workdir, or the member's own folder in a sweep's.
    config: the run's config.
    example: shapes, classes and range of its data, see vaejax.types.
    method: its pure functions, which take data in its own range, see vaejax.types.
    variables: what its nets hold, the average or the raw ones.
    step: of the checkpoint.
    data_dir: where its data was, None for the default place.
  """

  def __init__(self, opened: trained.TrainedRun, weights: str):
    self.folder: Path = opened.folder
    self.config: ConfigDict = opened.config
    self.example: Example = opened.example
    self.method: Method = opened.method
    self.step = int(opened.state.step)
    self.data_dir: str | None = opened.data_dir
    self.variables: Variables = (
      averaged(opened.state) if weights == 'ema' else opened.state.variables
    )
    self._programs = programs.make(self.method, self.example)
    self._conditions = self.method.latent.conditions if self.method.latent else ()
    *frames, _, _, _ = self.example.fields[self.example.data].shape
    self._at_once = max(1, programs.AT_ONCE // (frames or [1])[0])

  def __repr__(self) -> str:
    return f'<Run {self.folder}: {self.config.method} of {self.config.data.name}, step {self.step}>'

  def encode(
    self, images: ArrayLike, *, draw: bool = False, seed: int = 0, **fields: Any
  ) -> Latents:
    """The mean of q(z|x) of every image, [N, ...] float32, or a tuple of arrays where there are
    several latents (whole numbers where they are codes); with `draw` a draw from it."""
    rows, n = self._rows('encode', images, fields)
    return self._run('draw' if draw else 'encode', rows, n, seed)

  def decode(self, latents: ArrayLike | tuple[ArrayLike, ...], **fields: Any) -> np.ndarray:
    """The mean of p(x|z) of latents as `encode` gives them: [N, H, W, C] float32."""
    self._check('decode')
    z = inputs.latents(latents, self._latents())
    n = len(jax.tree.leaves(z)[0])
    rows = inputs.fields(fields, self._conditions, self._conditions, n, self.example)
    return self._run('decode', {**rows, 'latents': z}, n)

  def reconstruct(self, images: ArrayLike, **fields: Any) -> np.ndarray:
    """Images from their latents' means, [N, H, W, C] float32; of a video every frame from the
    latents and the frames before it."""
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
    """n samples, [n, H, W, C] or [n, T, H, W, C] float32. The same seed gives the same ones, of
    which a smaller n gives the first.

    Args:
      seed: of the draw.
      temperature: scale of the prior's standard deviation.
      draw: a draw from p(x|z) rather than its mean.
      given: what they are conditioned on, where the method can be: label=3, or one of each; or
        video=frames [n, k, H, W, C], the first frames that they go on from.
    """
    self._check('sample')
    inputs.count('n', n, 0)
    real = isinstance(temperature, int | float | np.number) and not isinstance(temperature, bool)
    if not real or not 0 <= temperature < math.inf:
      raise UserError(f'temperature={temperature!r}: it takes a number from 0 up')
    rows = inputs.fields(given, self.method.given, (), n, self.example)
    settings = {'temperature': np.float32(temperature), 'draw': bool(draw)}
    return self._run('sample', rows, n, seed, **settings)

  def log_prob(
    self, images: ArrayLike, *, samples: int = 500, seed: int = 0, **fields: Any
  ) -> np.ndarray:
    """log p(x) in nats of every image, [N] float32, by importance sampling (Burda et al. 2016,
    equation 8): a lower bound on average, which rises with the samples."""
    rows, n = self._rows('log_prob', images, fields)
    x = rows[self.example.data]
    top = 255 if x.dtype == np.uint8 else 1
    if self.example.levels == 2 and not np.isin(x, (0, top)).all():
      raise UserError(
        'this run is of binary images, and what has other values has no probability: binarise them '
        'first, as (images > 127).astype(np.float32)'
      )
    samples = inputs.count('samples', samples, 1)
    return self._run('log_prob', rows, n, seed, programs.SCORED, samples=samples)

  def translate(self, images: ArrayLike, style_images: ArrayLike, **fields: Any) -> np.ndarray:
    """What every image shows, in the style of its style image: [N, H, W, C] float32."""
    rows, n = self._rows('translate', images, fields)
    rows['style_image'] = inputs.pixels('style_images', style_images, self.example)
    if len(rows['style_image']) != n:
      raise UserError(f'{n} images and {len(rows["style_image"])} style images: give one of each')
    return self._run('translate', rows, n)

  def classify(self, images: ArrayLike, **fields: Any) -> np.ndarray:
    """The probability of every class, [N, classes] float32."""
    rows, n = self._rows('classify', images, fields)
    return self._run('classify', rows, n)

  def conditions(self, batch: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The fields of a batch that its examples are conditioned on, as other methods take them."""
    return {name: batch[name] for name in self._conditions}

  def _check(self, name: str) -> None:
    """Raises UserError where the method has no such program."""
    if name not in self._programs:
      known = ', '.join(n for n in self._programs if n != 'draw')
      raise UserError(f'a run of {self.config.method} has no {name}: it has {known}')

  def _rows(self, name: str, images: Any, fields: dict) -> tuple[dict[str, np.ndarray], int]:
    """Images and the fields that they are conditioned on, checked, and how many they are."""
    self._check(name)
    data = self.example.data
    x = inputs.pixels(f'{data}s', images, self.example)
    wants = self._conditions
    return {data: x, **inputs.fields(fields, wants, wants, len(x), self.example)}, len(x)

  def _latents(self) -> Any:
    """The shape and dtype of one example's latents."""
    look = lambda: self.method.predict['encode'](
      self.variables, zeros(self.example, 1), jax.random.key(0)
    )['mean']
    found = jax.eval_shape(look)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), found)

  def _run(self, name: str, rows, n: int, seed: int = 0, size: int | None = None, **settings):
    """What a program gives of n rows."""
    key = jax.random.key(inputs.count('seed', seed, 0, 2**32 - 1))
    program = lambda rows, index: self._programs[name](self.variables, rows, index, key, **settings)
    return programs.in_batches(program, rows, n, size or self._at_once)
