"""Nothing outside its own file names a dataset, a method or an eval: read from the code."""

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

from vaejax.lookup import names

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / 'vaejax'

# Names of fields of data, and of kinds of styles in the one place where they are named.
FIELDS = {'image', 'video', 'label', 'style', 'factors', 'paired'}
STYLES = PACKAGE / 'data' / 'device' / 'styles.py', {'digits'}
# There a word names a net, a player or a term of a bound.
HAVE_JUDGES = 'evaluation/judged.py', 'tasks/interpolate.py', 'tasks/edit.py'
HAVE_ELBO = 'functions', 'quality', 'measured'
SCALES_UNIT = 'config/base.py', 'data/source.py', 'data/splits.py', 'data/device/transforms.py'
MODELS = tuple(PACKAGE / folder for folder in ('methods', 'nets', 'objectives'))


class Kind(NamedTuple):
  """Modules that are reached by name.

  Attributes:
    folder: theirs, whose files may name one another.
    has: the names of one of which each file has.
    words: names that are words of something else too, {file: words}.
    terms: folders in whose texts a name is a word of something else; imports are seen there too.
  """

  folder: str
  has: tuple[str, ...]
  words: dict[Path, set[str]]
  terms: tuple[Path, ...] = ()


KINDS = {
  'tasks': Kind('tasks', ('run',), {}, (PACKAGE,)),
  'sets': Kind('data/sets', ('table', 'SUITS', 'ARCHIVES'), dict([STYLES])),
  # A prior is also the default of a config's field, and 'unit' is a range of the data.
  'methods': Kind(
    'methods',
    ('make',),
    {PACKAGE / 'config' / 'presets.py': {'prior'}}
    | {PACKAGE / name: {'unit'} for name in SCALES_UNIT},
    MODELS,
  ),
  # `elbo` is the default of a config's field `evals`, and a function of a run. A kernel is also one
  # of a convolution. Tasks have a setting `judge`, and a score `probe`.
  'evals': Kind(
    'evals',
    ('make',),
    {
      PACKAGE / 'config' / 'base.py': {'elbo'},
      **{PACKAGE / 'export' / f'{name}.py': {'elbo'} for name in HAVE_ELBO},
      PACKAGE / 'config' / 'presets.py': {'kernel'},
      PACKAGE / 'perceptual' / 'weights.py': {'kernel'},
      PACKAGE / 'perceptual' / 'translation.py': {'probe'},
      PACKAGE / 'tasks' / 'translate.py': {'probe'},
      **{PACKAGE / name: {'judge'} for name in HAVE_JUDGES},
    },
    MODELS,
  ),
}


def modules(kind: Kind) -> set[str]:
  """The names of a kind."""
  return {name for has in kind.has for name in names(kind.folder.replace('/', '.'), has)}


def outside(kind: Kind) -> list[Path]:
  """The files that may name none: configs and tests may."""
  own = PACKAGE / kind.folder
  return [path for path in [*PACKAGE.rglob('*.py'), ROOT / 'launch.py'] if own not in path.parents]


def named(tree: ast.AST, kind: Kind, known: set[str], texts: bool = True) -> list[str]:
  """What in a file names one of the modules: 'line 3: digits', in its imports or its texts."""
  package = f'vaejax.{kind.folder.replace("/", ".")}'
  found = []
  for node in ast.walk(tree):
    words = []
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
      words = [node.value] if texts else []
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
    texts = not any(folder in path.parents for folder in kind.terms)
    lines = named(ast.parse(path.read_text()), kind, known - allowed, texts)
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


def test_methods_and_evals_are_seen():
  code = "if config.method == 'gan':\n  from vaejax.methods import rvae\nx = lookup('evals', 'nll')"
  assert len(named(ast.parse(code), KINDS['methods'], modules(KINDS['methods']))) == 2
  assert len(named(ast.parse(code), KINDS['evals'], modules(KINDS['evals']))) == 1
  assert len(named(ast.parse(code), KINDS['methods'], modules(KINDS['methods']), texts=False)) == 1


def test_words_that_only_hold_a_name_are_none():
  kind = KINDS['sets']
  code = '"""As digits."""\nfrom vaejax.data import sets, stacked\nx = "a set as mnist"\ny.shapes'
  assert not named(ast.parse(code), kind, modules(kind))
