"""A trained run in memory: its variables, and its programs on rows that are checked."""

import copy
import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np
from ml_collections import ConfigDict

from vaejax.api import inputs, programs
from vaejax.core.batched import in_batches
from vaejax.errors import UserError
from vaejax.inference import space
from vaejax.runs import trained
from vaejax.types import Example, Method, Variables, averaged


class Loaded:
  """What the methods of a Run are made of.

  Attributes:
    folder: for outputs: the workdir, or SWEEP/members/K of a member.
    config: the run's config.
    example: shapes, classes and range of its data, see vaejax.types.
    method: its pure functions, which take data in its own range, see vaejax.types.
    variables: parameters and statistics of its nets, averaged or raw.
    step: the step of the checkpoint.
    weights: which of its weights these are, 'ema' or 'raw'.
    data_dir: the folder of its data, None for the default one.
    data: {split: what identifies the rows that it was trained on}, as config.json has it.
    log: gets a line if data that is read differs from that; by default a warning.
  """

  def __init__(
    self, opened: trained.TrainedRun, weights: str, log: Callable[[str], None] = warnings.warn
  ):
    self.folder: Path = opened.folder
    self.config: ConfigDict = opened.config
    self.example: Example = opened.example
    self.method: Method = opened.method
    self.step = int(opened.state.step)
    self.data_dir: Any = opened.data_dir
    self.data: dict[str, dict] = opened.data
    self.log = log
    self.weights = 'ema' if weights == 'ema' and opened.state.ema is not None else 'raw'
    self.variables: Variables = (
      averaged(opened.state) if weights == 'ema' else opened.state.variables
    )
    self._programs = programs.make(self.method, self.example)
    self._conditions = self.method.latent.conditions if self.method.latent else ()
    *frames, _, _, _ = self.example.fields[self.example.data].shape
    self._at_once = max(1, programs.AT_ONCE // (frames or [1])[0])

  def __repr__(self) -> str:
    return f'<Run {self.folder}: {self.config.method} of {self.config.data.name}, step {self.step}>'

  def program(self, name: str) -> Callable[..., Any]:
    """Returns a compiled program of the run, see vaejax.api.programs. Raises UserError."""
    self._check(name)
    return self._programs[name]

  def sized(self, rows: int) -> Self:
    """Returns the same run, whose programs compute so many rows at a time: quicker for few."""
    other = copy.copy(self)
    other._at_once = inputs.integer('rows', rows, 1)
    return other

  def _check(self, name: str) -> None:
    """Raises UserError if the method has no such program."""
    if name not in self._programs:
      known = ', '.join(n for n in self._programs if n not in ('draw', 'observe', 'advance'))
      raise UserError(f'a run of {self.config.method} has no {name}. Use one of {known}')

  def _check_binary(self, x: np.ndarray) -> None:
    """Raises UserError for images with greys, if the run models binary ones."""
    top = 255 if x.dtype == np.uint8 else 1
    if self.example.levels == 2 and not np.isin(x, (0, top)).all():
      raise UserError(
        'this run models binary images, so other values have probability 0. Binarise them first, '
        'for example (images > 127).astype(np.float32)'
      )

  def _rows(self, name: str, images: Any, fields: dict) -> tuple[dict[str, np.ndarray], int]:
    """Returns images with the fields that they are conditioned on, checked, and their number."""
    self._check(name)
    data = self.example.data
    x = inputs.pixels(f'{data}s', images, self.example)
    return {data: x, **inputs.fields(fields, (), self._conditions, len(x), self.example)}, len(x)

  def latents(self) -> Any:
    """Returns the shape and dtype of one example's latents."""
    return self._latents

  @functools.cached_property
  def _latents(self) -> Any:
    # It traces the encoder, which takes longer than to decode an image.
    return space.form(self.method, self.variables, self.example)

  def _run(self, name: str, rows, n: int, seed: int = 0, size: int | None = None, **settings):
    """Runs a program on n rows."""
    key = jax.random.key(inputs.integer('seed', seed, 0, 2**32 - 1))
    program = lambda rows, index: self._programs[name](self.variables, rows, index, key, **settings)
    return in_batches(program, rows, n, size or self._at_once)
