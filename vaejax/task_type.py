"""The interface of a task: its settings, the pictures that it is given, and its result."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from vaejax.estimates import Estimate, mean
from vaejax.reporting import images
from vaejax.reporting.titled import titled

EMPTY = MappingProxyType({})
Progress = Callable[[int, int], None]  # (done, total)


def part_of(progress: Progress, first: float, last: float) -> Progress:
  """The progress of a part of a task, which goes from one fraction of the task to another."""
  total = 1000
  within = lambda done, of: first + (last - first) * done / max(of, 1)
  return lambda done, of: progress(int(total * within(done, of)), total)


class Setting(NamedTuple):
  """A setting of a task: a flag of its verb, and an argument of its method.

  Attributes:
    default: its default, whose type is that of the setting: bool, int, float, str, Path, or a tuple
      of texts.
    about: one line for the help.
    choices: the values that it takes, () for all.
    low, high: the range of a number.
    kind: its type, if the default is None.
    arrays: whether it may also be an array in Python.
  """

  default: Any
  about: str
  choices: tuple[str, ...] = ()
  low: float = 0
  high: float = 10**6
  kind: type | None = None
  arrays: bool = False

  @property
  def type(self) -> type:
    """The type of its values."""
    return self.kind or type(self.default)


class Pictures(NamedTuple):
  """What a task is given.

  Attributes:
    image: float32 [N, H, W, C] in [0, 1], or real numbers in their units, as Run's methods take
      them; None if the pictures are of another field.
    fields: the other fields of the rows, {'label': [N], 'factors': [N, F], 'source': ...}.
    names: the files of the pictures, or ().
    split: the split that they are rows of, '' for a user's pictures.
    origin: what was read, in words.
    train: n -> the first n rows of the training split (None: all) in parts, {field: [B, ...]}.
    fit: how further pictures of several sizes get the size of the run: resize, pad, crop or ''.
  """

  image: np.ndarray | None
  fields: Mapping[str, np.ndarray] = EMPTY
  names: tuple[str, ...] = ()
  split: str = ''
  origin: str = ''
  train: Callable[[int | None], Iterator[Mapping[str, np.ndarray]]] | None = None
  fit: str = ''

  @property
  def held_out(self) -> bool:
    """Whether they are rows that the model was not trained on, so that a score counts."""
    return bool(self.split) and 'train' not in self.split

  @property
  def size(self) -> int:
    """The number of pictures."""
    arrays = self.fields.values() if self.image is None else (self.image,)
    return len(next(iter(arrays), ()))


class Score(NamedTuple):
  """A metric of a task's output on held-out data, and of its baselines.

  Attributes:
    ours: of each picture, [N], or an Estimate.
    baselines: {name: the same of a baseline}. The differences of arrays are paired.
    better: 'higher' or 'lower'.
    differences: {name: the Estimate of ours minus that baseline's value}, for Estimates of the same
      pictures; without one, two Estimates are treated as independent.
  """

  ours: Any
  baselines: Mapping[str, Any]
  better: str = 'higher'
  differences: Mapping[str, Estimate] = EMPTY

  def to_json(self) -> dict:
    """The value with its error, and the differences to all baselines. `baseline` is the strongest
    one; `difference` is ours minus its value."""
    result = {**of(self.ours).to_json(), 'n': count(self.ours), 'better': self.better}
    every = {}
    for name, values in self.baselines.items():
      if name in self.differences:
        difference = self.differences[name]
      elif isinstance(self.ours, Estimate) or isinstance(values, Estimate):
        a, b = of(self.ours), of(values)
        known = a.error is not None and b.error is not None
        error = float(np.hypot(a.error, b.error)) if known else None
        difference = Estimate(a.value - b.value, error)
      else:
        difference = mean(np.asarray(self.ours, np.float64) - np.asarray(values, np.float64))
      every[name] = {
        'value': of(values).value,
        'error': of(values).error,
        'difference': difference.value,
        'difference_error': difference.error,
      }
    if every:
      sign = -1 if self.better == 'lower' else 1
      best = max(every, key=lambda name: sign * every[name]['value'])
      result |= {'baseline': best, **{f'baseline_{k}': every[best][k] for k in ('value', 'error')}}
      result |= {k: every[best][k] for k in ('difference', 'difference_error')}
    return result | {'baselines': every}


def of(values) -> Estimate:
  """Values [N] as the estimate of their mean; an Estimate itself."""
  return values if isinstance(values, Estimate) else mean(values)


def count(values) -> int | None:
  """The number of pictures of a metric."""
  return values.n if isinstance(values, Estimate) else len(values)


Writer = Callable[[Path, str], None]  # (path, command) -> writes the file


@dataclasses.dataclass(frozen=True)
class Result:
  """The output of a task. In a notebook its picture is shown.

  Attributes:
    images: the main output, as Run's methods return images, for example [N, versions, H, W, C].
    rows: (title, images [K, H, W, C] in [0, 1]) of each row of the picture.
    picture: uint8 [h, w, C], instead of `rows`.
    frames: uint8 [T, h, w, C] of a GIF.
    scores: {metric: Score} on held-out data.
    protocol: what else the scores depend on.
    arrays: {name: further output}, which is written as NAME_name.npy.
    files: {'.csv': writer}: what else is written, or how, instead of PNG or GIF.
  """

  images: np.ndarray | None = None
  rows: Sequence[tuple[str, np.ndarray]] = ()
  picture: np.ndarray | None = None
  frames: np.ndarray | None = None
  scores: Mapping[str, Score] = dataclasses.field(default_factory=dict)
  protocol: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  arrays: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
  files: Mapping[str, Writer] = dataclasses.field(default_factory=dict)

  def __array__(self, dtype=None, copy=None) -> np.ndarray:
    return np.array(self.images, dtype, copy=True if copy is None else copy)

  def as_picture(self) -> np.ndarray | None:
    """The picture, uint8 [h, w, C]; None without one."""
    if self.picture is not None:
      return self.picture
    if self.rows:
      return titled(self.rows)
    return None if self.frames is None else self.frames[len(self.frames) // 2]

  def figure(self):
    """The picture as a matplotlib figure, with the scores as its title."""
    from matplotlib.figure import Figure

    picture = self.as_picture()
    height, width = picture.shape[:2]
    figure = Figure(figsize=(8, max(1.0, 8 * height / width)), layout='constrained')
    axes = figure.subplots()
    axes.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap='gray')
    axes.set_axis_off()
    lines = [in_words(name, score) for name, score in self.scores.items()]
    axes.set_title('\n'.join(lines), fontsize=8, loc='left')
    return figure

  def _repr_png_(self) -> bytes | None:
    picture = self.as_picture()
    return None if picture is None else images.encode_png(images.enlarge(picture))


def in_words(name: str, score: Score) -> str:
  """A score as text: 'psnr 18.21 ± 0.12 (mirror 17.42, difference 0.79 ± 0.09)'."""
  values = score.to_json()
  sign = lambda x: '' if x is None else f' ± {x:.4f}'
  text = f'{name} {values["value"]:.4f}{sign(values["error"])}'
  if 'baseline' not in values:
    return text
  difference = f'{values["difference"]:+.4f}{sign(values["difference_error"])}'
  return f'{text} ({values["baseline"]} {values["baseline_value"]:.4f}, difference {difference})'
