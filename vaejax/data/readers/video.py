"""Videos in files: folders of frames, animated GIFs and WebPs, and video files such as MP4."""

import functools
import os
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from vaejax.data import windows
from vaejax.data.cached import digest, packed
from vaejax.data.fit import check_settings, colour, fit_image, fitted_shape, surround
from vaejax.data.paths import MOVIES, PICTURES
from vaejax.data.readers import clip_files, file_labels, file_table, folder, groups, listing
from vaejax.data.readers.clip_files import Clip
from vaejax.data.readers.file_labels import FileLabels
from vaejax.data.settings import Settings
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.plural import counted

DEFAULT = Settings()


class Videos(NamedTuple):
  """The clips of a folder.

  Attributes:
    clips, listed: all clips, and the same as a Listing, see clip_files.find.
    probes: what is known of each clip.
    rows: {split: indices of its clips}.
    labels: the labels and factors of each clip.
    notes: lines for the user.
  """

  clips: list[Clip]
  listed: listing.Listing
  probes: clip_files.Probes
  rows: dict[str, np.ndarray]
  labels: FileLabels
  notes: tuple[str, ...]


class Decoder(NamedTuple):
  """How clips become windows [frames, H, W, channels], as plain data for other processes. `shape`
  is that of a frame. `surround` is what is around a padded one, see fit.surround."""

  channels: int
  frames: int
  size: int | None
  fit: str
  background: tuple[int, int, int]
  shape: tuple[int, int, int]
  surround: str = ''

  @property
  def identity(self) -> list:
    """What the rows depend on, as JSON values."""
    return list(self)[: None if self.surround else -1]


def splits(name: str, settings: Settings = DEFAULT, data_dir: str | None = None) -> tuple[str, ...]:
  """The splits of a folder of videos, see `table`. Raises UserError if it has no videos."""
  return tuple(read(name, settings).rows)


def table(
  name: str, split: str, settings: Settings = DEFAULT, data_dir: str | None = None
) -> Table:
  """One split of a folder of videos, or of one video file.

  Splits and labels are those of a folder of pictures (see readers.folder), with clips in place of
  pictures, see clip_files.find. All windows of a clip are in one split.

  Returns:
    A table of 'video' uint8 [T, H, W, C], with 'label' int32 [] and 'factors' int32 [F] if there
    are any. Clips that are shorter than `frames` are left out.

  Raises:
    UserError: there are no videos or no such split; all videos are too short; they differ in size
      without `data.size`; a file is damaged, without `data.skip_damaged`.
  """
  check_settings(settings.size, settings.channels, settings.fit)
  windows.check_stride(settings.stride)
  folder.check_field(settings, name)
  if not settings.frames:
    raise UserError(
      f'{name} has videos, but this config trains on images. Use a config of videos, such as '
      'configs/rvae.py'
    )
  videos = read(name, settings)
  if split not in videos.rows:
    raise UserError(f'{name} has no split {split!r}. Choose {" or ".join(videos.rows)}')
  decoder = make_decoder(videos, settings)
  index, listed = videos.rows[split], videos.listed
  video, start = windows.divide(videos.probes.length[index], settings.frames, settings.stride)
  clips = [videos.clips[i] for i in index]
  files = [file for clip in clips for file in clip.files]
  rows = file_table.Rows(
    origin=f'{os.path.basename(os.path.abspath(name))} {split}',
    root=listed.root,
    field='video',
    spec=jax.ShapeDtypeStruct((settings.frames, *decoder.shape), np.dtype(np.uint8)),
    decode=partial(decode, listed.root, clips, (video, start), decoder),
    decoder=decoder.identity,
    index=index[video],
    names=partial(window_names, clips, video),
    state=(packed(files), listed.sizes[index], listed.times[index], video, start),
    identity=partial(identity, listed.root, files),
    area=decoder.shape[0] * decoder.shape[1],
  )
  result = file_table.make(rows, videos.labels, videos.notes)
  return result._replace(groups=partial(np.asarray, video))


def window_names(clips: list[Clip], video: np.ndarray) -> list[str]:
  """The name of each window's clip."""
  return [clips[i].name for i in video]


def identity(root: str, files: list[str]) -> tuple[list[str], np.ndarray, list[str]]:
  """The names and sizes of files, and the paths of some that are evenly spaced."""
  paths = [os.path.join(root, file) for file in files]
  sizes = np.asarray([os.path.getsize(path) for path in paths], np.int64)
  sample = np.unique(np.linspace(0, len(paths) - 1, file_table.SAMPLE).astype(int))
  return files, sizes, [paths[i] for i in sample]


def listing_of(name: str) -> listing.Listing:
  """The files of a folder, or the one file that a path names. Raises UserError if there is none."""
  path = Path(name).expanduser()
  if path.is_file():
    files = listing.scan(str(path.parent), (*PICTURES, *MOVIES))
    i = files.names.index(path.name) if path.name in files.names else None
    if i is None:
      raise UserError(f'{name} is no video. Give a folder of videos, or a GIF, WebP or MP4')
    one = slice(i, i + 1)
    return files._replace(
      names=files.names[one],
      sizes=files.sizes[one],
      times=files.times[one],
      fractions=files.fractions[one],
      other={},
    )
  files = listing.scan(str(path), (*PICTURES, *MOVIES))
  if not files.names:
    has = f'; it has {folder.describe_other(files)}' if files.other else ''
    raise UserError(
      f'{name} has no videos{has}. Give folders of frames, GIFs, WebPs or video files such as MP4'
    )
  return files


@functools.lru_cache(maxsize=2)  # the splits are read one by one
def _find(name: str, state: str) -> tuple:
  return clip_files.find(listing_of(name))


def read(name: str, settings: Settings) -> Videos:
  """Lists a folder of videos, and finds their splits, lengths and labels. Raises UserError."""
  files = listing_of(name)
  clips, listed, ignored = _find(name, digest(packed(files.names), files.sizes, files.times))
  notes = []
  if files.other:
    notes.append(f'{folder.describe_other(files)}; not read')
  if ignored:
    notes.append(f'{counted(ignored, "picture")} in folders of videos: not read')
  stored = groups.group(listed.names)
  if stored.outside:
    are = counted(stored.outside, 'video is', 'videos are')
    notes.append(f'{are} in no folder of a split, and not read')
  labels, lines = file_labels.find(listed, stored, settings, 'video')
  notes += lines
  folders = clip_files.folders_note(clips)
  notes += folders
  probes = clip_files.probe(clips, listed, settings.skip_damaged)
  if probes.damaged.any():
    first = listing.shown(listed.names[int(np.argmax(probes.damaged))])
    are = counted(int(probes.damaged.sum()), 'damaged video is', 'damaged videos are')
    notes.append(f'{are} skipped, such as {first}')
  kept = {}
  for split, index in stored.rows.items():
    index = index[~probes.damaged[index]]
    lengths = probes.length[index]
    what = name if len(stored.rows) == 1 else f'{split} of {name}'
    notes += windows.note(lengths, settings.frames or 1, what, '; '.join(folders))
    kept[split] = index[lengths >= (settings.frames or 1)]
  result = groups.with_test(kept, listed.fractions)
  if len(kept) == 1:
    count = sum(map(len, kept.values()))
    test = f'test is {len(result["test"]):,} of {counted(count, "video")}, by their names'
    notes.append(test if count > 1 else 'one video is both train and test')
  return Videos(clips, listed, probes, result, labels, tuple(notes))


def make_decoder(videos: Videos, settings: Settings) -> Decoder:
  """How clips are decoded. Raises UserError if they differ in size."""
  probes, chosen = videos.probes, np.concatenate(list(videos.rows.values()))
  sizes = sorted(
    set(zip(probes.height[chosen].tolist(), probes.width[chosen].tolist(), strict=True))
  )
  if not settings.size and len(sizes) > 1:
    (h, w), (height, width) = sizes[0], sizes[-1]
    raise UserError(
      f'the videos of {videos.listed.root} have {len(sizes)} sizes, from {w}x{h} to '
      f'{width}x{height}. Set data.size to one side for all, for example --config.data.size=32'
    )
  channels = settings.channels or (3 if probes.colour.any() else 1)
  shape = fitted_shape((*sizes[0], channels), settings.size, channels)
  background = colour(settings.background)
  around = surround(settings.background, settings.fit)
  return Decoder(channels, settings.frames, settings.size, settings.fit, background, shape, around)


def decode(root: str, clips: list[Clip], where: tuple, decoder: Decoder, indices) -> np.ndarray:
  """The windows at `indices` [n], [n, frames, H, W, C], where `where` has the clip and the first
  frame of each. Each clip is decoded once. Raises UserError."""
  video, start = (x[indices] for x in where)
  out = np.empty((len(indices), decoder.frames, *decoder.shape), np.uint8)
  for i in np.unique(video):
    rows = np.flatnonzero(video == i)
    first, last = start[rows].min(), start[rows].max() + decoder.frames
    frames = clip_files.read(root, clips[i], first, last, decoder.channels, decoder.background)
    frames = [fitted(frame, decoder, clips[i], root) for frame in frames]
    for row in rows:
      window = frames[start[row] - first :][: decoder.frames]
      if len(window) < decoder.frames:
        path = os.path.join(root, clips[i].files[0])
        raise UserError(f'{path} has changed since it was listed. Start again')
      out[row] = window
  return out


def fitted(frame: np.ndarray, decoder: Decoder, clip: Clip, root: str) -> np.ndarray:
  """A frame [h, w, c] resized to [H, W, C]. Raises UserError if it differs from the others in
  size."""
  frame = fit_image(frame, decoder.size, decoder.channels, decoder.fit, decoder.surround)
  if frame.shape != decoder.shape:
    raise UserError(
      f'a frame of {os.path.join(root, clip.name)} is {frame.shape[1]}x{frame.shape[0]}, but '
      f'others are {decoder.shape[1]}x{decoder.shape[0]}. Set data.size to one side for all'
    )
  return frame
