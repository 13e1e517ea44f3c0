"""Latents and reconstructions of a split, written to files."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.api.run import Run
from vaejax.errors import UserError
from vaejax.reporting import images
from vaejax.runs import trained
from vaejax.runs.files import write_atomic

BLOCK = 4096  # rows that are in memory at once


def encode(
  folder: Path,
  split: str = 'test',
  n: int | None = None,
  out: Path | None = None,
  weights: str = 'ema',
  which: str = 'latest',
  data_dir: str | None = None,
  member: int | None = None,
  say=print,
) -> Path:
  """Writes the latents' means of a split, in its order, to a .npz and returns the path.

  It holds 'mean' [N, ...], or 'mean_0', 'mean_1', ... of several latents, and the 'label' [N] of
  data that has one: plain arrays, for np.load.

  Args:
    n: the first so many rows; None: all.
    out: by default latents.npz in the run's folder.
    weights, which, member, say: as of `sample`. data_dir: of the data, by default the run's.

  Raises UserError.
  """
  run = Run(trained.open_run(folder, say, which, member=member), weights)
  out = writable(run.folder, out, 'latents.npz', ('.npz',))
  parts = []
  for batch in rows(run, split, n, data_dir):
    z = run.encode(batch[run.example.data], **run.conditions(batch))
    named = {f'mean_{i}': x for i, x in enumerate(z)} if isinstance(z, tuple) else {'mean': z}
    parts.append(named | {name: x for name, x in batch.items() if name == 'label'})
  found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
  return array_file(out, np.savez, **found)


def reconstruct(
  folder: Path,
  split: str = 'test',
  n: int | None = None,
  out: Path | None = None,
  weights: str = 'ema',
  which: str = 'latest',
  data_dir: str | None = None,
  member: int | None = None,
  say=print,
) -> Path:
  """Writes a picture of the first n rows of a split, by default 64 images or 8 videos, above their
  reconstructions, to a .png, by default reconstructions.png in the run's folder. Returns the path.
  The arguments are those of `encode`. Raises UserError."""
  run = Run(trained.open_run(folder, say, which, member=member), weights)
  out = writable(run.folder, out, 'reconstructions.png', ('.png',))
  pairs = []
  for batch in rows(run, split, n or (8 if run.example.data == 'video' else 64), data_dir):
    x = batch[run.example.data]
    y = run.reconstruct(x, **run.conditions(batch))
    pairs.append([np.asarray(run.example.to_picture(run.example.to_data(a))) for a in (x, y)])
  originals, found = (np.concatenate(each) for each in zip(*pairs, strict=True))
  out.parent.mkdir(parents=True, exist_ok=True)
  images.write_png(out, images.pairs(originals, found, 16))
  return out


def rows(
  run: Run, split: str, n: int | None = None, data_dir: str | None = None
) -> Iterator[dict[str, np.ndarray]]:
  """The first n rows of a split of a run's data (None: all), in parts, as Run's methods take them.
  Raises UserError."""
  _, source = trained.open_split(run, split, data_dir)
  data, n = run.example.data, min(n or source.size, source.size)
  size = min(n, BLOCK)

  @jax.jit
  def block(buffer, index):
    batch = source.rows(buffer, index)
    return batch | {data: run.example.to_unit(batch[data])}

  for first, buffer in zip(range(0, n, size), source.blocks(size), strict=False):
    found = jax.device_get(block(buffer, jnp.minimum(first + np.arange(size), source.size - 1)))
    yield {name: x[: n - first] for name, x in found.items()}


def array_file(out: Path, save: Callable, *arrays: np.ndarray, **named: np.ndarray) -> Path:
  """Writes what np.save or np.savez makes of arrays, atomically. Returns the path."""
  buffer = io.BytesIO()
  save(buffer, *arrays, **named)
  out.parent.mkdir(parents=True, exist_ok=True)
  write_atomic(out, buffer.getvalue())
  return out


def writable(folder: Path, out: Path | None, name: str, endings: tuple[str, ...]) -> Path:
  """Where something is written, by default under `name` in a run's folder. Raises UserError where
  it cannot be."""
  out = out or folder / name
  if out.suffix not in endings:
    raise UserError(f'--out={out}: it takes a name that ends in {" or ".join(endings)}')
  if not out.absolute().parent.is_dir() and out.parent != folder:
    raise UserError(f'--out={out}: there is no folder {out.parent}')
  if out.is_dir():
    raise UserError(f'--out={out} is a folder: it takes the name of a file')
  return out
