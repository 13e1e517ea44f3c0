"""The test rows of data that has no test split: 10 % of its rows, the same on every machine."""

import numpy as np

from vaejax.data.order import host_order

FRACTION = 0.1
# The key of the order whose first rows are the test split.
KEY = np.asarray([20261127, 2], np.uint32)


def divide(size: int, shuffled: bool = False) -> tuple[np.ndarray, np.ndarray, str]:
  """The indices of the train and test rows, and a note for the user. They are sorted; with
  `shuffled`, test rows are in a fixed random order, so that the first ones have all kinds of rows.

  A single row is both.
  """
  if size == 1:
    only = np.zeros(1, np.int32)
    return only, only, 'the only row is both train and test'
  drawn = host_order(KEY, np.arange(max(1, round(FRACTION * size))), size)
  train, test = np.delete(np.arange(size, dtype=np.int32), drawn), np.sort(drawn)
  note = f'there is no test split: 10 % of the rows are test, {len(test):,} of {size:,}'
  return train, drawn if shuffled else test, note
