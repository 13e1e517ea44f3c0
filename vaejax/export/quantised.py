"""Smaller versions of exported files beside those in float32, and what they cost and gain."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vaejax.api.files import write_arrays
from vaejax.errors import UserError
from vaejax.evaluation import judged
from vaejax.export import feeds, latency, quality
from vaejax.export.artifact import Export, File, examples
from vaejax.export.formats import npz
from vaejax.lookup import choice, lookup
from vaejax.lookup import files as modules
from vaejax.runs.files import write_atomic

FORMATS = 'onnx', 'npz'
CALIBRATION_ROWS = 512
SEED = 5


def check(kinds: tuple[str, ...], to: tuple[str, ...]) -> None:
  """Raises UserError for a kind that does not exist, or formats of which none is quantised."""
  known = modules('export.quantise')
  for kind in kinds:
    choice('--quantise', kind, tuple(known))
  if kinds and not set(FORMATS) & set(to):
    raise UserError(
      f'--quantise={",".join(kinds)} is for the formats {" and ".join(FORMATS)}. Add one to '
      f'--to={",".join(to)}'
    )


def calibration(export: Export, to: tuple[str, ...]) -> feeds.Rows | None:
  """The rows that kinds are calibrated on, None if none is. Raises UserError without them."""
  needed = [kind for kind in kinds_of(export) if module(kind).NEEDS_ROWS]
  if not needed or 'onnx' not in to:
    return None
  try:
    return feeds.read_rows(export.run, export.settings.get('split', 'train'), CALIBRATION_ROWS)
  except UserError as error:
    raise UserError(f'--quantise={needed[0]} needs rows of data: {error}') from None


class Made(NamedTuple):
  """(format, file) of all files of an export, and what the values measured depend on."""

  files: list[tuple[str, File]]
  about: dict[str, Any]


def write(export: Export, written, rows: feeds.Rows | None, out: Path) -> Made:
  """Writes the files of all kinds.

  Args:
    written: (format, file) of the files in float32.
    rows: what `calibration` gives.
  """
  if not kinds_of(export):
    return Made(list(written), {})
  held, made = None, []
  for format, file in written:
    if format == 'onnx' and file.function:
      held = held or quality.held_out(export.run, export.log)
      made += [('onnx', one) for one in of_function(export, file, rows, held)]
    else:
      made.append((format, file))
  if any(format == 'npz' for format, _ in written):
    made += [('npz', file) for file in weights(export, out)]
  return Made(made, about(export, rows, held))


def about(export: Export, rows: feeds.Rows | None, held: quality.HeldOut | None) -> dict[str, Any]:
  """What the values depend on."""
  made: dict[str, Any] = {'kinds': list(kinds_of(export))}
  if held is None:  # weights alone
    return made
  made |= {'machine': latency.machine(), 'seed': quality.SEED}
  options = {kind: dict(module(kind).OPTIONS) for kind in kinds_of(export)}
  made['session_options'] = {kind: how for kind, how in options.items() if how}
  count = lambda rows: f'{len(next(iter(rows.values()))):,} rows'
  if rows is not None:
    made['calibrated_on'] = f'{count(rows)} of {export.settings.get("split", "train")}'
  if held.rows is not None:
    made['held_out'] = f'{count(held.rows)} of {quality.SPLIT}'
  if held.judge:
    made |= judged.describe(held.judge)
  return made | ({'left_out': [held.reason]} if held.reason else {})


def weights(export: Export, out: Path) -> list[File]:
  """Writes the weights alone, once for kinds that have the same."""
  named, made = npz.named(export.run.variables), {}
  for kind in kinds_of(export):
    how = module(kind)
    if how.ARRAYS not in made:
      path = write_arrays(out / how.ARRAYS, np.savez_compressed, **how.arrays(named))
      made[how.ARRAYS] = File(path, quantised=kind, measured={'reading': how.READING})
  return list(made.values())


def of_function(export: Export, file: File, rows, held) -> list[File]:
  """Writes one function in all kinds, and returns its files with that in float32."""
  import onnx

  if file.batch:
    export.log(f'{file.function} is not quantised: it takes {file.batch} row at a time')
    return [file]
  model = onnx.load(file.path)
  versions: dict[str, tuple[File, Mapping[str, str]]] = {'': (file, {})}
  for kind in kinds_of(export):
    how = module(kind)
    try:
      given = feeds.make(export.run, file, rows, SEED) if how.NEEDS_ROWS else []
      small = how.model(model, given)
    except UserError as error:
      export.log(f'{file.function} is not quantised as {kind}: {error}')
      continue
    path = file.path.with_suffix(f'.{kind}.onnx')
    write_atomic(path, small.SerializeToString())
    versions[kind] = file._replace(path=path, quantised=kind), how.OPTIONS
  found = measure(export, versions, held)
  return [one._replace(measured=found[kind]) for kind, (one, _) in versions.items()]


def measure(export: Export, versions: Mapping[str, Any], held) -> dict[str, dict[str, Any]]:
  """What is measured of the versions of one function, {kind: {name: value}}."""
  file, function = versions[''][0], export.functions[versions[''][0].function]

  def inputs(n: int) -> dict[str, np.ndarray]:
    named = dict(zip((p.name for p in function.inputs), examples(function, n), strict=True))
    named |= feeds.noise(file, n, SEED)
    return {port.name: named[port.name] for port in file.inputs}

  times = latency.measure({k: (f.path, how) for k, (f, how) in versions.items()}, inputs)
  values = quality.measure(export.run, versions, held)
  options = {kind: {'session_options': dict(how)} for kind, (_, how) in versions.items() if how}
  return {kind: times[kind] | values[kind] | options.get(kind, {}) for kind in versions}


def kinds_of(export: Export) -> tuple[str, ...]:
  """The kinds that are asked for."""
  return tuple(dict.fromkeys(export.settings.get('quantise') or ()))


def module(kind: str):
  """The module of a kind."""
  return lookup('export.quantise', kind, 'model')
