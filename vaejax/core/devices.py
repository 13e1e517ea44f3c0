"""Devices as a mesh of two axes: 'sweep' for runs, 'data' for the examples of a batch."""

import math
import re
from typing import NamedTuple

import jax
from jax.sharding import AxisType, Mesh

from vaejax.errors import UserError


class Layout(NamedTuple):
  """Requested device layout.

  Attributes:
    sweep, data: sizes of the mesh axes; 0 picks the largest that fits.
    fsdp: shard large parameters over 'data' instead of replicating them.
  """

  sweep: int = 0
  data: int = 0
  fsdp: bool = False


ANY_LAYOUT = Layout()


def parse_layout(text: str | None, fsdp: bool = False) -> Layout:
  """The layout of --mesh=sweep:4,data:2. Raises UserError."""
  sizes = {}
  for part in [] if text is None else text.split(','):
    match = re.fullmatch(r'(sweep|data):(\d{1,6})', part)
    if not match or not int(match[2]) or match[1] in sizes:
      raise UserError(
        f'--mesh={text} cannot be read. Use sweep:N, data:M or both, for example sweep:4,data:2'
      )
    sizes[match[1]] = int(match[2])
  return Layout(**sizes, fsdp=fsdp)


def make_mesh(
  batch_size: int = 0, devices=None, members: int = 1, layout: Layout = ANY_LAYOUT
) -> Mesh:
  """A mesh whose axes divide the members of a sweep and the batch.

  It has the same number of devices of every process. Axes that the layout leaves open are as large
  as possible, first 'sweep', along which nothing is communicated. Any size divides batch_size=0.
  Raises UserError for a layout that does not divide them, that needs more devices than there are,
  or that leaves a process without devices.
  """
  by_process = {}
  for device in devices or jax.devices():
    by_process.setdefault(device.process_index, []).append(device)
  processes, most = len(by_process), min(map(len, by_process.values())) * len(by_process)
  if max(layout.sweep, 1) * max(layout.data, 1) > most:
    raise UserError(
      f'--mesh=sweep:{max(layout.sweep, 1)},data:{max(layout.data, 1)} needs more devices than the '
      f'{most} there are'
    )
  if members == 1 and layout.sweep > 1:
    raise UserError(
      f'--mesh=sweep:{layout.sweep}: only one run or member trains at a time. Leave sweep out, or '
      'use another --slice'
    )
  if members % (layout.sweep or 1):
    raise UserError(
      f'--mesh=sweep:{layout.sweep} does not divide the {members} members that train together. Use '
      'a divisor, or another --slice'
    )
  if batch_size % (layout.data or 1):
    raise UserError(
      f'--mesh=data:{layout.data} does not divide the {batch_size} examples of a (micro)batch. '
      'Use a divisor, or another batch_size'
    )
  divisors = lambda total, size: [
    n for n in range(1, most + 1) if total % n == 0 and size in (0, n)
  ]
  fitting = [
    (sweep, data)
    for sweep in divisors(members, layout.sweep)
    for data in divisors(batch_size, layout.data)
    if sweep * data <= most and sweep * data % processes == 0
  ]
  if not fitting:
    raise UserError(
      f'(micro)batches of {batch_size} do not split over {processes} processes. Use a batch_size '
      f'that is a multiple of {processes}, or fewer processes'
    )
  shape = max(fitting)
  per_process = math.prod(shape) // processes
  chosen = [device for devices in by_process.values() for device in devices[:per_process]]
  auto = (AxisType.Auto, AxisType.Auto)
  return jax.make_mesh(shape, ('sweep', 'data'), auto, devices=chosen)
