"""A name is a module name: lookup('methods', 'vae') gives the module vaejax.methods.vae."""

import difflib
import importlib
import importlib.util
import pkgutil
from types import ModuleType
from typing import Any

from vaejax.errors import UserError


def nearest(name: str, known, shown: dict[str, str] | None = None) -> str:
  """' (did you mean X?)' for the nearest of the known names, or nothing. `shown`: {name: X}."""
  close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
  return f' (did you mean {(shown or {}).get(close[0], close[0])!r}?)' if close else ''


def choice(field: str, name: str, choices) -> Any:
  """choices[name], or a UserError that names the config's field and what it takes."""
  if name not in choices:
    raise UserError(
      f'{field}={name!r} is unknown{nearest(name, choices)}: it takes {", ".join(sorted(choices))}'
    )
  return choices[name] if isinstance(choices, dict) else name


def names(kind: str, having: str) -> list[str]:
  """The modules of vaejax.<kind> that have the function `having`, sorted."""
  package = importlib.import_module(f'vaejax.{kind}')
  modules = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
  return [m for m in modules if hasattr(importlib.import_module(f'vaejax.{kind}.{m}'), having)]


def lookup(kind: str, name: str, having: str = 'make') -> ModuleType:
  """The module vaejax.<kind>.<name>, or, of a dotted name, the module of that name, wherever it is.

  Raises UserError, which lists the names that exist; an error inside the module is its own.
  """
  words = name.split('.') if isinstance(name, str) else ['']
  plain = all(word.isidentifier() for word in words)
  path = name if len(words) > 1 else f'vaejax.{kind}.{name}'
  if plain and exists(path):
    module = importlib.import_module(path)
    if hasattr(module, having):
      return module
    if len(words) > 1:
      raise UserError(f'{name} has no {having}: it is no {kind.split(".")[-1].removesuffix("s")}')
  known, one = names(kind, having), kind.split('.')[-1].removesuffix('s')
  if plain and len(words) > 1:
    raise UserError(
      f'unknown {one} {name!r}: there is no such module in this folder or where Python looks for '
      f'packages; inside there are {", ".join(known)}'
    )
  raise UserError(
    f'unknown {one} {name!r}{nearest(name, known)}: there are {", ".join(known)}, and modules of '
    'your own by dotted name, as in mylab.mine'
  )


def exists(path: str) -> bool:
  """Whether there is a module of a dotted name; the packages that it lies in are imported."""
  try:
    return importlib.util.find_spec(path) is not None
  except ModuleNotFoundError as error:
    # Of the packages on the way itself, not of what they import.
    if error.name and (path + '.').startswith(error.name + '.'):
      return False
    raise
