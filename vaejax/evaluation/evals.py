"""The evals of a run: built from a config, described by a protocol, recorded in evaluation.json."""

from collections.abc import Callable, Iterable
from pathlib import Path

from vaejax.config import eval_settings
from vaejax.core.passes import Values
from vaejax.data import load
from vaejax.errors import UserError
from vaejax.lookup import lookup, nearest
from vaejax.runs.files import read_json, write_json
from vaejax.types import Eval, Example, Method


def make_evals(
  names: Iterable[str], config, method: Method, example: Example
) -> tuple[dict[str, Eval], list[str]]:
  """The named evals that fit a method and its data, and a line for each that does not.

  Raises UserError for an unknown eval, for a setting out of range, and if no eval fits.
  """
  names = tuple(dict.fromkeys(names))
  if not names:
    raise UserError('evals is empty. Name one or more, for example evals=elbo,nll')
  config = config.copy_and_resolve_references()
  eval_settings.add(config, names)
  evals, skipped = {}, []
  for name in names:
    try:
      new = lookup('evals', name).make(method, config, example)
    except UserError as error:
      skipped.append(f'{name} is skipped: {error}')
      continue
    if not isinstance(new, Eval):
      raise TypeError(f'make of {name} returned {new!r}, which is not a vaejax.types.Eval')
    evals[name] = new
  if not evals:
    raise UserError('; '.join(skipped))
  return evals, skipped


def check_best(
  best: str, evals: dict[str, Eval], skipped: list[str], dataset: str, validates: bool
) -> None:
  """Raises UserError if `checkpoint.best` is not a value of the evals, or if only the test split
  could choose it."""
  name = best.lstrip('-')
  if not name:
    return
  known = [value for e in evals.values() for value in e.names()]
  if name not in known:
    raise UserError(
      f'checkpoint.best={name!r} is not a value of the evals{nearest(name, known)}. Use one of '
      f'{", ".join(known)}, with - before it if smaller is better'
      + ''.join(f'; {line}' for line in skipped)
    )
  if not validates:
    raise UserError(
      f'checkpoint.best={best!r} needs a validation split to choose by, and {dataset} has none. '
      'Hold rows out of train with data.validation=0.1, or leave checkpoint.best empty'
    )


def make_protocol(
  config, evals: dict[str, Eval], provenance: dict[str, dict], seed: int = 0
) -> Callable[..., dict[str, dict]]:
  """protocol(split, step, ema, n=0) -> {eval: everything that its values depend on}.

  `provenance` is workdir.provenance of each split, `ema` whether the average was evaluated, n the
  number of examples if not all were evaluated, and `seed` the seed of random draws.
  """
  binarisation = load.binarisation(config.data)
  likelihood = config.model.get('likelihood', 'none')

  def protocol(split: str, step: int, ema: bool, n: int = 0) -> dict[str, dict]:
    origin = provenance[split]
    return {
      name: {
        'split': split,
        'read': origin['read'],
        'n': n or origin['rows'],
        **e.protocol,
        'binarisation': binarisation,
        'likelihood': likelihood,
        'seed': seed,
        'step': step,
        'weights': 'ema' if ema else 'raw',
      }
      for name, e in evals.items()
    }

  return protocol


def record(folder: Path, values: Values, protocols: dict[str, dict]) -> None:
  """Writes values with their errors and protocols to evaluation.json; other values there stay."""
  path = folder / 'evaluation.json'
  results = read_json(path) if path.is_file() else {}
  results = results if isinstance(results, dict) else {}
  for eval_name, of_eval in values.items():
    protocol = protocols[eval_name]
    prefix = '' if protocol['split'] == 'test' else protocol['split'] + '/'
    for name, (value, error) in of_eval.items():
      results[prefix + name] = {'value': value, 'error': error, **protocol}
  write_json(path, results)
