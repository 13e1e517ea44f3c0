"""The version of the code, which is recorded with each result."""

import functools
import subprocess
from importlib import metadata
from pathlib import Path


@functools.cache
def code_version() -> str:
  """The version of the package, such as 0.1.0, and in a checkout its commit: 0.1.0+1a2b3c4, with
  .changed if files of the package differ from it."""
  version, package = metadata.version('vaejax'), Path(__file__).resolve().parent

  def git(*words: str) -> str:
    command = ['git', '-C', str(package), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

  try:
    if Path(git('rev-parse', '--show-toplevel')) != package.parent:  # another project's checkout
      return version
    commit = git('rev-parse', '--short', 'HEAD')
    changed = '.changed' * bool(git('status', '--porcelain', '--', str(package)))
  except (OSError, subprocess.CalledProcessError):
    return version
  return f'{version}+{commit}{changed}'
