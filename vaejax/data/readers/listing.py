"""The picture files of a folder, listed once and cached."""

import os
import time
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from vaejax.data.cache import cache_folder
from vaejax.data.cached import digest, packed, read_arrays, text, write_arrays
from vaejax.data.name_hash import fractions, sample
from vaejax.data.paths import PICTURES
from vaejax.errors import UserError

IGNORED = '__MACOSX', 'Thumbs.db', 'desktop.ini', '@eaDir', 'labels.csv'  # and what is hidden
ALWAYS_LISTED = 50_000  # files up to which a folder is listed anew each time; about 0.5 s
CHECKED = 1000  # files of a cached listing whose size and time are compared
RECENT = 2 * 10**9  # nanoseconds after a change in which a folder's time may not show another one


class Listing(NamedTuple):
  """The picture files below a folder, sorted by name.

  Attributes:
    root: the folder.
    names: of the files, relative to the folder, with '/'.
    sizes: bytes of each file, int64 [N].
    times: when each was changed last, in nanoseconds, int64 [N].
    fractions: a number in [0, 1) for each file, a function of its name alone, float64 [N].
    other: {ending: number of files that are not pictures}.
  """

  root: str
  names: list[str]
  sizes: np.ndarray
  times: np.ndarray
  fractions: np.ndarray
  other: Mapping[str, int]

  def path(self, i: int) -> str:
    return os.path.join(self.root, self.names[i])


def scan(root: str, endings: tuple[str, ...] = PICTURES) -> Listing:
  """The listing of a folder's files with some endings, without hidden files.

  With more than ALWAYS_LISTED files it comes from the user's cache, unless a folder in it or one of
  CHECKED files has changed. So a single file that is overwritten there may go unnoticed.

  Raises UserError if the folder, or one in it, cannot be read.
  """
  if not os.path.isdir(root):
    archive = root.lower().endswith(('.zip', '.tar', '.gz', '.tgz', '.7z', '.rar'))
    what = 'an archive. Unpack it, and give' if archive else 'not a folder. Give'
    raise UserError(f'{root} is {what} the folder that contains the pictures')
  kind = () if endings == PICTURES else endings
  path = cache_folder('listings') / f'{digest(os.path.realpath(root), *kind)}.npz'
  stored = read_arrays(path)
  if stored and (listing := unchanged(root, stored)):
    return listing
  listing, folders = walk(root, endings)
  if len(listing.names) > ALWAYS_LISTED and max(folders.values()) < time.time_ns() - RECENT:
    write_arrays(
      path,
      names=packed(listing.names),
      sizes=listing.sizes,
      times=listing.times,
      fractions=listing.fractions,
      folders=packed(folders),
      folder_times=np.asarray(list(folders.values()), np.int64),
      endings=packed(listing.other),
      counts=np.asarray(list(listing.other.values()), np.int64),
    )
  return listing


def unchanged(root: str, stored: Mapping[str, np.ndarray]) -> Listing | None:
  """The cached listing of a folder; None if something has changed."""
  folders = text(stored['folders'])
  arrays = (stored[name] for name in ('sizes', 'times', 'fractions'))
  other = dict(zip(text(stored['endings']), stored['counts'].tolist(), strict=True))
  listing = Listing(root, text(stored['names']), *arrays, other)
  try:
    times = [os.stat(os.path.join(root, folder)).st_mtime_ns for folder in folders]
    checked = sample(listing.fractions, CHECKED)
    about = [os.stat(listing.path(i)) for i in checked]
  except OSError:
    return None
  now = [(s.st_size, s.st_mtime_ns) for s in about]
  before = zip(listing.sizes[checked].tolist(), listing.times[checked].tolist(), strict=True)
  return listing if times == stored['folder_times'].tolist() and now == list(before) else None


def walk(root: str, endings: tuple[str, ...] = PICTURES) -> tuple[Listing, dict[str, int]]:
  """The listing of a folder, and {folder in it: when it was changed last, in nanoseconds}. Links
  are followed, but each folder is read once. Raises UserError if a folder cannot be read."""
  files, other, times, visited = [], Counter(), {}, set()
  pending, links = [''], []
  while pending or links:
    # Links last and in order, so that the order of the disk does not decide where a file belongs.
    links.sort(reverse=True)
    folder = (pending or links).pop()
    path = os.path.join(root, folder)
    try:
      about = os.stat(path)
      if (about.st_dev, about.st_ino) in visited:
        continue
      visited.add((about.st_dev, about.st_ino))
      times[folder] = about.st_mtime_ns
      with os.scandir(path) as entries:
        for entry in entries:
          name, ending = folder + entry.name, os.path.splitext(entry.name)[1].lower()
          if entry.name.startswith('.') or entry.name in IGNORED:
            continue
          if entry.is_dir():
            (links if entry.is_symlink() else pending).append(f'{name}/')
          elif not entry.is_file():
            other['broken link' if entry.is_symlink() else 'no file'] += 1
          elif ending in endings:
            stat = entry.stat()
            files.append((name, stat.st_size, stat.st_mtime_ns))
          else:
            other[ending or 'no ending'] += 1
    except OSError as error:
      raise UserError(
        f'{shown(path)} cannot be read: {error.strerror}. Change its permissions, or move it away'
      ) from None
  files.sort()
  sizes, changed = np.asarray([f[1:] for f in files], np.int64).reshape(-1, 2).T
  names = [f[0] for f in files]
  return Listing(root, names, sizes, changed, fractions(names), dict(other.most_common())), times


def shown(name: str) -> str:
  """A file name for a message, even if it is not UTF-8."""
  return name.encode('utf-8', 'backslashreplace').decode()
