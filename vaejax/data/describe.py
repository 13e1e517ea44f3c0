"""The Example that a table's rows become, with the settings of their preprocessing."""

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data.device import degrade, transforms
from vaejax.data.device.augment import NONE, Augment, output_shape
from vaejax.data.device.styles import STYLES
from vaejax.data.table import Table
from vaejax.types import Example


def describe(
  table: Table,
  kind: str,
  scale: str,
  augmentation: Augment = NONE,
  styles: str = '',
  pairs: bool = False,
  source: str = '',
) -> Example:
  """The Example of a table's rows after transforms.prepare."""
  name = transforms.data_field(table.row)
  *size, channels = output_shape(augmentation, table.row[name].shape)
  shape = (*size, 3 if styles else channels)
  if source:
    shape, made = degrade.shapes(source, shape)
  data = jax.ShapeDtypeStruct(shape, jnp.float32)
  low, high = limits(table) if table.units else transforms.SCALES[scale]
  levels = 256 if styles else 2 if kind != 'none' else table.levels
  style = {'style': jax.ShapeDtypeStruct((), jnp.int32)} if styles else {}
  style |= {'pair': data, 'style_image': data} if styles and pairs else {}
  extra = {'source': jax.ShapeDtypeStruct(made, jnp.float32)} if source else {}
  fields = {**table.row, name: data, **style, **extra}
  count = len(STYLES[styles]) if styles else 0
  return Example(
    fields,
    table.classes,
    low,
    high,
    levels,
    name,
    count,
    table.units,
    table.class_names,
    tuple(table.factors.items()),
  )


def limits(table: Table) -> tuple[float, float]:
  """The range of real numbers inside a method: from the lowest to the highest level if the table
  has levels and is not transformed, else the range that pictures show."""
  units = table.units
  if table.levels and units.transform == 'none':
    ends = np.asarray([[0.0], [table.levels - 1.0]], np.float32)
    low, high = np.asarray(units.forward(ends))
  else:
    ends = np.asarray([units.low, units.high])
    low, high = (ends - units.shift) / units.scale
  return float(low.min()), float(high.max())
