import copy
import itertools
import json
import pickle
import shutil
import sys

import pytest
from running import SMOKE

from vaejax.cli.main import main
from vaejax.errors import UserError
from vaejax.runs import checkpoint, workdir
from vaejax.runs.trained import open_run


def leaf_paths(tree, path=()):
  """Every place in a JSON tree, inner ones too."""
  for key, value in tree.items():
    yield (*path, key)
    if isinstance(value, dict):
      yield from leaf_paths(value, (*path, key))


def put(tree, path, value):
  """A copy of a JSON tree with another value at a place; without it, where `value` is ...."""
  tree = copy.deepcopy(tree)
  inner = tree
  for key in path[:-1]:
    inner = inner[key]
  if value is ...:
    del inner[path[-1]]
  else:
    inner[path[-1]] = value
  return tree


@pytest.fixture
def run(finished, tmp_path):
  """A finished run, to be spoilt."""
  return shutil.copytree(finished, tmp_path / 'run')


def errors(capsys, *words):
  """The exit status of a command line and the lines of its stderr."""
  status = main(list(map(str, words)))
  return status, capsys.readouterr().err.strip().splitlines()


def verbs(folder):
  return (['sample', '--n=1'], ['evaluate'], ['train'])


CRAFTED = {
  'a module elsewhere': ('config.method', 'antigravity'),
  'a path': ('config.method', '../../x'),
  'a private module': ('config.method', '__init__'),
  'a method that is a number': ('config.method', 5),
  'a likelihood with dots': ('config.model.likelihood', '__class__.__init__'),
  'an attribute of a module': ('config.optimizer.name', 'optax.adam'),
  'a private attribute': ('config.optimizer.name', '__builtins__'),
  'an objective that is null': ('config.objective.name', None),
  'a huge count': ('config.steps', 10**400),
  'a huge float': ('config.hyper.lr', 10**400),
  'latents of another model': ('config.model.latents', 5),
  'too many latents': ('config.model.latents', 10**12),
  'widths that are words': ('config.model.widths', ['a']),
  'no model': ('config.model', ...),
  'a model that is a list': ('config.model', [1, 2]),
  'no hyper': ('config.hyper', {}),
  'a dataset elsewhere': ('config.data.name', '../../etc'),
  'a dataset that is a module': ('config.data.name', 'os'),
  'no example': ('example', ...),
  'fields that are a list': ('example.fields', [1]),
  'no config': ('config', None),
}


@pytest.mark.parametrize('case', CRAFTED)
def test_a_crafted_config_is_one_line(run, capsys, project, case):
  name, value = CRAFTED[case]
  saved = json.loads((run / 'config.json').read_text())
  (run / 'config.json').write_text(json.dumps(put(saved, tuple(name.split('.')), value)))
  for verb, *flags in verbs(run):
    if verb == 'sample' and name == 'config.data.name':
      continue  # it reads no data
    status, lines = errors(capsys, verb, f'--workdir={run}', *flags)
    assert status == 2 and lines[-1].startswith('error: '), (verb, lines)
    assert len(lines) == 1 or verb == 'train'
  assert 'antigravity' not in sys.modules and not (run / 'samples.png').exists()


@pytest.mark.parametrize(
  'content',
  [
    b'',
    b'null',
    b'[]',
    b'{}',
    b'{"config": ',
    b'\xff\xfe',
    b'[' * 100_000,
    b'{"config":' * 5000 + b'1' + b'}' * 5000,
    b'{"config": NaN, "example": 1e999, "data_dir": null}',
    b'9' * 5000,
    pickle.dumps({'config': 1}),
    b'!!python/object/apply:os.system ["true"]',
  ],
)
def test_what_is_not_a_config_is_one_line(run, capsys, project, content):
  (run / 'config.json').write_bytes(content)
  for verb, *flags in verbs(run):
    status, lines = errors(capsys, verb, f'--workdir={run}', *flags)
    assert status == 2 and len(lines) == 1 and lines[0].startswith('error: ')
    assert 'config.json' in lines[0] and len(lines[0]) < 400


@pytest.mark.slow
def test_every_field_spoilt(run):
  """Whatever stands in whatever field: a UserError, or what a run is made of."""
  saved = json.loads((run / 'config.json').read_text())
  odd = (..., None, True, -1, 10**30, 1.5, float('nan'), '', 'x.y/../z', [], [1, 2], {}, {'a': {}})
  read, refused = [], []
  for path, value in itertools.product(leaf_paths(saved), odd):
    (run / 'config.json').write_text(json.dumps(put(saved, path, value)))
    try:
      assert isinstance(workdir.read_config(run), workdir.SavedRun)
      read.append((path, value))
    except UserError:
      refused.append((path, value))
  assert (('config', 'hyper', 'lr'), 1.5) in read and (('config',), None) in refused


@pytest.mark.parametrize('verb', ['sample', 'evaluate', 'train'])
def test_a_workdir_that_is_none(tmp_path, capsys, project, verb):
  (tmp_path / 'file').write_text('text')
  (tmp_path / 'full').mkdir()
  (tmp_path / 'full' / 'thesis.tex').write_text('text')
  config = [SMOKE] if verb == 'train' else []
  names = ['file', 'file/below', 'full']
  for name in names if verb == 'train' else [*names, 'missing', '.']:
    status, lines = errors(capsys, verb, f'--workdir={tmp_path / name}', *config)
    assert status == 2 and len(lines) == 1 and lines[0].startswith('error: '), name
  assert {p.name for p in tmp_path.rglob('*')} == {'file', 'full', 'thesis.tex'}


def test_a_run_without_a_checkpoint(run, capsys, project):
  shutil.rmtree(run / 'checkpoints')
  for verb in ('sample', 'evaluate'):
    status, (line,) = errors(capsys, verb, f'--workdir={run}')
    assert status == 2 and 'no checkpoint yet' in line


def test_the_lock_is_held_and_let_go(tmp_path):
  again = lambda: workdir.locked(tmp_path / 'run')
  with again(), pytest.raises(UserError, match='another process'), again():
    pass
  with again():
    pass


def test_a_config_comes_back(finished):
  config, example, data, data_dir, members, init = workdir.read_config(finished)
  digests = data['train'].pop('content')
  sample = data['train'].pop('sample')
  assert data['train'] == {'read': 'digits train', 'rows': 1500}
  assert sample['content'].keys() == digests.keys() and sample['files'] is None
  assert digests.keys() == {'image', 'label'} and data['test']['content'] != digests
  assert config.data.name == 'digits' and config.steps == 20 and data_dir is None and not members
  assert init is None
  assert example.fields['image'].shape == (8, 8, 1) and example.classes == 10
  saved = json.loads((finished / 'config.json').read_text())
  assert saved['versions'].keys() == set(workdir.PACKAGES)


def test_a_checkpoint_is_chosen(copied):
  """By step, as the best, or the newest; and what is there is listed where it is not."""
  opened = lambda which: int(open_run(copied, print, which).state.step)
  there = checkpoint.steps(copied)
  assert [opened('latest'), opened('10')] == [there[-1], 10]
  best = [json.loads(line) for line in (copied / 'metrics.jsonl').read_text().splitlines()]
  best = max((r for r in best if r['split'] == 'validation'), key=lambda row: row['elbo'])
  assert opened('best') == best['step']
  for which in ('15', 'newest', '-1', ''):
    with pytest.raises(UserError, match='Use latest, best or one of the steps 10, 20'):
      opened(which)
