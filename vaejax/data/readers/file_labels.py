"""Labels and factors of files: from labels.csv, or else from the folders that they are in."""

from typing import NamedTuple

import numpy as np

from vaejax.data.readers import groups, labels_csv, listing
from vaejax.data.settings import NO_LABEL, Settings
from vaejax.errors import UserError
from vaejax.plural import counted


class FileLabels(NamedTuple):
  """What is known of all files of a folder.

  Attributes:
    values: the label of each file, int32 [N], -1 without one; None if there are no labels.
    class_names: the names of the classes.
    factors: {name: Column of labels_csv}.
  """

  values: np.ndarray | None
  class_names: tuple[str, ...]
  factors: dict[str, labels_csv.Column]

  def fields(self, index: np.ndarray) -> dict[str, np.ndarray]:
    """'label' int32 [n] and 'factors' int32 [n, F] of the files at `index` [n], if there are
    any."""
    result = {}
    if self.values is not None:
      result['label'] = self.values[index]
    if self.factors:
      result['factors'] = np.stack([c.values[index] for c in self.factors.values()], -1)
    return result


def find(
  files: listing.Listing, stored: groups.Groups, settings: Settings, noun: str
) -> tuple[FileLabels, list[str]]:
  """The labels of a listing, and lines for the user, which call a file a `noun`. Raises UserError
  if labels.csv is wrong, or has no column `data.label`."""
  if settings.label == NO_LABEL:
    return FileLabels(None, (), {}), []
  columns, ignored, notes = labels_csv.read(files.root, files.names, noun)
  if ignored:
    notes = [*notes, f'{labels_csv.NAME}: not read as factors: {", ".join(ignored)}']
  label = settings.label or 'label'
  if settings.label and label not in columns:
    has = f'the columns {", ".join(columns)}' if columns else f'no {labels_csv.NAME} with classes'
    raise UserError(
      f'data.label={label} is not a column of {labels_csv.NAME} with classes: {files.root} has '
      f'{has}. Choose one of them, or none'
    )
  factors = {name: column for name, column in columns.items() if name != label}
  if label in columns:
    return FileLabels(columns[label].values, columns[label].names, factors), notes
  names, by_split = groups.classes(stored.places)
  if not names:
    return FileLabels(None, (), factors), notes
  values = np.full(len(files.names), -1, np.int32)
  for split, index in stored.rows.items():
    values[index] = by_split[split]
  missing = sum(int(np.sum(x < 0)) for x in by_split.values())
  if missing:
    are = counted(missing, f'{noun} is', f'{noun}s are')
    has = 'has' if missing == 1 else 'have'
    notes = [*notes, f'{are} in no class folder, and {has} no label']
  return FileLabels(values, tuple(map(listing.shown, names)), factors), notes
