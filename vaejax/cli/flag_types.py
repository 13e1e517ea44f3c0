"""Types of flags: each parses the text of a flag, or raises ArgumentTypeError."""

import argparse
import os
import re
from pathlib import Path

from vaejax.data.readers import is_path


def integer(low: int, high: int):
  """Returns the type of a flag that takes a whole number in this range."""

  def parse(text: str) -> int:
    if not text.isdecimal() or not low <= int(text) <= high:
      raise argparse.ArgumentTypeError(f'{text!r} is not a whole number from {low} to {high:,}')
    return int(text)

  return parse


count, index, seed = integer(1, 10**6), integer(0, 10**6), integer(0, 2**32 - 1)


def integer_text(text: str) -> int:
  """The type of a flag that takes a whole number."""
  if not text.removeprefix('-').isdecimal():
    raise argparse.ArgumentTypeError(f'{text!r} is not a whole number')
  return int(text)


def number(text: str) -> float:
  """The type of a flag that takes a finite number."""
  try:
    value = float(text)
  except ValueError:
    value = float('inf')
  if not abs(value) < float('inf'):
    raise argparse.ArgumentTypeError(f'{text!r} is not a number')
  return value


def nonnegative(text: str) -> float:
  """The type of a flag that takes a finite number, 0 or more."""
  try:
    number = float(text)
  except ValueError:
    number = -1.0
  if not 0 <= number < float('inf'):
    raise argparse.ArgumentTypeError(f'{text!r} is not a number of 0 or more')
  return number


def path(text: str) -> Path:
  """The type of a flag that takes a path; ~ is the user's home, even if the shell leaves it."""
  return Path(os.path.expanduser(text))


def folder(text: str) -> str:
  """The type of a flag that takes an existing folder."""
  if not path(text).is_dir():
    raise argparse.ArgumentTypeError(f'there is no folder {text!r}')
  return str(path(text))


def dataset(text: str) -> str:
  """The type of a flag that takes the name of a dataset, or a path that exists, which becomes
  absolute."""
  if text.startswith(('.', '~', os.sep)) and not path(text).exists():
    raise argparse.ArgumentTypeError(f'there is no file or folder {text!r}')
  return str(path(text).absolute()) if is_path(text) else text


def names(text: str) -> tuple[str, ...]:
  """The type of a flag that takes names: elbo,nll or elbo+nll."""
  parts = tuple(name for name in re.split('[,+]', text) if name)
  if not parts:
    raise argparse.ArgumentTypeError(f'{text!r} has no names. Use for example elbo,nll')
  return parts
