"""Counts with their nouns."""


def counted(count: int, one: str, many: str = '') -> str:
  """A count with its noun, which may have a verb: '1 file is', '1,200 files are'.

  `many` is the noun for other counts than 1, by default `one` with an s.
  """
  return f'{count:,} {one if count == 1 else many or one + "s"}'
