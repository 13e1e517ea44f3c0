"""A name is a module name: lookup('methods', 'vae') returns the module vaejax.methods.vae."""

import ast
import difflib
import functools
import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from vaejax.errors import UserError


def nearest(name: str, known, labels: dict[str, str] | None = None) -> str:
  """' (did you mean X?)' for the known name that is closest to `name`, or '' if none is close.
  `labels` {name: X} replaces the name that is shown."""
  close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
  return f' (did you mean {(labels or {}).get(close[0], close[0])!r}?)' if close else ''


def choice(field: str, name: str, choices) -> Any:
  """choices[name], or the name itself if `choices` is not a dict. Raises UserError with the field
  of the config and its choices if the name is not one of them."""
  if name not in choices:
    raise UserError(
      f'{field}={name!r} is unknown{nearest(name, choices)}. '
      f'Choose one of {", ".join(sorted(choices))}'
    )
  return choices[name] if isinstance(choices, dict) else name


def names(kind: str, attribute: str) -> list[str]:
  """The modules of vaejax.<kind> that define `attribute`, sorted."""
  package = importlib.import_module(f'vaejax.{kind}')
  modules = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
  return [m for m in modules if hasattr(importlib.import_module(f'vaejax.{kind}.{m}'), attribute)]


def files(kind: str) -> dict[str, str]:
  """{name: first sentence of its docstring} of the modules of vaejax.<kind>, without importing
  them."""
  package = importlib.import_module(f'vaejax.{kind}')
  result = {}
  paths = [path for folder in package.__path__ for path in Path(folder).glob('[a-z]*.py')]
  for path in sorted(paths, key=lambda path: path.stem):
    text = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
    result[path.stem] = re.split(r'(?<=\.)\s', ' '.join(text.split()), maxsplit=1)[0]
  return result


@functools.cache
def task_names() -> tuple[str, ...]:
  """The names of the tasks, in order."""
  return tuple(files('tasks'))


def lookup(kind: str, name: str, attribute: str = 'make') -> ModuleType:
  """The module vaejax.<kind>.<name>; for a dotted name, the module of that name anywhere.

  Raises UserError, which lists the existing names, if there is no such module or it does not define
  `attribute`. An error raised inside the module is passed on.
  """
  words = name.split('.') if isinstance(name, str) else ['']
  valid = all(word.isidentifier() for word in words)
  singular = kind.split('.')[-1].removesuffix('s')
  path = name if len(words) > 1 else f'vaejax.{kind}.{name}'
  if valid and exists(path):
    module = importlib.import_module(path)
    if hasattr(module, attribute):
      return module
    if len(words) > 1:
      raise UserError(
        f'{name} cannot be used as a {singular}: it does not define {attribute!r}. Define it, or '
        f'choose one of {", ".join(names(kind, attribute))}'
      )
  known = names(kind, attribute)
  if valid and len(words) > 1:
    raise UserError(
      f'unknown {singular} {name!r}: Python cannot find this module. Run from the folder that '
      f'contains it, install it, or choose one of {", ".join(known)}'
    )
  raise UserError(
    f'unknown {singular} {name!r}{nearest(name, known)}. Choose one of {", ".join(known)}, or give '
    'the dotted name of your own module, for example mylab.mine'
  )


def exists(path: str) -> bool:
  """Whether a module of this dotted name exists. Imports the packages that contain it."""
  try:
    return importlib.util.find_spec(path) is not None
  except ModuleNotFoundError as error:
    # A missing package on the path itself, not something that one of them imports.
    if error.name and (path + '.').startswith(error.name + '.'):
      return False
    raise
