"""Short names of splits."""

import re
from collections.abc import Callable, Container

LONG = {'val': 'validation', 'valid': 'validation'}
SHORT = re.compile(r'(?<![\w.-])(val|valid)(?=\[|\s*\+|\s*$)')


def complete(split: str, known: Callable[[], Container[str]]) -> str:
  """A split with 'validation' for 'val' and 'valid', also in slices and sums such as 'val[:10]'.

  `known` are the names of the splits. A name that is one of them stays, and so do all if there is
  no 'validation'.
  """

  def name(match: re.Match) -> str:
    short, names = match[0], known()
    return LONG[short] if short not in names and LONG[short] in names else short

  return SHORT.sub(name, split)
