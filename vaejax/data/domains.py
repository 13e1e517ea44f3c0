"""Rows of two domains, such as two folders or two designers, paired by the names of their files."""

from collections.abc import Callable, Iterable

import numpy as np

from vaejax.data import subset
from vaejax.data.table import Table, without_labels
from vaejax.errors import UserError
from vaejax.lookup import nearest


def folders(name: str) -> tuple[str, ...]:
  """The folders in the name of a file: ('train', 'cat') of 'train/cat/1.png'."""
  return tuple(name.split('/')[:-1])


def names_of(rows: Table, setting: str) -> list[str]:
  """The names of the files of a table. Raises UserError if it has none."""
  if rows.names is None:
    raise UserError(
      f'{setting} chooses rows by the folders of their files, but {rows.origin} has no files. Use '
      'a folder of pictures'
    )
  return rows.names()


def keys_in(rows: Table, domain: str, setting: str) -> dict[tuple[str, ...], int]:
  """{what a name has besides the folder `domain`, without its ending: row} of the files in such a
  folder. Raises UserError if no file is in it."""
  names, result = names_of(rows, setting), {}
  for row, name in enumerate(names):
    inside = folders(name)
    if domain in inside:
      place = inside.index(domain)
      file = name.split('/')[-1].rpartition('.')[0] or name.split('/')[-1]
      result[(*inside[:place], *inside[place + 1 :], file)] = row
  if not result:
    known = sorted({folder for name in names for folder in folders(name)})
    has = f'which has {", ".join(known[:10])}' if known else 'whose files are in no folders'
    raise UserError(
      f'{setting}: no picture of {rows.origin} is in a folder {domain!r}{nearest(domain, known)}, '
      f'{has}. Choose one of its folders, and put pictures into it'
    )
  return result


def only(rows: Table, domain: str) -> Table:
  """The rows whose files are in a folder `domain`. Raises UserError if there are none."""
  index = np.sort([*keys_in(rows, domain, f'data.only={domain}').values()])
  return subset.subset(rows, index)._replace(
    origin=f'{rows.origin} of {domain}', content=content_with(rows, [], f'only {domain}')
  )


def pair(
  rows: Table, domains: tuple[str, str], others: Callable[[], Iterable[Table]] = list
) -> Table:
  """The rows of the second domain, each with the picture of the same name in the first domain as
  its 'source'. Labels that are the domains themselves are left out.

  Args:
    rows: a split.
    domains: the names of the two folders.
    others: the other splits, which are searched for sources that are not in `rows`: then a pair is
      in the split of its image.

  Raises UserError if a domain has no pictures, or if none of their names are the same.
  """
  first, second = domains
  setting = f'data.source=domain:{first}>{second}'
  images = keys_in(rows, second, setting)
  sources: dict[tuple, tuple[int, int]] = {}
  tables = [rows]
  if first in {folder for name in rows.names() for folder in folders(name)}:
    sources = {key: (0, row) for key, row in keys_in(rows, first, setting).items()}
  if not sources or not images.keys() <= sources.keys():
    tables += [other for other in others() if other.size]
    for number, other in enumerate(tables[1:], 1):
      if any(first in folders(name) for name in names_of(other, setting)):
        for key, row in keys_in(other, first, setting).items():
          sources.setdefault(key, (number, row))
  if not sources:
    keys_in(rows, first, setting)  # raises the error
  common = [(row, *sources[key]) for key, row in images.items() if key in sources]
  if not common:
    raise UserError(
      f'{setting}: no file in {first} has the name of a file in {second} of {rows.origin}. Give '
      'two folders with the same file names'
    )
  image, number, source = np.asarray(sorted(common)).T
  used = np.unique(number)

  def gather(read, index):
    """The source images of the pairs at `index`, where `read` reads rows of one of the tables."""
    result = np.empty((len(index), *rows.row['image'].shape), rows.row['image'].dtype)
    for k in used:
      chosen = np.flatnonzero(number[index] == k)
      if len(chosen):
        result[chosen] = read(tables[k], source[index[chosen]])
    return result

  def fetch(positions):
    index = np.asarray(positions)
    sources = gather(lambda table, at: table.fetch(at)['image'], index)
    return {**rows.fetch(image[index]), 'source': sources}

  def load():
    of_rows = {name: x[image] for name, x in rows.load().items()}
    read = lambda table, at: table.load()['image'][at]
    return {**of_rows, 'source': gather(read, np.arange(len(image)))}

  missing = len(images) - len(common)
  note = f'{missing} pictures of {second} have no picture of the same name in {first}'
  result = subset.subset(rows, image)._replace(
    row={**rows.row, 'source': rows.row['image']},
    load=load,
    fetch=fetch,
    origin=f'{rows.origin}, {first} to {second}',
    content=content_with(rows, [tables[k] for k in used], f'{first}>{second}'),
    notes=(*rows.notes, *([note] if missing else [])),
  )
  is_domain = {first, second} <= set(rows.class_names)
  return without_labels(result) if is_domain and 'label' in rows.row else result


def content_with(rows: Table, tables: list[Table], what: str):
  """The `content` of a choice of rows; None if it has to be computed from the rows."""
  if rows.content is None or any(table.content is None for table in tables):
    return None

  def content():
    known = rows.content()
    before = [known['source']] if 'source' in known else []
    parts = [*before, what, *(table.content()['image'] for table in tables)]
    return {**known, 'source': ' '.join(parts)}

  return content


def unpair(rows: Table) -> Table:
  """The same rows with the source, or the image, of another one as 'source': that of half the rows
  further on. So no row has its own."""
  half, size = rows.size // 2, rows.size
  name = 'source' if 'source' in rows.row else 'image'
  shifted = lambda index: (index + half) % size

  def load():
    arrays = rows.load()
    return {**arrays, 'source': np.roll(arrays[name], -half, axis=0)}

  def fetch(index):
    return {**rows.fetch(index), 'source': rows.fetch(shifted(np.asarray(index)))[name]}

  def render(index):
    return {**rows.render(index), 'source': rows.render(shifted(index))[name]}

  return rows._replace(
    row={**rows.row, 'source': rows.row[name]},
    load=load,
    fetch=fetch,
    render=rows.render and render,
    content=content_with(rows, [], 'unpaired'),
  )
