"""Clips in files: folders of frames, animated GIFs and WebPs, and video files."""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vaejax.data.cache import cache_folder
from vaejax.data.cached import digest, packed, read_arrays, text, write_arrays
from vaejax.data.paths import MOVIES
from vaejax.data.readers import headers, movies, pictures
from vaejax.data.readers.groups import split_of
from vaejax.data.readers.listing import Listing, fractions
from vaejax.errors import UserError
from vaejax.plural import counted

ANIMATED = '.gif', '.webp'  # endings of files that can be animated
LAYOUT = 1  # of the cached file; increase it when the meaning of a field changes
FRAMES, ANIMATION, MOVIE = 'frames', 'animation', 'movie'  # kinds of clips
OPAQUE = 0, 0, 0


class Clip(NamedTuple):
  """A clip: its name, its files relative to the root in order, and its kind."""

  name: str
  files: tuple[str, ...]
  kind: str


class Probes(NamedTuple):
  """What is known of clips: frames, height and width, int32 [N]; whether they are in colour, and
  whether they are damaged, bool [N]."""

  length: np.ndarray
  height: np.ndarray
  width: np.ndarray
  colour: np.ndarray
  damaged: np.ndarray


def find(files: Listing) -> tuple[list[Clip], Listing, int]:
  """The clips below a folder, sorted by name; the same as a Listing, whose files are the clips; and
  the number of pictures that are part of none.

  Pictures in one folder are the frames of a clip, in natural order, unless the folder has animated
  pictures or video files, each of which is a clip.
  """
  folders: dict[str, list[int]] = {}
  for i, name in enumerate(files.names):
    folders.setdefault(os.path.dirname(name), []).append(i)
  clips, members, ignored = [], [], 0
  for folder, inside in folders.items():
    names = {i: files.names[i] for i in sorted(inside, key=lambda i: natural(files.names[i]))}
    movie = [i for i, name in names.items() if name.lower().endswith(MOVIES)]
    animated = animations(
      files.root, {i: n for i, n in names.items() if n.lower().endswith(ANIMATED)}
    )
    for kind, of_kind in ((MOVIE, movie), (ANIMATION, animated)):
      clips += [Clip(names[i], (names[i],), kind) for i in of_kind]
      members += [[i] for i in of_kind]
    rest = [i for i in names if i not in movie and i not in animated]
    if not movie and not animated:
      last = os.path.basename(folder).lower()
      name = folder or os.path.basename(os.path.abspath(files.root))
      # Frames directly in a folder called train or test are one clip of that split.
      clips.append(
        Clip(f'{name}/frames' if split_of(last) else name, tuple(names.values()), FRAMES)
      )
      members.append(rest)
    else:
      ignored += len(rest)
  order = sorted(range(len(clips)), key=lambda k: clips[k].name)
  clips, members = [clips[k] for k in order], [members[k] for k in order]
  names = [clip.name for clip in clips]
  sizes = np.asarray([files.sizes[m].sum() for m in members], np.int64)
  times = np.asarray([files.times[m].max() for m in members], np.int64)
  return clips, Listing(files.root, names, sizes, times, fractions(names), files.other), ignored


def folders_note(clips: list[Clip]) -> tuple[str, ...]:
  """A line that counts the folders of pictures that are read as videos, if there are any. Class
  folders of single pictures would be misread so."""
  count = sum(clip.kind == FRAMES for clip in clips)
  if not count:
    return ()
  videos = counted(
    count, 'video with its pictures as frames', 'videos with their pictures as frames'
  )
  return (f'{counted(count, "folder is", "folders are")} read as {videos}',)


def natural(name: str) -> list:
  """A key that sorts 2.png before 10.png."""
  return [
    (int(part), part) if part.isdecimal() else (-1, part) for part in re.split(r'(\d+)', name)
  ]


def animations(root: str, names: dict[int, str]) -> list[int]:
  """The pictures of a folder that can be animated, if the first, middle or last one is."""
  numbers = list(names)
  for i in {0, len(numbers) // 2, len(numbers) - 1} if numbers else ():
    try:
      with pictures.opened(os.path.join(root, names[numbers[i]])) as picture:
        if getattr(picture, 'is_animated', False):
          return numbers
    except UserError:  # its clip is damaged, which `probe` finds
      continue
  return []


def probe(clips: list[Clip], listed: Listing, check: bool) -> Probes:
  """What is known of clips. A clip is read again only if it has changed.

  With `check`, all frames are decoded, and damaged clips are marked. Otherwise they raise
  UserError.
  """
  path = cache_folder('clips') / f'{digest(os.path.realpath(listed.root), str(LAYOUT))}.npz'
  stored = read_arrays(path)
  keys = [
    digest(packed(c.files), f'{size} {time} {check}')
    for c, size, time in zip(clips, listed.sizes, listed.times, strict=True)
  ]
  place = {key: i for i, key in enumerate(text(stored['keys']))} if stored else {}
  rows = [stored['rows'][place[key]] if key in place else None for key in keys]
  missing = np.asarray([i for i, row in enumerate(rows) if row is None], np.int64)
  results = headers.in_threads(lambda i: probe_one(clips[i], listed.root, check), missing)
  for i, row in zip(missing, results, strict=True):
    rows[i] = row
  rows = np.asarray(rows, np.int32).reshape(-1, len(Probes._fields))
  if len(missing):
    write_arrays(path, keys=packed(keys), rows=rows)
  length, height, width, colour, damaged = rows.T
  return Probes(length, height, width, colour.astype(bool), damaged.astype(bool))


def probe_one(clip: Clip, root: str, check: bool) -> tuple[int, int, int, bool, bool]:
  """A row of Probes for a clip. Raises UserError, also for damaged files unless `check` is set."""
  try:
    if clip.kind == FRAMES:
      first = pictures.header(os.path.join(root, clip.files[0]))
      if first.kind not in pictures.EIGHT_BITS:
        raise UserError(
          f'{os.path.join(root, clip.files[0])} is {pictures.NAMES[first.kind]}, which is not read '
          'as a frame. Store such videos as an array [N, T, H, W, C] in an .npz'
        )
      for name in clip.files if check else ():
        pictures.decode(os.path.join(root, name), 3, OPAQUE)
      is_colour = first.kind == pictures.COLOUR8
      return len(clip.files), first.height, first.width, is_colour, False
    length, colour, shape = 0, False, (0, 0)
    for frame in read(root, clip, 0, None, 3, OPAQUE):
      length, shape = length + 1, frame.shape
      colour = colour or bool((frame != frame[..., :1]).any())
    return length, shape[0], shape[1], colour, False
  except pictures.Damaged:
    if check:
      return 0, 0, 0, False, True
    raise


def read(
  root: str, clip: Clip, start: int, stop: int | None, channels: int, background
) -> Iterator[np.ndarray]:
  """Frames of a clip, uint8 [h, w, c]; 3 channels of a video file. Raises UserError; Damaged if
  a file is damaged."""
  if clip.kind == FRAMES:
    for name in clip.files[start:stop]:
      yield pictures.decode(os.path.join(root, name), channels, background)
  elif clip.kind == MOVIE:
    yield from movies.frames(os.path.join(root, clip.files[0]), start, stop)
  else:
    with pictures.opened(os.path.join(root, clip.files[0])) as picture:
      count = getattr(picture, 'n_frames', 1)
      for i in range(start, count if stop is None else min(stop, count)):
        picture.seek(i)  # Pillow draws each frame onto those before it
        frame = pictures.coloured(picture.copy(), channels, background)
        yield np.frombuffer(frame.tobytes(), np.uint8).reshape(frame.height, frame.width, channels)
