"""Videos in files: folders of frames, animated GIFs and WebPs, and video files such as MP4."""

import functools
import os
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from vaejax.data import decoded, windows
from vaejax.data.cached import digest, packed
from vaejax.data.fingerprint import EXACT_BYTES
from vaejax.data.fit import check_settings, colour, fit_image, fitted_shape
from vaejax.data.paths import MOVIES, PICTURES
from vaejax.data.readers import clip_files, folder, groups, listing
from vaejax.data.readers.clip_files import Clip
from vaejax.data.settings import Settings
from vaejax.data.table import Table, digests
from vaejax.errors import UserError

DEFAULT = Settings()
THREADED_PIXELS = 96 * 96  # area of a frame from which decoding in threads is faster
SAMPLE = 64  # files by which a large split is identified


class Videos(NamedTuple):
  """The clips of a folder.

  Attributes:
    clips, listed: all clips, and the same as a Listing, see clip_files.find.
    probes: what is known of each clip.
    rows: {split: indices of its clips}.
    labels: the label of each clip, int32 [N], or None.
    class_names: the names of the classes.
    factors: {name: Column of labels_csv}.
    notes: lines for the user.
  """

  clips: list[Clip]
  listed: listing.Listing
  probes: clip_files.Probes
  rows: dict[str, np.ndarray]
  labels: np.ndarray | None
  class_names: tuple[str, ...]
  factors: dict
  notes: tuple[str, ...]


class Decoder(NamedTuple):
  """How clips become windows [frames, H, W, channels], as plain data for other processes. `shape`
  is that of a frame."""

  channels: int
  frames: int
  size: int | None
  fit: str
  background: tuple[int, int, int]
  shape: tuple[int, int, int]


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
  index = videos.rows[split]
  video, start = windows.divide(videos.probes.length[index], settings.frames, settings.stride)
  clips = [videos.clips[i] for i in index]
  row = {'video': jax.ShapeDtypeStruct((settings.frames, *decoder.shape), np.dtype(np.uint8))}
  extra = {}
  if videos.labels is not None:
    row['label'] = jax.ShapeDtypeStruct((), np.int32)
    extra['label'] = videos.labels[index][video]
  if videos.factors:
    row['factors'] = jax.ShapeDtypeStruct((len(videos.factors),), np.int32)
    extra['factors'] = np.stack([c.values[index][video] for c in videos.factors.values()], -1)
  listed = videos.listed
  fetch = functools.partial(fetch_rows, listed.root, clips, (video, start), decoder, extra)
  origin = f'{os.path.basename(os.path.abspath(name))} {split}'
  files = [file for clip in clips for file in clip.files]
  state = digest(packed(files), listed.sizes[index], listed.times[index], video, start)
  state = [state, digest(*extra.values()), list(decoder)]
  size = len(video) * settings.frames * int(np.prod(decoder.shape))
  load = functools.partial(load_rows, origin, [os.path.realpath(listed.root), *state], row, fetch)
  return Table(
    size=len(video),
    row=row,
    classes=len(videos.class_names) if videos.labels is not None else None,
    load=load,
    fetch=fetch,
    origin=origin,
    class_names=videos.class_names,
    factors={factor: len(column.names) for factor, column in videos.factors.items()},
    names=functools.partial(window_names, clips, video),
    content=functools.partial(content, listed.root, files, load, extra, decoder, size),
    notes=videos.notes,
    labels=(lambda: extra['label']) if 'label' in extra else None,
    groups=lambda: video,
  )


def window_names(clips: list[Clip], video: np.ndarray) -> list[str]:
  """The name of each window's clip."""
  return [clips[i].name for i in video]


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
    notes.append(f'{ignored:,} pictures beside videos are not read')
  stored = groups.group(listed.names)
  if stored.outside:
    notes.append(f'{stored.outside:,} videos are in no folder of a split, and not read')
  labels, class_names, factors = folder.find_labels(listed, stored, settings, notes)
  probes = clip_files.probe(clips, listed, settings.skip_damaged)
  if probes.damaged.any():
    first = listing.shown(listed.names[int(np.argmax(probes.damaged))])
    notes.append(f'{probes.damaged.sum():,} damaged videos are skipped, such as {first}')
  kept = {}
  for split, index in stored.rows.items():
    index = index[~probes.damaged[index]]
    lengths = probes.length[index]
    what = name if len(stored.rows) == 1 else f'{split} of {name}'
    notes += windows.note(lengths, settings.frames or 1, what)
    kept[split] = index[lengths >= (settings.frames or 1)]
  result = groups.with_test(kept, listed.fractions)
  if len(kept) == 1:
    count = sum(map(len, kept.values()))
    test = f'test is {len(result["test"]):,} of {count:,} videos, by their names'
    notes.append(test if count > 1 else 'one video is both train and test')
  return Videos(clips, listed, probes, result, labels, class_names, factors, tuple(notes))


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
  return Decoder(channels, settings.frames, settings.size, settings.fit, background, shape)


def fetch_rows(
  root: str, clips: list[Clip], where: tuple, decoder: Decoder, extra, indices
) -> dict:
  """The windows at `indices` [n], {field: [n, ...]}, where `where` has the clip and the first frame
  of each. Each clip is decoded once. Raises UserError."""
  indices = np.asarray(indices)
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
  return {'video': out, **{field: values[indices] for field, values in extra.items()}}


def fitted(frame: np.ndarray, decoder: Decoder, clip: Clip, root: str) -> np.ndarray:
  """A frame [h, w, c] resized to [H, W, C]. Raises UserError if it differs from the others in
  size."""
  frame = fit_image(frame, decoder.size, decoder.channels, decoder.fit)
  if frame.shape != decoder.shape:
    raise UserError(
      f'a frame of {os.path.join(root, clip.name)} is {frame.shape[1]}x{frame.shape[0]}, but '
      f'others are {decoder.shape[1]}x{decoder.shape[0]}. Set data.size to one side for all'
    )
  return frame


def load_rows(origin: str, key: list, row, fetch) -> dict:
  """All rows of a split, memory-mapped from the cache."""
  size, shape = len(fetch.args[2][0]), row['video'].shape
  threads = 1 if np.prod(shape[1:3]) < THREADED_PIXELS else min(os.cpu_count() or 1, 16)
  blocks = lambda: decoded.blocks(fetch, size, int(np.prod(shape)), threads)
  return decoded.load(origin, key, row, size, blocks)


def content(root: str, files: list[str], load, extra: dict, decoder, size: int) -> dict[str, str]:
  """{field: digest}: of all rows, or for large splits of the names and sizes of their files, and of
  the bytes of SAMPLE of them. Neither depends on where the folder is."""
  if size <= EXACT_BYTES:
    return digests(load())
  paths = [os.path.join(root, file) for file in files]
  sizes = np.asarray([os.path.getsize(path) for path in paths], np.int64)
  sample = np.unique(np.linspace(0, len(paths) - 1, SAMPLE).astype(int))
  parts = [Path(paths[i]).read_bytes() for i in sample]
  return {'video': digest(packed(files), sizes, str(list(decoder)), *parts), **digests(extra)}
