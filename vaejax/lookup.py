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
  """The module vaejax.<kind>.<name>. Raises UserError, which lists the names that exist."""
  plain = isinstance(name, str) and name.isidentifier()
  if plain and importlib.util.find_spec(f'vaejax.{kind}.{name}') is not None:
    module = importlib.import_module(f'vaejax.{kind}.{name}')
    if hasattr(module, having):
      return module
  known = names(kind, having)
  raise UserError(
    f'unknown {kind.removesuffix("s")} {name!r}{nearest(name, known)}: there are {", ".join(known)}'
  )
