"""What the server computes of a run: each operation takes a checked request."""

import base64
import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from vaejax.api.run import Run
from vaejax.explore.capabilities import (
  controls,
  given_labels,
  needs_label,
  source_shape,
  trained_mask,
)
from vaejax.explore.checks import Body
from vaejax.explore.latents import Latents
from vaejax.explore.pictures import from_rgba, read, to_rgba, with_alpha

VERSIONS = 6  # of a completed, continued or translated picture
STEPS = 80  # of the optimiser that completes a picture
SAMPLES = 32
MAX_SEED = 2**32 - 1
MAX_TEMPERATURE = 3.0


class Operations:
  """The operations of a run by name: request -> uint8 pictures [N, T, H, W, 4] or JSON.

  A label is the number of a class. Pictures are RGBA in base64, at the size of the run's.
  """

  def __init__(self, run: Run, latents: Latents | None):
    self.run, self.latents = run, latents
    self.mask = trained_mask(run)
    self.classes, self.needs_label = given_labels(run), needs_label(run, latents)
    shape = run.example.fields[run.example.data].shape
    self.size, self.channels, self.is_video = shape[-3:-1], shape[-1], len(shape) == 4
    self.frames = shape[0] if self.is_video else 1
    every = {
      'draw': self.draw,
      'encode': self.encode,
      'sample': self.sample,
      'complete': self.complete,
      'continue': self.continue_video,
      'transfer': self.transfer,
      'translate': self.translate,
    }
    known = controls(run, latents)
    self.named: dict[str, Callable[[Body], Any]] = {k: f for k, f in every.items() if k in known}

  def to_warm(self) -> list[Callable[[], Any]]:
    """Calls that compile the operations which would take seconds when they are first used."""
    text = lambda *shape: base64.b64encode(bytes(math.prod(shape))).decode()
    pixels = {'pixels': text(self.frames, *self.size, 4)}
    half = np.arange(self.size[1]) >= self.size[1] // 2
    mask = np.broadcast_to(half, self.size).astype(np.uint8)
    hidden = {} if self.mask else {'mask': base64.b64encode(mask.tobytes()).decode()}
    bodies = {'encode': pixels, 'complete': pixels | hidden} if self.latents else {}
    call = lambda name, values: self.named[name](Body(json.dumps(values).encode()))
    return [partial(call, *item) for item in bodies.items() if item[0] in self.named]

  def limit(self, name: str) -> int:
    """The largest number of bytes of a request, which is JSON. While it is parsed nobody else is
    answered, so an operation is sent no more than it needs."""
    in_base64 = lambda *shape: 4 * -(-math.prod(shape) // 3)
    picture = in_base64(self.frames, *self.size, 4)
    if name == 'decode':
      return 1024 + 64 * len(self.latents.names)
    sizes = {
      'encode': picture,
      'complete': picture + in_base64(*self.size),
      'continue': picture,
      'transfer': 2 * picture,
      'translate': in_base64(*(source_shape(self.run) or (0, 0))[:2], 4),
    }
    return 4096 + sizes.get(name, 0)

  def read(self, data: bytes, as_source: bool) -> np.ndarray:
    """A picture file as the run sees it, or as a picture that it translates."""
    shape = source_shape(self.run) if as_source else (*self.size, self.channels)
    pixels = read(data, shape, self.run.config.data.get('background', 'auto'))
    return with_alpha(pixels[None] / np.float32(255))

  def vector(self, body: Body) -> tuple[np.ndarray, int | None]:
    """The latents and the label of a request to decode."""
    z = body.vector('latents', len(self.latents.names))
    label = self.label(body)
    body.done()
    return z, label

  def draw(self, body: Body) -> dict:
    """Latents of the prior, {'latents': [n][D]}."""
    n = body.whole('n', 1, SAMPLES, 1)
    seed, temperature = self.random(body)
    label = self.label(body)
    body.done()
    labels = None if label is None else np.full(n, label)
    z = self.latents.draw(n, seed, temperature, labels)
    return {'latents': z.astype(float).tolist()}

  def encode(self, body: Body) -> dict:
    """The latents of a picture, {'latents': [D]}."""
    x, label = self.given(body, 'pixels'), self.label(body)
    body.done()
    z = self.latents.encode(x, None if label is None else np.asarray([label]))
    return {'latents': z[0].astype(float).tolist()}

  def sample(self, body: Body) -> np.ndarray:
    """Samples of a run, such as a GAN, that has no latents to move."""
    n = body.whole('n', 1, SAMPLES, 1)
    seed, temperature = self.random(body)
    label, fields = self.label(body), {}
    body.done()
    if label is not None:
      fields = {'label': self.as_given(label)}
    return self.shown(self.run.sized(n).sample(n, seed=seed, temperature=temperature, **fields))

  def complete(self, body: Body) -> np.ndarray:
    """Versions of a picture of which a part is missing, where 'mask' [H, W] is above 0. A run that
    was trained for one kind of masks is given none."""
    x, label = self.given(body, 'pixels'), self.label(body)
    mask = self.mask or body.array('mask', (1, *self.size))[0] == 0
    seed, _ = self.random(body)
    body.done()
    fields = {} if label is None else {'label': [self.as_given(label)]}
    settings = {'versions': VERSIONS, 'steps': STEPS, 'sweeps': STEPS // 4, 'draws': 64}
    result = self.run.inpaint(x, mask=mask, seed=seed, **settings, **fields)
    return self.shown(np.asarray(result)[0])

  def continue_video(self, body: Body) -> np.ndarray:
    """Videos that begin with the frames that are given."""
    frames = from_rgba(body.array('pixels', (-1, *self.size, 4)), self.channels, self.levels)
    n = body.whole('n', 1, VERSIONS, 1)
    seed, temperature = self.random(body)
    body.done()
    given = np.repeat(frames[None], n, axis=0)
    made = self.run.sized(n).sample(n, seed=seed, temperature=temperature, video=given)
    return self.shown(made)

  def transfer(self, body: Body) -> np.ndarray:
    """The content of a picture in the style of another."""
    x, style = self.given(body, 'pixels'), self.given(body, 'style')
    body.done()
    return self.shown(self.run.sized(1).transfer(x, style))

  def translate(self, body: Body) -> np.ndarray:
    """Translations of a picture of the other domain, one or VERSIONS of them."""
    height, width, channels = source_shape(self.run)
    x = from_rgba(body.array('pixels', (1, height, width, 4)), channels)
    seed, temperature = self.random(body)
    body.done()
    if 'to_image' in self.run.method.predict:
      return self.shown(self.run.sized(1).to_image(x))
    source = {'source': np.repeat(x, VERSIONS, axis=0)}
    run = self.run.sized(VERSIONS)
    return self.shown(run.sample(VERSIONS, seed=seed, temperature=temperature, **source))

  @property
  def levels(self) -> int:
    """The number of values of a pixel."""
    return self.run.example.levels

  def shown(self, x: np.ndarray) -> np.ndarray:
    """Pictures of the run as the page has them."""
    return to_rgba(x, self.run.example)

  def given(self, body: Body, name: str) -> np.ndarray:
    """A picture or video of a request, as Run takes it, [1, ...]."""
    x = from_rgba(body.array(name, (self.frames, *self.size, 4)), self.channels, self.levels)
    return x[None] if self.is_video else x

  def label(self, body: Body) -> int | None:
    """The label of a request, see Body.label."""
    return body.label(self.classes, self.needs_label)

  def as_given(self, label: int) -> Any:
    """A class as Run's methods take it: its name, if it has one."""
    names = self.run.example.class_names
    return names[label] if names else label

  def random(self, body: Body) -> tuple[int, float]:
    """The seed and the temperature of a request."""
    seed = body.whole('seed', 0, MAX_SEED, 0)
    return seed, body.number('temperature', 0, MAX_TEMPERATURE, 1)
