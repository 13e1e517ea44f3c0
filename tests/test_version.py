"""The version that is recorded with results, and in a checkout the commit."""

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

CODE = 'from vaejax.version import code_version; print(code_version())'
PACKAGE = Path(__file__).parent.parent / 'vaejax'


@pytest.fixture
def checkout(tmp_path):
  """A repository with the package, and git(*words) in it."""
  if not shutil.which('git'):
    pytest.skip('needs git')
  shutil.copytree(PACKAGE, tmp_path / 'vaejax', ignore=shutil.ignore_patterns('__pycache__'))
  identity = ('-c', 'user.name=a', '-c', 'user.email=a@b')

  def git(*words):
    command = ['git', *identity, *words]
    return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

  git('init', '-q')
  git('add', 'vaejax')
  git('commit', '-q', '-m', 'first')
  return tmp_path, git


def version_in(folder):
  command = [sys.executable, '-B', '-c', CODE]
  done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
  return done.stdout.strip()


def test_a_checkout_names_its_commit_and_whether_it_was_changed(checkout):
  folder, git = checkout
  release, commit = metadata.version('vaejax'), git('rev-parse', '--short', 'HEAD').strip()
  assert version_in(folder) == f'{release}+{commit}'
  (folder / 'notes.txt').write_text('not of the package')
  assert version_in(folder) == f'{release}+{commit}'
  (folder / 'vaejax' / 'version.py').open('a').write('# changed')
  assert version_in(folder) == f'{release}+{commit}.changed'


def test_a_package_inside_another_project_does_not_name_its_commit(checkout):
  folder, _ = checkout
  inner = folder / 'site-packages'
  shutil.copytree(folder / 'vaejax', inner / 'vaejax')
  assert version_in(inner) == metadata.version('vaejax')
