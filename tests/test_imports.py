"""Layers import one way: read from the code."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the bottom up; a layer imports those below it, and of a row none the others. What is reached
# by name (methods, evals, sets, nets and their priors) is imported by nobody above it.
LAYERS = (
  ('errors', 'estimates', 'plural', 'version'),
  ('lookup', 'distributed', 'softplus', 'lowering'),
  ('units', 'stream_type'),
  ('types',),
  ('eval_type',),
  ('distributions', 'previous'),
  ('compound',),
  ('objectives', 'metrics'),
  ('latent', 'nets', 'data'),
  ('perceptual',),
  ('methods', 'config', 'scores'),
  ('core', 'inference'),
  ('runs',),
  ('reporting',),
  ('evaluation', 'task_type'),
  ('training', 'restoration'),
  ('sweeps', 'evals', 'tasks'),
  ('api',),
  ('explore',),
  ('export',),
  ('cli',),
)
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
# Only by lookup: a name in a config, and not an import, leads there.
BY_NAME = {
  'methods': (),
  'evals': (),
  'nets': ('methods', 'perceptual'),
  'tasks': (),
  'latent': ('methods', 'scores', 'evals', 'inference', 'tasks', 'api'),
}


def imported(code: str) -> set[str]:
  """The dotted names of vaejax that a file imports."""
  found = set()
  for node in ast.walk(ast.parse(code)):
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and node.module:
      found |= {f'{node.module}.{alias.name}' for alias in node.names}
  return {name for name in found if name.startswith('vaejax.')}


def layer(name: str) -> str:
  return name.split('.')[1]


def edges() -> dict[tuple[str, str], str]:
  """{(layer, layer that it imports): a file that does so}."""
  found = {}
  for path in sorted((ROOT / 'vaejax').rglob('*.py')):
    own = path.relative_to(ROOT / 'vaejax').parts[0].removesuffix('.py')
    for name in imported(path.read_text()):
      # Beside the package itself, whose lazy names are api's.
      if own not in ('__init__', layer(name)):
        found[own, layer(name)] = f'{path.relative_to(ROOT)} imports {name}'
  return found


def test_every_module_has_a_layer():
  there = {path.name.removesuffix('.py') for path in (ROOT / 'vaejax').iterdir()}
  assert {
    name for name in there if name[0] != '_' and name not in ('py.typed', 'README.md')
  } == set(RANK)


def test_imports_run_one_way():
  wrong = [where for (own, other), where in edges().items() if RANK[other] >= RANK[own]]
  assert not wrong


@pytest.mark.parametrize('kind', BY_NAME)
def test_what_is_reached_by_name_is_not_imported(kind):
  wrong = [w for (own, other), w in edges().items() if other == kind and own not in BY_NAME[kind]]
  assert not wrong


def test_an_import_is_seen_wherever_it_stands():
  code = 'import os\ndef f():\n  from vaejax.core import step\n  import vaejax.data.table'
  assert imported(code) == {'vaejax.core.step', 'vaejax.data.table'}
  assert edges()['methods', 'nets'] and ('runs', 'data') in edges()
