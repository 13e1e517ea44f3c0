"""The sources of the splits of a config's `data`: the settings with which source.py makes them."""

import math

import jax

from vaejax.data import classes, combine, labels, left_out, settings, source, subset
from vaejax.data.describe import describe
from vaejax.data.device import augment, transforms
from vaejax.data.source import Source
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.plural import counted
from vaejax.types import Example


def style_settings(data) -> tuple[str, bool]:
  """The kind of styles, and whether rows come in pairs, see transforms.prepare."""
  return settings.styles(data), bool(data.get('pairs'))


def augmentation(data) -> augment.Augment:
  """The random changes of training images in a config's `data.augment`."""
  return augment.Augment(**data.augment)


def train(data, rows: Table, n: int, seed: int, put=None, leave_out: bool = False) -> Source:
  """The training source, with batches of n rows in the order of `data.seed`, or of each run's key.

  With `data.labels`, a number of labelled rows, each batch also has `data.labelled_batch` of them
  as 'labelled_image' and so on. `data.seed`, or else `seed`, decides which rows are labelled; they
  are the same for all members of a sweep. With `leave_out`, a class may be left out of batches.

  Raises UserError if that needs labels that cannot be read, or a resident source.
  """
  if not data.get('labels'):
    return single(data, rows, n, seed, put, leave_out=leave_out)
  fixed = run_key(seed if data.seed is None else data.seed)
  labelled = subset.balanced(rows, data.labels, source.data_key(combine.part_key(fixed, 2)))
  parts = {'': (rows, n), 'labelled_': (labelled, data.labelled_batch)}
  return combine.join(
    {
      prefix: single(data, *part, seed, put, i, leave_out)
      for i, (prefix, part) in enumerate(parts.items())
    }
  )


def single(
  data, rows: Table, n: int, seed: int, put, number: int = 0, leave_out: bool = False
) -> Source:
  """The training source of one table, which is source `number` of `combine.join`."""
  size = resident_bytes(rows)
  resident = data.mode == 'resident' or (data.mode == 'auto' and size <= data.budget_mb * 2**20)
  fixed = data.seed if data.seed is not None else (None if resident else seed)
  key = None if fixed is None else combine.part_key(run_key(fixed), number)
  changes, workers, label = augmentation(data), data.workers, None
  if leave_out and not resident:
    raise UserError(
      f'hyper.{left_out.FIELD} needs rows on the device, but {rows.origin} is streamed. Set '
      'data.mode=resident, or a larger data.budget_mb'
    )
  if leave_out:
    label = labels.read(rows, math.inf)
  styles = style_settings(data)
  made = source.make(
    rows,
    n,
    data.binarise,
    data.scale,
    changes,
    resident,
    key,
    put,
    *styles,
    workers,
    label,
    settings.source(data),
  )
  return made._replace(example=example(data, rows))


def resident_bytes(rows: Table) -> int:
  """The device memory of a resident split, which is 0 for a procedural one."""
  return 0 if rows.render else rows.size * source.row_bytes(rows)


def binarisation(data) -> str:
  """How test splits are binarised: 'dynamic' becomes 'static', so that evaluation is repeatable."""
  return 'static' if data.binarise == 'dynamic' else data.binarise


def example(data, rows: Table) -> Example:
  """The Example of a table under a config's `data`. Raises UserError for settings that do not fit
  it."""
  changes = augmentation(data)
  shape = rows.row[transforms.data_field(rows.row)].shape
  augment.check(changes, shape, bool(rows.units), data.binarise)
  described = describe(
    rows, data.binarise, data.scale, changes, *style_settings(data), settings.source(data)
  )
  channels = described.fields[described.data].shape[-1]
  if wrong := [c for c in data.shown if c >= channels]:
    raise UserError(
      f'data.shown={wrong[0]} is not a channel: {rows.origin} has 0 to {channels - 1}'
    )
  return described._replace(shown=tuple(data.shown))


def test(data, rows: Table, put=None) -> Source:
  """A source for a pass in order, with the centre of a crop, fixed binarisation and styles, and
  nothing random."""
  resident = data.mode != 'stream' and resident_bytes(rows) <= data.budget_mb * 2**20
  kind, centre = binarisation(data), augment.evaluation(augmentation(data))
  made = source.make(
    rows,
    1,
    kind,
    data.scale,
    centre,
    resident,
    None,
    put,
    *style_settings(data),
    source=settings.source(data),
  )
  return made._replace(example=example(data, rows))


def run_key(seed: int) -> jax.Array:
  """The key in the state of a run with this seed (see core.step.create)."""
  return jax.random.split(jax.random.key(seed))[1]


def count_labels(data, rows: Table) -> labels.Count | None:
  """How many rows of a split have a label; None if that is unknown, see `labels.read`."""
  budget = {'stream': 0, 'resident': math.inf}.get(data.mode, data.budget_mb * 2**20)
  return labels.count(rows, budget)


def summary(rows: Table, resident: bool, count: labels.Count | None = None) -> str:
  """One line such as '60,000 images of 28x28x1, resident (44.9 MiB), 10 classes', with the factors
  and their numbers of values, and with the number of rows without a label in `count`, if any."""
  name = transforms.data_field(rows.row)
  shape = 'x'.join(map(str, rows.row[name].shape))
  place = f'resident ({resident_bytes(rows) / 2**20:.1f} MiB)' if resident else 'streamed'
  place = 'rendered' if rows.render and resident else place
  line = f'{counted(rows.size, name)} of {shape}, {place}'
  if rows.classes:
    line += f', {classes.describe(rows.class_names, rows.classes)}'
  if rows.factors:
    values = (f'{name} ({count})' for name, count in rows.factors.items())
    line += f', factors: {", ".join(values)}'
  if rows.classes and count and count.unlabelled:
    line += f'; {counted(count.unlabelled, "row")} without a label'
  return line
