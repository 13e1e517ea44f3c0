"""Nothing outside its own file names a data set: read from the code."""

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

from vaejax.lookup import names

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / 'vaejax'

# Names of fields of data, and of kinds of styles in the one place where they are named.
FIELDS = {'image', 'video', 'label', 'style', 'factors'}
STYLES = PACKAGE / 'data' / 'styles.py', {'digits'}


class Kind(NamedTuple):
  """Modules that are reached by name.

  Attributes:
    folder: theirs, whose files may name one another.
    has: the names of one of which each file has.
    words: names that are words of something else too, {file: words}.
  """

  folder: str
  has: tuple[str, ...]
  words: dict[Path, set[str]]


KINDS = {'sets': Kind('data/sets', ('table', 'SUITS', 'ARCHIVES'), dict([STYLES]))}


def modules(kind: Kind) -> set[str]:
  """The names of a kind."""
  return {name for has in kind.has for name in names(kind.folder.replace('/', '.'), has)}


def outside(kind: Kind) -> list[Path]:
  """The files that may name none: configs and tests may."""
  own = PACKAGE / kind.folder
  return [path for path in [*PACKAGE.rglob('*.py'), ROOT / 'launch.py'] if own not in path.parents]


def named(tree: ast.AST, kind: Kind, known: set[str]) -> list[str]:
  """What in a file names one of the modules: 'line 3: digits'."""
  package = f'vaejax.{kind.folder.replace("/", ".")}'
  found = []
  for node in ast.walk(tree):
    words = []
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
      words = [node.value]
    elif isinstance(node, ast.Import):
      words = [alias.name.removeprefix(f'{package}.') for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module == package:
      words = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      words = [(node.module or '').removeprefix(f'{package}.')]
    found += [f'line {node.lineno}: {word}' for word in words if word in known]
  return found


@pytest.mark.parametrize('kind', KINDS.values(), ids=KINDS)
def test_nothing_outside_its_own_file_names_it(kind):
  found, known = [], modules(kind)
  assert len(known) > 3
  for path in outside(kind):
    allowed = FIELDS | kind.words.get(path, set())
    lines = named(ast.parse(path.read_text()), kind, known - allowed)
    found += [f'{path.relative_to(ROOT)}, {line}' for line in lines]
  assert not found


@pytest.mark.parametrize(
  'code',
  [
    "if config.data.name == 'digits':\n  pass",
    "x = {'mnist': 3}",
    "f(name='shapes')",
    'from vaejax.data.sets import moving',
    'from vaejax.data.sets.moving import table',
    'import vaejax.data.sets.moving',
    'def f():\n  from vaejax.data.sets import cifar10 as other',
  ],
)
def test_it_is_seen(code):
  kind = KINDS['sets']
  seen = named(ast.parse(code), kind, modules(kind))
  assert len(seen) == 1


def test_words_that_only_hold_a_name_are_none():
  kind = KINDS['sets']
  code = '"""As digits."""\nfrom vaejax.data import sets, stacked\nx = "a set as mnist"\ny.shapes'
  assert not named(ast.parse(code), kind, modules(kind))
