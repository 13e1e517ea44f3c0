"""The settings of a config's `data` that decide what a reader returns."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

NO_LABEL = 'none'  # the value of data.label that ignores labels


class Settings(NamedTuple):
  """How a dataset is read. None, '' and 0 leave a choice to the dataset.

  Attributes:
    size: side in pixels.
    channels: the number of channels.
    fit: how an image is brought to `size`: resize, pad or crop.
    background: what a transparent picture is put on if its alpha is dropped, and what is around a
      padded one: black, white, or numbers such as '30,60,90'; 'auto' is white, and black around.
    frames: the length to which videos are cut; None reads images.
    stride: frames from one window of a video to the next; 0 takes the first window alone.
    field: the field of the dataset that is the image or video.
    label: the field that is the label; 'none' reads no labels.
    skip_damaged: whether to go on without damaged files.
    transform: of real numbers, see vaejax.units.
    low, high: the range of real numbers that pictures show.
  """

  size: int | None = None
  channels: int | None = None
  fit: str = 'resize'
  background: str = 'auto'
  frames: int | None = None
  stride: int = 0
  field: str = ''
  label: str = ''
  skip_damaged: bool = False
  transform: str = 'none'
  low: float | None = None
  high: float | None = None

  def for_drawing(self, table: Callable, data_dir: str | None) -> dict:
    """The arguments of the `table` of a file in data/sets, which need not take the last two."""
    given = {name: getattr(self, name) for name in ('size', 'channels', 'fit', 'frames')}
    optional = {'background': self.background, 'data_dir': data_dir}
    accepted = inspect.signature(table).parameters
    return given | {name: value for name, value in optional.items() if name in accepted}


def of_config(data) -> Settings:
  """The Settings of a config's `data`."""
  values = {name: data.get(name) for name in Settings._fields if name in data}
  zero_is_default = {name: values[name] or None for name in ('size', 'channels')}
  return Settings(**{**values, **zero_is_default})


def styles(data) -> str:
  """The kind of styles that images are drawn in, see data.styles; '' for none."""
  return data.get('styles') or ''


def source(data) -> str:
  """What an image is to be predicted from, see device/degrade.py; '' for nothing."""
  return data.get('source') or ''


def identity(settings: Settings) -> list:
  """The settings as a list of JSON values, for the key of a cache of decoded rows."""
  return sorted(settings._asdict().items())
