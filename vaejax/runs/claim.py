"""Whether a workdir is taken: a start that failed before its first step claims nothing.

A run takes its workdir with the first row of its log or its first checkpoint, a sweep with those of
its stacks. Until then another config, or other data, may use the workdir.
"""

import shutil
from pathlib import Path

from vaejax.runs import checkpoint
from vaejax.runs.files import read_rows

# What a start writes before its first step.
FILES = 'config.json', 'sweep.json', 'members.csv', 'metrics.jsonl', '.summary.lock'
FOLDERS = 'stacks', 'tensorboard', 'checkpoints'
RESULTS = 'evaluation.json', 'results.json', 'report.html', 'images', 'broken'


def is_claimed(workdir: Path) -> bool:
  """Whether a workdir contains steps or results of a run, or of a stack of a sweep."""
  if (workdir / 'config.json').is_file():
    results = any((workdir / name).exists() for name in RESULTS)
    if results or checkpoint.steps(workdir) or read_rows(workdir / 'metrics.jsonl'):
      return True
  stacks = workdir / 'stacks'
  return (workdir / 'sweep.json').is_file() and any(map(is_claimed, stacks.glob('*')))


def clear(workdir: Path) -> None:
  """Deletes the files of a start that failed before its first step. The caller has the lock."""
  if is_claimed(workdir):
    return
  # The names that make a folder a workdir go first: after a kill in between it is unused.
  for name in FILES:
    (workdir / name).unlink(missing_ok=True)
  for name in FOLDERS:
    shutil.rmtree(workdir / name, ignore_errors=True)
