"""The interface of an eval: what the device extracts, and the values that follow on the host."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from vaejax.estimates import Estimate
from vaejax.types import Batch


class Eval(NamedTuple):
  """A family of test values: sums and rows on the device, values and errors from them on the host.

  Attributes:
    extract: {stream: (variables, batch, key, hyper) -> (sums, rows)}, pure, vmapped over the
      members of a sweep. Streams are 'test', the tested split in its order; 'train', the training
      split in its order; and 'samples', as many samples of the method as the tested split has rows,
      in the data's own range, with the fields that they were given, for example 'label'. Rows where
      batch['mask'] [B] is 0 are padding. sums: a tree that is added up over batches. rows:
      {name: [B, ...]}, one for each example; the evals of a pass share the rows of a stream that
      have the same name, which are computed once.
    finish: ({stream: sums}, {stream: {name: [N, ...]}}) -> {name: Estimate, or
      (value, its standard error or None)}, on the host. Raises UserError if nothing can be computed
      from these rows, for example because they are too few; then the others still run.
    names: () -> the names of the values, without a pass.
    protocol: what else a value depends on.
    limit: number of examples that are tested, from the first on: further ones are masked, and
      their rows are not collected; 0: all.
    spaced: whether it gets only as many rows of 'train' as there are of 'test', evenly spaced.
    previous: number of rows of a split that `extract` needs before each row, as
      batch['previous_image'] [B, previous, H, W, C] and so on, the nearest last. Before the first
      row of the split, they are that row.
    others: {stream: (folder of prepared datasets) -> data.table.Table} of streams of other data
      that this eval brings, which is prepared as the run's.
  """

  extract: Mapping[str, Callable[..., tuple[Any, Batch]]]
  finish: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Estimate]]
  names: Callable[[], Sequence[str]]
  protocol: Mapping[str, Any] = MappingProxyType({})
  limit: int = 0
  spaced: bool = False
  previous: int = 0
  others: Mapping[str, Callable[[Any], Any]] = MappingProxyType({})
