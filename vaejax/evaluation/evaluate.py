"""Test values of a run: the evals of its config, each value with its error and its protocol."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import jax

from vaejax.config import eval_settings
from vaejax.config.fields import check
from vaejax.config.load import set_field
from vaejax.core import optim, sharding
from vaejax.core.passes import Values, make_pass
from vaejax.core.step import scheduled
from vaejax.data import load
from vaejax.errors import UserError
from vaejax.lookup import lookup
from vaejax.reporting import report
from vaejax.runs import trained, workdir
from vaejax.runs.files import read_json, write_json
from vaejax.types import Eval, Example, Method, averaged


def make_evals(config, method: Method, example: Example) -> tuple[dict[str, Eval], list[str]]:
  """The evals that `config.evals` names and that fit, and a line on each that does not.

  Raises UserError for one that is not there, for a setting out of range, and where none fits.
  """
  if not config.evals:
    raise UserError('evals names nothing: it takes one or more, as in evals=elbo,nll')
  config = config.copy_and_resolve_references()
  eval_settings.add(config)
  found, unfit = {}, []
  for name in dict.fromkeys(config.evals):
    module = lookup('evals', name)
    try:
      one = module.make(method, config, example)
    except UserError as error:
      unfit.append(f'{name} is left out: {error}')
      continue
    if not isinstance(one, Eval):
      raise TypeError(f'make of {name} gave {one!r}, which is no vaejax.types.Eval')
    found[name] = one
  if not found:
    raise UserError('; '.join(unfit))
  return found, unfit


def progress(name: str, say: Callable[[str], None]):
  """A `show` that says every ten seconds how far a pass has come."""
  began = last = time.monotonic()

  def show(found, done: int, of: int) -> None:
    nonlocal last
    jax.block_until_ready(found)
    now = time.monotonic()
    if now - last > 10:
      last = now
      say(f'{name}: {done} of {of} examples, {(now - began) * (of - done) / done:.0f} s left')

  return show


def protocol(config, e: Eval, split: str, data: dict, seed: int, step: int, ema: bool) -> dict:
  """All that a value of this eval depends on, as evaluation.json has it.

  `data` is the split's workdir.provenance: a 'test' that a set has not is made of another split.
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


def record(folder: Path, values: Values, protocols: dict[str, dict]) -> None:
  """Adds values, each with its error and its eval's protocol, to evaluation.json; those of other
  names stay."""
  path = folder / 'evaluation.json'
  saved = read_json(path) if path.is_file() else {}
  saved = saved if isinstance(saved, dict) else {}
  for name, found in values.items():
    about = protocols[name]
    prefix = '' if about['split'] == 'test' else about['split'] + '/'
    for key, (value, error) in found.items():
      saved[prefix + key] = {'value': value, 'error': error, **about}
  write_json(path, saved)


def evaluate(
  folder: Path,
  names: Iterable[str] = (),
  split: str = 'test',
  seed: int = 0,
  overrides: Iterable[tuple[str, str]] = (),
  weights: str = 'ema',
  which: str = 'latest',
  data_dir: str | None = None,
  member: int | None = None,
  say=print,
) -> dict[str, tuple[float, float | None]]:
  """Evaluates a checkpoint of a run, records the values and returns them, {name: (value, standard
  error or None)}. Raises UserError.

  Args:
    folder: its workdir.
    names: of evals, by default those of its config.
    split: of the run's dataset.
    seed: of what is drawn.
    overrides: settings of evals, as ('eval.nll.samples', '50').
    weights: 'ema', the average where one is kept, or 'raw'.
    which: checkpoint: 'latest', 'best' or a step.
    member: of a sweep, whose values are recorded in its own folder.
    say: is told of progress, of evals that do not fit, and of checkpoints that are passed over.
  """
  for name in names:
    lookup('evals', name)  # a mistake is told before a run is read
  mesh = sharding.make_mesh()
  run = trained.open_run(folder, say, which, sharding.replicated(mesh), member)
  config = run.config.copy_and_resolve_references()
  if names:
    with config.unlocked():
      config.evals = tuple(names)
  for field, text in overrides:
    set_field(config, field, text)
  check(config)
  evals, unfit = make_evals(config, run.method, run.example)
  for line in unfit:
    say(line)
  rows, source = trained.open_split(run, split, data_dir, sharding.MeshPlacement(mesh))
  train = None
  if any('train' in e.extract for e in evals.values()):
    _, train = trained.open_split(run, 'train', data_dir, sharding.MeshPlacement(mesh))
  variables = averaged(run.state) if weights == 'ema' else run.state.variables
  hyper = scheduled(run.state, optim.schedules(config.schedule, config.steps))
  one = make_pass(evals, run.method, source, config.eval.batch_size, mesh, train=train)
  show = progress(', '.join(evals), say)
  (values,) = one.finish(one.start(variables, hyper, jax.random.key(seed), show=show))
  ema, step = weights == 'ema' and run.state.ema is not None, int(run.state.step)
  about = split, workdir.provenance(rows), seed, step, ema
  run.folder.mkdir(parents=True, exist_ok=True)
  record(run.folder, values, {name: protocol(config, e, *about) for name, e in evals.items()})
  if run.folder == folder:
    report.write_report(folder)
  return {name: pair for found in values.values() for name, pair in found.items()}
