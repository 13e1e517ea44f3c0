"""Writes a run in one or more formats, compares each file with the run, and writes the card."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vaejax.errors import RunError, UserError
from vaejax.export import card, functions, parity, quantised
from vaejax.export.artifact import Export, File
from vaejax.lookup import choice, lookup
from vaejax.lookup import files as modules
from vaejax.runs.files import not_writable


def write(
  run,
  to: tuple[str, ...],
  out: Path,
  names: tuple[str, ...] = (),
  licence: str = '',
  settings: dict[str, Any] | None = None,
  log: Callable[[str], None] = print,
) -> list[Path]:
  """Writes functions of a run to a folder, and returns the paths of its files.

  Args:
    run: a vaejax.api.run.Run.
    to: formats, see export/formats.
    out: the folder; it is made if it is missing.
    names: of the functions, (): all that the run has.
    licence: of the weights, for the card.
    settings: of formats.
    log: gets a line on what cannot be exported.

  Raises UserError for what cannot be exported, and RunError if a file differs from the run.
  """
  known = modules('export.formats')
  for name in to:
    choice('--to', name, tuple(known))
  check_out(out)
  export = Export(run, functions.choose(run, names), settings or {}, log)
  quantised.check(quantised.kinds_of(export), to)
  formats = {name: lookup('export.formats', name, 'write') for name in to}
  for format in formats.values():
    if hasattr(format, 'check'):
      format.check(export)
  rows = quantised.calibration(export, to)
  out.mkdir(parents=True, exist_ok=True)
  for name in card.NAMES:  # it would be wrong as soon as the first file is written
    (out / name).unlink(missing_ok=True)
  written: list[tuple[str, File]] = []
  for name, format in formats.items():
    written += [(name, file) for file in format.write(export, out)]
  compared = [(f, file) for f, file in written if file.function and not file.quantised]
  of = lambda file: file.computes or export.functions[file.function]
  jobs = [parity.job(f, file, of(file)) for f, file in compared]
  differences = parity.measure(jobs) if jobs else []
  errors = {file.path: e for (_, file), e in zip(compared, differences, strict=True)}
  written, about = quantised.write(export, written, rows, out)
  paths = [file.path for _, file in written]
  paths += card.write(export, written, errors, licence, out, about)
  for path, error in errors.items():
    if not error <= parity.TOLERANCE:
      raise RunError(
        f'{path} differs from the run by {error:.1e}, more than {parity.TOLERANCE:g}. It is '
        'written, but do not use it'
      )
  return paths


def check_out(out: Path) -> None:
  """Raises UserError if the folder cannot be written."""
  if out.exists() and not out.is_dir():
    raise UserError(f'cannot write {out}: it is a file. Use the name of a folder')
  if problem := not_writable(out):
    raise UserError(f'cannot write {out}: {problem}. Choose another place with --out=DIR')
