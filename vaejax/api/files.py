"""Latents and reconstructions of a split, written to files."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.api.run import Run
from vaejax.data.source import Source
from vaejax.errors import UserError
from vaejax.reporting import images, previews
from vaejax.runs import trained
from vaejax.runs.files import not_writable, write_atomic

ROWS_AT_ONCE = 4096  # in memory


def write_latents(
  run: Run, split: str = 'test', n: int | None = None, out: Path | None = None
) -> Path:
  """Writes the posterior means of a split, in its order, to a .npz, and returns its path.

  The file contains 'mean' [N, ...], or 'mean_0', 'mean_1', ... for several latents. If the data has
  labels, it also has 'label' [N], which is -1 for a row without one, and if its classes have names,
  'class_names' [classes].

  Args:
    n: the number of rows, from the first on; None: all.
    out: by default latents.npz in the run's folder.

  Raises UserError.
  """
  out, parts = check_out(run, out, 'latents.npz', ('.npz',)), []
  for batch in labelled(run, split, read_rows(run, split, n)):
    z = run.encode(batch[run.example.data], **run.conditions(batch))
    part = {f'mean_{i}': x for i, x in enumerate(z)} if isinstance(z, tuple) else {'mean': z}
    parts.append(part | ({'label': batch['label']} if 'label' in batch else {}))
  arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
  if 'label' in arrays and run.example.class_names:
    arrays['class_names'] = np.asarray(run.example.class_names)  # text, not objects
  return write_arrays(out, np.savez, **arrays)


def write_reconstructions(
  run: Run, split: str = 'test', n: int | None = None, out: Path | None = None
) -> Path:
  """Writes a picture of the first n rows of a split, each above its reconstruction, to a .png.

  By default these are 64 images or 8 videos, in reconstructions.png in the run's folder. Returns
  the path. Raises UserError.
  """
  out, pairs = check_out(run, out, 'reconstructions.png', ('.png',)), []
  n = n or (8 if run.example.data == 'video' else 64)
  for batch in labelled(run, split, read_rows(run, split, n)):
    x = batch[run.example.data]
    y = run.reconstruct(x, **run.conditions(batch))
    pairs.append((as_picture(run, x), as_picture(run, y)))
  originals, reconstructions = (np.concatenate(part) for part in zip(*pairs, strict=True))
  out.parent.mkdir(parents=True, exist_ok=True)
  images.write_png(out, images.pairs(originals, reconstructions, 16))
  return out


def read_rows(run: Run, split: str, n: int | None = None) -> Iterator[dict[str, np.ndarray]]:
  """The first n rows of a split of the run's data (None: all), in parts, in the form that Run's
  methods take. Raises UserError."""
  _, source = trained.open_split(run, split, log=run.log)
  return rows_of(run, source, n)


def rows_of(
  run: Run, source: Source, n: int | None = None, at_once: int = 0
) -> Iterator[dict[str, np.ndarray]]:
  """Yields the first n rows of a source in order (None: all), `at_once` rows at a time (0:
  ROWS_AT_ONCE), in the form that Run's methods take."""
  data, n = run.example.data, min(n or source.size, source.size)
  size = min(n, at_once or ROWS_AT_ONCE)

  @jax.jit
  def part(buffer, index):
    batch = source.rows(buffer, index)
    return batch | {k: run.example.to_unit(batch[k]) for k in (data, 'source') if k in batch}

  for first, buffer in zip(range(0, n, size), source.blocks(size), strict=False):
    rows = jax.device_get(part(buffer, jnp.minimum(first + np.arange(size), source.size - 1)))
    yield {name: x[: n - first] for name, x in rows.items()}


def labelled(run: Run, split: str, batches: Iterator) -> Iterator[dict[str, np.ndarray]]:
  """Yields the batches of a split. Raises UserError if a row lacks a label that the run needs."""
  for batch in batches:
    missing = np.sum(batch['label'] < 0) if run.method.conditional else 0
    if missing:
      raise UserError(
        f'{missing:,} of {len(batch["label"]):,} rows of {split} have no label, which this '
        'conditional run needs. Choose another split'
      )
    yield batch


def as_picture(run: Run, x: np.ndarray) -> np.ndarray:
  """Returns images as Run's methods take and give them in [0, 1], with the channels to show."""
  units = run.example.units
  return previews.as_shown(units.picture(units.forward(x)) if units else x, run.example)


def write_arrays(out: Path, save: Callable, *arrays: np.ndarray, **named: np.ndarray) -> Path:
  """Writes arrays with np.save or np.savez, atomically, and returns the path."""
  buffer = io.BytesIO()
  save(buffer, *arrays, **named)
  out.parent.mkdir(parents=True, exist_ok=True)
  write_atomic(out, buffer.getvalue())
  return out


def check_out(run: Run, out: Path | None, name: str, endings: tuple[str, ...]) -> Path:
  """Returns the path to write to, by default `name` in the run's folder. Raises UserError if it
  cannot be written, or has another ending."""
  out = out or run.folder / name
  if out.suffix not in endings:
    raise UserError(f'cannot write {out}. Use a name that ends in {" or ".join(endings)}')
  if not out.absolute().parent.is_dir() and out.parent != run.folder:
    raise UserError(f'cannot write {out}: there is no folder {out.parent}. Create it first')
  if out.is_dir():
    raise UserError(f'cannot write {out}: it is a folder. Use the name of a file')
  if problem := not_writable(out.parent):
    raise UserError(f'cannot write {out}: {problem}. Choose another place with --out=FILE')
  return out
