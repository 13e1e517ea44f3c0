"""Test values of a run: one ordered pass over a split, each value with its protocol."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data import load
from vaejax.engine import opening, optim, report, shard, stack, workdir
from vaejax.engine.files import read_json, write_json
from vaejax.engine.step import scheduled
from vaejax.lookup import lookup
from vaejax.types import Eval, Hyper, Learner, Source, Variables, averaged


def make_part(evals: dict[str, Eval], source: Source, n: int, mesh, stacked=False):
  """Jitted: (variables, hyper, key, buffer, number, limit) -> each eval's sums over one batch of n,
  as far as it lies below the limit; of a stack of runs those of every member, which see the same.
  """
  rows = shard.split(mesh, source.rows)
  of_members = lambda stats: jax.vmap(stats, in_axes=(0, None, None, 0)) if stacked else stats

  @jax.jit
  def part(variables, hyper, key, buffer, number, limit):
    index = number * n + jnp.arange(n)
    batch = rows(buffer, jnp.minimum(index, limit - 1))
    batch = {**batch, 'mask': (index < limit).astype(jnp.float32)}
    key = jax.random.fold_in(key, number)
    with jax.default_matmul_precision('highest'):  # accelerators round products to fewer bits
      return {name: of_members(e.stats)(variables, batch, key, hyper) for name, e in evals.items()}

  return part


class Pass(NamedTuple):
  """A pass over a split: `start` dispatches the work and gives the sums, `finish` reads them."""

  start: Callable[..., Any]
  finish: Callable[[Any], list[dict[str, float]]]


def make_pass(evals: dict[str, Eval], source: Source, n: int, mesh, stacked: bool = False) -> Pass:
  """A pass over a split, about n examples at a time, as suits the mesh, the last batch masked. The
  values are a list: one run's alone, or each member's of a stack.

  `start(variables, hyper, key, limit, show)` passes over the first `limit` examples (0: all), and
  tells `show(sums, done, of)` of every batch; it does not wait for the device unless `show` does.
  """
  n = -(-min(n, source.size) // mesh.shape['data']) * mesh.shape['data']
  part = make_part(evals, source, n, mesh, stacked)

  def start(variables: Variables, hyper: Hyper, key: jax.Array, limit: int = 0, show=None):
    limit = min(limit, source.size) if limit else source.size
    sums = None
    for number, buffer in zip(range(-(-limit // n)), source.blocks(n), strict=False):
      found = part(variables, hyper, key, buffer, np.int32(number), np.int32(limit))
      sums = found if sums is None else jax.tree.map(jnp.add, sums, found)
      if show:
        show(sums, min((number + 1) * n, limit), limit)
    return shard.whole(sums)

  def finish(sums):
    sums = jax.device_get(sums)
    each = stack.each(sums, len(jax.tree.leaves(sums)[0])) if stacked else [sums]
    return [
      {k: v for name, e in evals.items() for k, v in e.finish(one[name]).items()} for one in each
    ]

  return Pass(start, finish)


def gather(look, source: Source, n: int) -> Iterator[dict[str, np.ndarray]]:
  """What a pure look(batch) -> {name: [B, ...]} gives of every example of a split in order, on the
  host, n of them at a time."""

  @jax.jit
  def part(buffer, index):
    with jax.default_matmul_precision('highest'):
      return look(source.rows(buffer, index))

  for first, buffer in zip(range(0, source.size, n), source.blocks(n), strict=False):
    index = np.minimum(first + np.arange(n), source.size - 1)
    found = jax.device_get(part(buffer, index))
    yield {name: value[: source.size - first] for name, value in found.items()}


def learn(learner: Learner, run: opening.Run, variables: Variables, data_dir, mesh) -> Eval:
  """The Eval of what is learned from the training split of a run. Raises UserError."""
  _, source = opening.open_split(run, 'train', data_dir, shard.Put(mesh))
  source = source._replace(rows=shard.split(mesh, source.rows))
  look = lambda batch: learner.look(variables, batch, jax.random.key(0))
  n = -(-run.config.eval.batch_size // mesh.size) * mesh.size
  parts = list(gather(look, source, n))
  return learner.fit({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def progress(name: str, say: Callable[[str], None]):
  """A `show` that says every ten seconds how far a pass has come."""
  began = last = time.monotonic()

  def show(sums, done: int, of: int) -> None:
    nonlocal last
    jax.block_until_ready(sums)
    now = time.monotonic()
    if now - last > 10:
      last = now
      say(f'{name}: {done} of {of} examples, {(now - began) * (of - done) / done:.0f} s left')

  return show


def protocol(config, e: Eval, split: str, data: dict, seed: int, step: int, ema: bool) -> dict:
  """All that a value of this eval depends on, as evaluation.json has it.

  `data` is the split's workdir.origin: a 'test' that a set has not is made of another split.
  """
  return {
    'split': split,
    'read': data['read'],
    'n': data['rows'],
    **e.protocol,
    'binarisation': load.binarisation(config.data),
    'likelihood': config.model.get('likelihood', 'none'),
    'seed': seed,
    'step': step,
    'weights': 'ema' if ema else 'raw',
  }


def record(folder: Path, values: dict[str, float], protocol: dict) -> None:
  """Adds values, each with its protocol, to evaluation.json; those of other names stay."""
  path = folder / 'evaluation.json'
  saved = read_json(path) if path.is_file() else {}
  prefix = '' if protocol['split'] == 'test' else protocol['split'] + '/'
  saved = saved if isinstance(saved, dict) else {}
  saved |= {prefix + name: {'value': value, **protocol} for name, value in values.items()}
  write_json(path, saved)


def evaluate(
  folder: Path,
  names: list[str],
  split: str = 'test',
  seed: int = 0,
  samples: int | None = None,
  weights: str = 'ema',
  which: str = 'latest',
  judge: str | None = None,
  data_dir: str | None = None,
  member: int | None = None,
  say=print,
) -> dict[str, float]:
  """Evaluates a checkpoint of a run and records the values. Raises UserError.

  Args:
    folder: its workdir.
    names: of modules in vaejax/evals.
    split: of the run's dataset.
    seed: of what is drawn.
    samples: of `nll`, by default the config's.
    weights: 'ema', the average where one is kept, or 'raw'.
    which: checkpoint: 'latest', 'best' or a step.
    judge: the workdir of the one that `judge` asks, by default the cached one.
    member: of a sweep, whose values are recorded in its own folder.
    say: is told of progress, and of checkpoints that are passed over.
  """
  modules = {name: lookup('evals', name) for name in names}
  mesh = shard.mesh()
  run = opening.open_run(folder, say, which, shard.replicated(mesh), member)
  config = run.config.copy_and_resolve_references().unlock()
  if samples:
    config.eval.nll_samples = samples
  if judge:
    config.eval.judge = judge
  evals = {name: module.make(run.method, config, run.example) for name, module in modules.items()}
  rows, source = opening.open_split(run, split, data_dir, shard.Put(mesh))
  variables = averaged(run.state) if weights == 'ema' else run.state.variables
  hyper = scheduled(run.state, optim.schedules(config.schedule, config.steps))
  values = {}
  for name, e in evals.items():
    if isinstance(e, Learner):
      say(f'{name}: learns from the training split')
      e = learn(e, run, variables, data_dir, mesh)
    one = make_pass({name: e}, source, config.eval.batch_size, mesh)
    sums = one.start(variables, hyper, jax.random.key(seed), show=progress(name, say))
    (found,) = one.finish(sums)
    ema = weights == 'ema' and run.state.ema is not None
    step = int(run.state.step)
    about = protocol(config, e, split, workdir.origin(rows), seed, step, ema)
    run.folder.mkdir(parents=True, exist_ok=True)
    record(run.folder, found, about)
    values |= found
  if run.folder == folder:
    report.write_report(folder)
  return values
