"""What the host does with a chunk that the device has finished: log, evaluate, save."""

import contextlib
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.engine import evaluate, images, report, restoring, shard
from vaejax.engine.group import ALONE
from vaejax.engine.log import Log
from vaejax.engine.step import scheduled
from vaejax.errors import RunError
from vaejax.lookup import lookup
from vaejax.types import Method, Metrics, Source, State, averaged

EVAL_SEED = 0


def due(step: int, every: int, steps: int) -> bool:
  """Whether something that happens every so many steps, and at the end, happens now."""
  return step == steps or (every > 0 and step % every == 0)


def next_stop(config, step: int) -> int:
  """The next boundary after `step`: where a row ends, a checkpoint or a test is due."""
  marks = [config.eval.log_every, config.checkpoint.every, config.eval.every or config.steps]
  return min(config.steps, *(step + every - step % every for every in marks))


class Left(NamedTuple):
  """What there is on the device at a boundary; nothing of it was waited for."""

  step: int
  sums: Metrics  # of every step since the last row
  saved: tuple[State, jax.Array] | None = None  # a `snapshot`, where the state is to be saved
  test: Any = None  # sums of a test pass
  pictures: Any = None


@jax.jit
def snapshot(state: State) -> tuple[State, jax.Array]:
  """A copy that the next chunk does not overwrite, and whether all of it is finite: the last
  update of a chunk is not seen in the chunk's own metrics."""
  floats = [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
  finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in floats]))
  return jax.tree.map(jnp.copy, state), finite


def make_pictures(method: Method, source: Source, n: int):
  """(variables, key) -> {name: about n images [..., H, W, C] in [0, 1]}, dispatched and not waited
  for. Where a sample may be given its label, every class comes in turn."""
  data, low, high = source.example.data, source.example.low, source.example.high
  *frames, _, _, _ = source.example.fields[data].shape
  n = max(1, min(n, source.size) // math.prod(frames))
  labels = jnp.arange(n) % (source.example.classes or 1)
  given = {'label': labels} if 'label' in method.given else {}

  @jax.jit
  def pictures(variables, buffer, key):
    sample_key, key = jax.random.split(key)
    found = {}
    if method.sample is not None:
      found['samples'] = method.sample(variables, sample_key, n, given)[data]
    if 'reconstruct' in method.predict:
      batch = source.rows(buffer, jnp.arange(n))
      found['originals'] = (batch[data] - low) / (high - low)
      found['reconstructions'] = method.predict['reconstruct'](variables, batch, key)[data]
    if 'translate' in method.predict and source.example.styles:
      found['transfers'] = crossed(method, variables, batch, source.example)
    return found

  buffer = next(iter(source.blocks(n)))
  return lambda variables, key: pictures(variables, buffer, key)


def crossed(method: Method, variables, batch, example) -> jax.Array:
  """Contents x styles: a row of images in all the styles, then of each of eight images itself and
  what it becomes in those styles, in rows: [(1 + C) (1 + S), H, W, 3], the first of them blank."""
  image = batch['image']
  styles = jnp.stack([jnp.argmax(batch['style'] == i) for i in range(example.styles)])
  styles, contents = image[styles], image[: min(8, image.shape[0])]
  s, c = styles.shape[0], contents.shape[0]
  pairs = {'image': jnp.repeat(contents, s, axis=0), 'style_image': jnp.tile(styles, (c, 1, 1, 1))}
  found = method.predict['translate'](variables, pairs, jax.random.key(0))['image']
  unit = lambda x: (x - example.low) / (example.high - example.low)
  rows = jnp.concatenate([unit(contents)[:, None], found.reshape(c, s, *image.shape[1:])], axis=1)
  first = jnp.concatenate([jnp.full_like(image[:1], jnp.nan), unit(styles)])
  return jnp.concatenate([first, rows.reshape(-1, *image.shape[1:])])


class Settler:
  """The host's side of a run. `start` dispatches what a boundary needs, `settle` reads it."""

  def __init__(
    self, config, folder: Path, setup, log: Log, checkpoints, seconds: float, step: int, group=ALONE
  ):
    self.config, self.folder, self.setup = config, folder, setup
    self.log, self.checkpoints, self.group = log, checkpoints, group
    self.before, self.began = seconds, time.monotonic()
    self.last = (self.began, step)
    evals = {'elbo': lookup('evals', 'elbo').make(setup.method, config)}
    make_pass = lambda limit: evaluate.make_pass(
      evals, setup.test, config.eval.batch_size, limit, setup.mesh
    )
    whole = config.eval.size == 0 or config.eval.size >= setup.test.size
    self.test = make_pass(config.eval.size)
    self.full = self.test if whole else make_pass(0)
    self.elbo, self.found = evals['elbo'], None
    self.pictures = None  # made when first due: the first step does not wait for test images

  def start(self, step: int, sums: Metrics, state: State) -> Left:
    """Dispatches the copy, the test pass and the pictures that are due after `step`."""
    config = self.config
    left = Left(step, sums)
    test = due(step, config.eval.every, config.steps)
    # A test that decides which is best is of no use without the checkpoint that it is about.
    if due(step, config.checkpoint.every, config.steps) or (test and config.checkpoint.best):
      left = left._replace(saved=shard.whole(snapshot(state)))
    if not test:
      return left
    variables, key = averaged(state), jax.random.key(EVAL_SEED)
    sums = self.test.start(variables, scheduled(state, self.setup.schedules), key)
    self.pictures = self.pictures or make_pictures(
      self.setup.method, self.setup.test, config.eval.images
    )
    return left._replace(test=sums, pictures=shard.whole(self.pictures(variables, key)))

  def means(self, step: int, sums: Metrics) -> dict[str, float]:
    """Waits for the steps since the last row, up to `step`; their metrics, averaged and checked."""
    count = step - self.last[1]
    values = {
      name: float(value) / count for name, value in jax.device_get(shard.whole(sums)).items()
    }
    self.check(values, self.last[1] + 1, step)
    return values

  def glance(self, step: int, sums: Metrics) -> None:
    """Waits for a chunk that ends before a boundary, and shows it."""
    if step > self.last[1]:
      self.log.progress(step, self.means(step, sums))

  def settle(self, left: Left) -> None:
    """Waits for a boundary, logs its row, and saves its state once all of it was seen finite."""
    values = self.means(left.step, left.sums)
    now, (then, step) = time.monotonic(), self.last
    seconds = self.before + now - self.began
    self.last = (now, left.step)
    rate = {'steps_per_s': (left.step - step) / max(now - then, 1e-9)}
    self.log.scalars(left.step, 'train', seconds, values | rate)
    self.log.progress(left.step, values)
    found = None
    if left.test is not None:
      found = self.found = self.test.finish(left.test)
      # A test is not training: it does not count in the rates.
      waited, now = time.monotonic() - now, time.monotonic()
      self.last = (now, left.step)
      self.log.away(waited)
      self.check({f'test {name}': value for name, value in found.items()}, step + 1, left.step)
      self.log.scalars(left.step, 'test', seconds, found)
      self.show(left.step, left.pictures)
    if left.saved is not None:
      self.save(left.saved, step + 1, left.step, found)

  def save(self, saved, first: int, last: int, metrics=None, row=None) -> None:
    """Saves a `snapshot` after the steps first ... last, if it is finite."""
    state, finite = saved
    self.check({'parameters': 0.0 if finite else math.nan}, first, last)
    self.checkpoints.save(state, metrics, row)

  def suspend(self, step: int, sums: Metrics, state: State) -> None:
    """Saves a run that a signal ends between two boundaries, with the row that it was in."""
    sums = shard.whole(sums)
    self.means(step, sums)
    now, (then, since) = time.monotonic(), self.last
    values = {name: np.asarray(value).tolist() for name, value in sums.items()}
    seconds = self.before + now - self.began
    row = {'since': since, 'sums': values, 'seconds': seconds, 'within': now - then}
    self.save(shard.whole(snapshot(state)), since + 1, step, row=row)

  def resume(self, step: int, zeros: Metrics) -> Metrics:
    """The sums that the row in which a run was suspended goes on from, else zeros."""
    row = self.group.share(lambda: restoring.read_row(self.folder, step))
    if row:
      row['sums'] = {name: np.asarray(value, np.float32) for name, value in row['sums'].items()}
    shapes = lambda sums: {name: value.shape for name, value in sums.items()}
    if not row or shapes(row['sums']) != shapes(zeros) or not 0 <= row['since'] < step:
      return zeros
    self.before, self.last = row['seconds'], (self.began - row['within'], row['since'])
    return row['sums']

  def show(self, step: int, pictures) -> None:
    """Writes the grids of a boundary."""
    found = {name: np.asarray(value) for name, value in pictures.items()}
    classes = self.setup.source.example.classes if 'label' in self.setup.method.given else None
    if 'samples' in found:
      columns = classes if classes and classes <= len(found['samples']) else None
      self.log.images(step, 'samples', images.grid(found['samples'], columns))
    if 'originals' in found:
      both = images.pairs(found['originals'], found['reconstructions'], 16)
      self.log.images(step, 'reconstructions', both)
    if 'transfers' in found:
      columns = 1 + self.setup.source.example.styles
      self.log.images(step, 'transfers', images.grid(found['transfers'], columns))

  def check(self, values: dict[str, float], first: int, last: int) -> None:
    """Raises RunError where a metric of the steps first ... last is not a number."""
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if not bad:
      return
    players = [p.name for p in self.setup.method.players]
    blamed = [p for p in players if f'loss_{p}' in bad] or players
    hyper = ', '.join(f'{name}={value:g}' for name, value in self.config.hyper.items())
    with contextlib.suppress(RunError):  # a full disk is not what the run ends of
      self.checkpoints.wait()
    raise RunError(
      f'{", ".join(bad)} of the player {", ".join(blamed)} became {values[bad[0]]} in steps '
      f'{first} to {last} ({hyper}): {self.checkpoints.standing()}; try a '
      'smaller hyper.lr, or optimizer.clip=1'
    )

  def finish(self, state: State) -> dict[str, float]:
    """The values of the whole test split, recorded, and the report."""
    values = self.found if self.full is self.test else None
    if values is None:
      hyper, key = scheduled(state, self.setup.schedules), jax.random.key(EVAL_SEED)
      # It may take minutes, and says how far it has come.
      show = evaluate.progress('test', self.log.say)
      values = self.full.finish(self.full.start(averaged(state), hyper, key, show))
    if not self.group.main:
      return values
    data, ema = self.setup.data['test'], state.ema is not None
    step = int(state.step)
    protocol = evaluate.protocol(self.config, self.elbo, 'test', data, EVAL_SEED, step, ema)
    evaluate.record(self.folder, values, protocol)
    report.write_report(self.folder)
    return values
