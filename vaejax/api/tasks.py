"""Running a task on a trained run, from Python and for the command line, which writes files."""

import inspect
import shlex
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from vaejax.api import inputs, pictures
from vaejax.api.files import write_arrays
from vaejax.api.run import Run
from vaejax.api.task_settings import complete
from vaejax.errors import UserError
from vaejax.lookup import lookup
from vaejax.reporting import images
from vaejax.runs.files import not_writable, read_json, write_json
from vaejax.task_type import Pictures, Result, in_words
from vaejax.version import code_version

FOLDER = 'tasks'  # of a run, for outputs
KINDS = '.png', '.gif', '.npy'
ROWS, SHOWN_AFTER = 16, 10.0  # default of --n; seconds between two lines of progress


def method(run: Run, name: str) -> Callable[..., Result]:
  """The method of a run for a task: (images, *arguments, seed=0, **settings and fields) -> Result.

  The settings are those of vaejax/tasks/NAME.py; of them `arguments` are given by position. Fields
  of the pictures, such as label=..., are given by name.
  """
  task = lookup('tasks', name, 'run')

  def apply(x: Any = None, *arguments: Any, seed: int = 0, **named: Any) -> Result:
    positions = getattr(task, 'ARGUMENTS', ())
    if len(arguments) > len(positions):
      raise UserError(
        f'{name} takes {len(positions)} arguments after the images, but got {len(arguments)}'
      )
    by_position = dict(zip(positions, arguments, strict=False))
    if twice := [key for key in by_position if key in named]:
      raise UserError(f'{name} was given {twice[0]} twice. Use it by position, or by name')
    named = by_position | named
    settings, fields = complete(task, named, run)
    if x is None and needs_pictures(task):
      raise UserError(f'{name} needs pictures. Give them as its first argument')
    if x is None:
      given = Pictures(None, fields, origin='none', train=partial(pictures.read_rows, run, 'train'))
    else:
      given = pictures.of_arrays(run, *reads(task, run, settings), x, {})
      if not given.size:
        raise UserError(f'{name} needs pictures, but there are none. Give one or more')
      given = given._replace(fields={**given.fields, **fields_of(run, fields, given.size)})
    inputs.integer('seed', seed, 0, 2**32 - 1)
    return task.run(run, given, settings, seed, progress(name, run.log))

  apply.__name__, apply.__doc__ = name, inspect.getdoc(task)
  return apply


def write(
  run: Run,
  name: str,
  settings: Mapping[str, Any],
  files: str | None = None,
  split: str | None = None,
  n: int | None = None,
  seed: int = 0,
  out: Path | None = None,
  fit: str = '',
  command: str = '',
) -> tuple[list[Path], list[str]]:
  """Runs a task and writes its picture (.png or .gif), its array (.npy) and, if it has scores,
  tasks/NAME.json in the run's folder, or NAME.json beside the picture if that folder cannot be
  written. Without scores, the JSON of an earlier run of the task is removed if its outputs are
  replaced. Returns the paths, and the scores in words.

  Args:
    files: pictures or folders, separated by commas; None: rows of `split`, by default test.
    n: the number of pictures, from the first on; None: all of `files`, or the task's default.
    out: the place of the picture; files of other kinds have its name and another ending. By default
      tasks/NAME.png in the run's folder.
    fit: see pictures.read.
    command: for the files' metadata.

  Raises UserError before anything is written.
  """
  task = lookup('tasks', name, 'run')
  endings = getattr(task, 'ENDINGS', {})
  out = check_out(run, out or run.folder / FOLDER / f'{name}.png', (*KINDS, *endings))
  if setting := endings.get(out.suffix):
    settings = {**settings, setting: True}
  settings, _ = complete(task, settings, run)
  if files is not None and split is not None:
    raise UserError('--inputs and --split exclude each other. Use one of them')
  if files is not None:
    given = pictures.of_files(run, *reads(task, run, settings), files, fit, n)
  elif needs_pictures(task) or split is not None:
    given = pictures.of_split(run, split or 'test', n or getattr(task, 'ROWS', ROWS))
  else:
    given = Pictures(None, train=partial(pictures.read_rows, run, 'train'))
  given = given._replace(fit=fit)
  result = task.run(run, given, settings, seed, progress(name, run.log))
  out.parent.mkdir(parents=True, exist_ok=True)
  paths = write_files(result, out, command)
  place = run.folder / FOLDER
  place = (out.parent if not_writable(place) else place) / f'{name}.json'
  if result.scores:
    place.parent.mkdir(parents=True, exist_ok=True)
    write_json(place, record(run, name, given, settings, seed, result, command))
    paths.append(place)
  elif place.absolute().with_suffix('') == out.absolute().with_suffix(''):
    place.unlink(missing_ok=True)  # the scores of the outputs that were replaced
  return paths, [in_words(metric, score) for metric, score in result.scores.items()]


def write_files(result: Result, out: Path, command: str) -> list[Path]:
  """Writes the picture, the arrays and the further files of a result, and returns their paths."""
  paths = []
  for ending, writer in result.files.items():
    paths.append(out.with_suffix(ending))
    writer(paths[-1], command)
  if '.png' not in result.files and (result.picture is not None or result.rows):
    paths.append(out.with_suffix('.png'))
    images.write_png(paths[-1], result.as_picture(), command=command)
  if '.gif' not in result.files and result.frames is not None:
    paths.append(out.with_suffix('.gif'))
    images.write_gif(paths[-1], result.frames, command=command)
  if result.images is not None:
    paths.append(write_arrays(out.with_suffix('.npy'), np.save, result.images))
  for name, x in result.arrays.items():
    paths.append(write_arrays(out.with_name(f'{out.stem}_{name}.npy'), np.save, x))
  return paths


def record(run, name, given: Pictures, settings, seed, result: Result, command: str) -> dict:
  """What tasks/NAME.json says."""
  plain = lambda x: x if isinstance(x, bool | int | float | str | tuple | type(None)) else str(x)
  protocol = {
    'pictures': given.origin,
    'split': given.split,
    'n': given.size,
    'seed': seed,
    'step': run.step,
    'settings': {k: plain(v) for k, v in settings.items()},
    **result.protocol,
    'code': code_version(),
    'command': command,
  }
  scores = {metric: score.to_json() for metric, score in result.scores.items()}
  return {'task': name, 'scores': scores, 'protocol': protocol}


def scores(folder: Path, name: str) -> dict:
  """The recorded scores of a task of a run, {} if it has none."""
  path = folder / FOLDER / f'{name}.json'
  return read_json(path)['scores'] if path.is_file() else {}


def needs_pictures(task: ModuleType) -> bool:
  """Whether a task cannot do without pictures."""
  return getattr(task, 'NEEDS_PICTURES', True)


def reads(task: ModuleType, run: Run, settings: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
  """The field and the shape of the pictures that a task is given."""
  if hasattr(task, 'reads'):
    return task.reads(run, settings)
  return run.example.data, run.example.fields[run.example.data].shape


def fields_of(run: Run, fields: Mapping[str, Any], n: int) -> dict[str, np.ndarray]:
  """The fields of n pictures, each an array [n, ...]."""
  return inputs.fields(dict(fields), tuple(fields), (), n, run.example)


def check_out(run: Run, out: Path, endings: tuple[str, ...]) -> Path:
  """The place of the outputs. Raises UserError if nothing can be written there, or for a name with
  another ending."""
  place = out if out.suffix else out.with_suffix(KINDS[0])
  if out.is_dir() or place.is_dir():
    raise UserError(f'cannot write {out}: it is a folder. Use the name of a file')
  out = place
  if out.suffix not in endings:
    raise UserError(f'cannot write {out}. Use a name that ends in {", ".join(endings)}')
  if run.folder not in out.parents and not out.absolute().parent.is_dir():
    raise UserError(f'cannot write {out}: there is no folder {out.parent}. Create it first')
  if problem := not_writable(out.parent):
    raise UserError(f'cannot write {out}: {problem}. Choose another place with --out=FILE')
  return out


def progress(name: str, log: Callable[[str], None]) -> Callable[[int, int], None]:
  """A function (done, total) that logs a line every ten seconds."""
  began = last = time.monotonic()

  def show(done: int, total: int) -> None:
    nonlocal last
    now = time.monotonic()
    if now - last > SHOWN_AFTER and 0 < done < total:
      last = now
      log(f'{name}: {done / total:.0%}, {(now - began) * (total - done) / done:.0f} s left')

  return show


def command_line(argv: list[str]) -> str:
  """A command as one would type it."""
  return shlex.join(['python', 'launch.py', *argv])
