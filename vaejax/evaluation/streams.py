"""Streams of other data that evals bring, see eval_type.Eval."""

from collections.abc import Mapping
from typing import Any

from vaejax.data import sources
from vaejax.data.source import Source
from vaejax.errors import UserError
from vaejax.eval_type import Eval
from vaejax.types import Example


def open_others(
  evals: Mapping[str, Eval], data, data_dir: Any, example: Example, put=None
) -> tuple[dict[str, Eval], dict[str, Source], list[str]]:
  """The evals whose other data is there, {stream: its source}, and a line for each skipped eval.

  Args:
    data: the section `data` of the run's config, which says how rows are prepared.
    data_dir: the folder of prepared datasets.
    example: of the run's data.
  """
  fitting, streams, lines = {}, {}, []
  for name, e in evals.items():
    try:
      opened = {s: open_other(table(data_dir), data, example, put) for s, table in e.others.items()}
    except UserError as error:
      lines.append(f'{name} is skipped: {error}')
      continue
    fitting[name] = e
    streams |= opened
  return fitting, streams, lines


def other_section(data, name: str, example: Example):
  """The section `data` of a config for other data, whose images get the size and channels of the
  run's. Raises UserError."""
  height, width, channels = example.fields[example.data].shape[-3:]
  if height != width:
    raise UserError(f'{name} needs a run on square images, but this one has {height}x{width}')
  other = data.copy_and_resolve_references()
  other.update({'name': name, 'size': height, 'channels': channels, 'field': '', 'label': ''})
  other.validation = 0.0
  return other


def open_other(table, data, example: Example, put) -> Source:
  """The source of a table's rows in order, prepared like a run's. Raises UserError if their images
  are not like the run's."""
  if table.units and example.units:
    table = table._replace(units=example.units)
  if data.binarise == 'none' and not table.units:
    table = table._replace(levels=example.levels)  # pixels become the nearest of the run's values
  source = sources.test(data, table, put)
  form = lambda e: (e.data, e.fields[e.data].shape, e.levels, bool(e.units))
  in_words = lambda e: f'{e.data}s of {e.fields[e.data].shape}, {e.levels or "real"} levels'
  if form(source.example) != form(example):
    raise UserError(
      f'{table.origin} has {in_words(source.example)}, but the run was trained on '
      f'{in_words(example)}. Choose another dataset'
    )
  return source
