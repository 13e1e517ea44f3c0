"""Anomaly scores of a split, or of the user's own pictures, written to a CSV file."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vaejax import scores
from vaejax.api.files import check_out, labelled, rows_of
from vaejax.api.run import Run
from vaejax.data import splits
from vaejax.data.source import Source
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.evaluation.evaluate import report_progress
from vaejax.evaluation.streams import open_other, other_section
from vaejax.plural import counted
from vaejax.runs import same_data, trained
from vaejax.runs.files import write_atomic

ROWS_AT_ONCE = 512  # between two lines of progress


def write_scores(
  run: Run,
  inputs: str | None = None,
  split: str | None = None,
  out: Path | None = None,
  background: Run | None = None,
  draws: int = scores.DRAWS,
  samples: int = scores.SAMPLES,
  skip_damaged: bool = False,
) -> Path:
  """Writes the scores of all rows of a split to a .csv, one line a row, and returns its path.

  The columns are 'file', or 'index' if rows have no files, 'label' if rows have labels, and the
  scores of `Run.score`. Another call writes the same file.

  Args:
    inputs: the name or path of other data, whose images get the run's size and channels; None: the
      run's data.
    split: by default test, or all rows of `inputs`.
    out: by default scores.csv in the run's folder.
    background, draws, samples: see Run.score.
    skip_damaged: whether to go on without the damaged files of `inputs`.

  Raises UserError.
  """
  out = check_out(run, out, 'scores.csv', ('.csv',))
  run.check_score()
  if background:
    name = f'the background model {background.folder}'
    same_data.check_fits(name, background.example, run.example)
  if inputs:
    table, source = open_inputs(run, inputs, split, skip_damaged)
    batches = rows_of(run, source, None, ROWS_AT_ONCE)
  else:
    split = split or 'test'
    table, source = trained.open_split(run, split, log=run.log)
    batches = labelled(run, split, rows_of(run, source, None, ROWS_AT_ONCE))
  columns = {}
  for batch in scored(run, batches, table, background, draws, samples):
    for name, values in batch.items():
      columns.setdefault(name, []).extend(values)
  write_csv(out, first_column(table) | columns)
  return out


def scored(run: Run, batches: Iterator, table: Table, background, draws, samples) -> Iterator[dict]:
  """Yields the columns of each batch, {name: texts [B]}: 'label' if there is one, and scores."""
  show, done = report_progress('scores', run.log), 0
  for batch in batches:
    x, fields = batch[run.example.data], run.conditions(batch)
    values = run.score(x, draws=draws, samples=samples, background=background, **fields)
    texts = {name: [f'{value:.9g}' for value in of_name] for name, of_name in values.items()}
    label = {'label': name_labels(batch['label'], table)} if 'label' in batch else {}
    yield label | texts
    done += len(x)
    show(None, done, table.size)


def name_labels(label: np.ndarray, table: Table) -> list[str]:
  """The class name of each label [N], or its number without class names; '' without a label."""
  names = table.class_names or range(int(label.max(initial=-1)) + 1)
  return [str(names[number]) if number >= 0 else '' for number in label]


def open_inputs(
  run: Run, inputs: str, split: str | None, skip_damaged: bool
) -> tuple[Table, Source]:
  """The table and the source of a split of other data (None: all rows). Raises UserError."""
  if run.method.conditional:
    raise UserError(
      f'{inputs} has no labels of {run.config.data.name}, which this conditional run needs. '
      'Use --split'
    )
  data = other_section(run.config.data, inputs, run.example)
  data.skip_damaged = skip_damaged
  every = not split
  if every:
    split = '+'.join(dict.fromkeys(splits.names(data, run.data_dir)))
  try:
    table = splits.table(data, split, run.data_dir)
  except UserError as error:
    text = str(error).replace('set data.skip_damaged=True', 'add --skip_damaged')
    raise UserError(text) from None
  for note in table.notes:
    run.log(note)
  if every:
    number = len(set(table.names())) if table.names else table.size
    size = 'x'.join(map(str, run.example.fields[run.example.data].shape))
    run.log(f'all {counted(number, "row")} of {inputs} are scored, as images of {size}')
  return table, open_other(table, data, run.example, None)


def first_column(table: Table) -> dict[str, list]:
  """{'file': names}, or {'index': numbers} for a table without files."""
  return {'file': list(table.names())} if table.names else {'index': list(range(table.size))}


def write_csv(path: Path, columns: dict[str, list]) -> None:
  """Writes {heading: column} as CSV. Rows with a file are sorted by its name, equal ones once."""
  rows = list(zip(*columns.values(), strict=True))
  if 'file' in columns:
    rows = sorted(dict.fromkeys(rows), key=lambda row: row[0])  # windows of a video stay in order
  text = io.StringIO()
  csv.writer(text, lineterminator='\n').writerows([list(columns), *rows])
  path.parent.mkdir(parents=True, exist_ok=True)
  write_atomic(path, text.getvalue().encode('utf-8', 'surrogateescape'))
