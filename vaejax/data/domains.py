"""Pairs of pictures of two domains, such as two folders: those with the same file name."""

import numpy as np

from vaejax.data import slices
from vaejax.data.name_hash import fractions
from vaejax.data.subset import subset
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.lookup import nearest

TEST = 0.1  # the proportion of pairs that are test, where the data has no such split of pairs
PREFIX = 'domain:'


def parse(text: str) -> tuple[str, str] | None:
  """The domains A and B of a `data.source` 'domain:A>B', None for another. Raises UserError."""
  if not text.startswith(PREFIX):
    return None
  names = text.removeprefix(PREFIX).split('>')
  if len(names) != 2 or not all(names) or names[0] == names[1]:
    raise UserError(f'data.source={text!r} needs two folders, for example {PREFIX}photos>drawings')
  return names[0], names[1]


def rows_of(rows: Table, domain: str) -> dict[str, int]:
  """{name without the folder: row} of the rows whose files are in a folder called `domain`. Raises
  UserError if there are none."""
  if not rows.names:
    raise UserError(f'{rows.origin} has no files with names, which domains need. Give folders')
  places, folders = {}, {}
  for i, name in enumerate(rows.names()):
    *above, file = name.split('/')
    folders |= dict.fromkeys(above)
    if domain in above:
      places['/'.join([*(part for part in above if part != domain), file])] = i
  if not places:
    raise UserError(
      f'{rows.origin} has no pictures in a folder {domain!r}{nearest(domain, folders)}. It has '
      f'{", ".join(sorted(folders)) or "no folders"}'
    )
  return places


def only(rows: Table, domain: str) -> Table:
  """The rows of one domain."""
  index = np.asarray(sorted(rows_of(rows, domain).values()))
  return subset(rows, index)._replace(content=None, origin=f'{rows.origin}, {domain}')


def pair(rows: Table, a: str, b: str) -> Table:
  """A table of the rows of domain b, each with the picture of domain a of the same name as
  'source'. Raises UserError if no names are the same."""
  sources, targets = rows_of(rows, a), rows_of(rows, b)
  names = [name for name in targets if name in sources]
  if not names:
    raise UserError(
      f'{rows.origin}: no picture in {a} has the name of one in {b}, for example '
      f'{next(iter(sources))} and {next(iter(targets))}. Give pairs the same name'
    )
  order = np.argsort([targets[name] for name in names])
  image = np.asarray([targets[names[i]] for i in order])
  source = np.asarray([sources[names[i]] for i in order])
  return with_source(rows, image, source)._replace(origin=f'{rows.origin}, {a} to {b}')


def with_source(rows: Table, image: np.ndarray, source: np.ndarray) -> Table:
  """The table of the rows at `image` [N], with the pictures of those at `source` [N] as 'source'."""

  def join(index):
    own, other = rows.fetch(image[index]), rows.fetch(source[index])
    return {**own, 'source': other['image']}

  return subset(rows, image)._replace(
    row={**rows.row, 'source': rows.row['image']},
    load=lambda: join(np.arange(len(image))),
    fetch=lambda index: join(np.asarray(index)),
    render=None,
    content=None,
  )


def unpaired(rows: Table) -> Table:
  """The table of pairs with the sources of other rows: no row has its true source."""
  other = lambda index: (np.asarray(index) + rows.size // 2) % rows.size

  def fetch(index):
    return {**rows.fetch(index), 'source': rows.fetch(other(index))['source']}

  return rows._replace(load=lambda: fetch(np.arange(rows.size)), fetch=fetch)


def read(split: str, stored, a: str, b: str) -> Table:
  """The pairs of a split, where `stored` is split -> its Table of both domains.

  If the data was split by the names of files with their folders, so that pairs are in two splits,
  they are split anew by their own names.
  """
  if split not in ('train', 'test'):
    return pair(stored(split), a, b)
  train, test = stored('train'), stored('test')
  keys = [{d: set(rows_of(rows, d)) for d in (a, b)} for rows in (train, test)]
  if not (keys[0][a] & keys[1][b] or keys[0][b] & keys[1][a]):
    return pair(train if split == 'train' else test, a, b)
  every = pair(slices.concatenate([train, test], 'train+test'), a, b)
  names = [name.rpartition('/')[2] for name in every.names()]
  is_test = fractions(names) < TEST
  index = np.flatnonzero(is_test if split == 'test' else ~is_test)
  if not len(index):
    raise UserError(f'{every.origin} has too few pairs for a {split} split. Add more pictures')
  line = f'{is_test.sum()} of {every.size} pairs are the test split, chosen by their names'
  return subset(every, index)._replace(notes=(*every.notes, line))
