"""The evals of a run: built from a config, described by a protocol, recorded in evaluation.json."""

import fcntl
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from vaejax.config import eval_settings
from vaejax.core.passes import Values
from vaejax.data import left_out, sources
from vaejax.data.labels import Count
from vaejax.errors import UserError
from vaejax.eval_type import Eval
from vaejax.lookup import lookup, nearest
from vaejax.runs.files import read_json, write_json
from vaejax.types import Example, Method
from vaejax.version import code_version


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
      raise TypeError(f'make of {name} returned {new!r}, which is not a vaejax.eval_type.Eval')
    evals[name] = new
  if not evals:
    raise UserError(*skipped)
  return evals, skipped


def fit_split(
  evals: dict[str, Eval],
  config,
  method: Method,
  example: Example,
  split: str,
  labels: Sequence[Count | None],
) -> tuple[dict[str, Eval], list[str], list[str]]:
  """The evals that can be computed on a split, a line for each that cannot, and notes on rows
  without a label.

  Args:
    evals: from `make_evals`, for data with labels.
    labels: how many rows have one, of the split and of the training split; None: unknown.
  """
  if 'label' not in example.fields:
    return evals, [], []
  of_split, of_train = labels
  lines, notes, fitting = [], [], {}
  without = example._replace(fields={k: f for k, f in example.fields.items() if k != 'label'})
  for name, e in evals.items():
    counts = [of_split] + [of_train] * ('train' in e.extract)
    if all(count is None or count.labelled for count in counts):
      fitting[name] = e
      continue
    if method.conditional and 'test' in e.extract:
      lines.append(
        f'{name} is skipped: {config.method} is given the label, and no row of {split} has one'
      )
      continue
    new, skipped = make_evals_without_labels(name, config, method, without)
    fitting |= new
    lines += [f'{line} (on {split})' for line in skipped]
  if of_split and of_split.unlabelled and fitting and needs_labels(config, method):
    notes.append(
      f'{of_split.unlabelled:,} of {of_split.rows:,} rows of {split} have no label: values that '
      'need one leave them out'
    )
  return fitting, lines, notes


def make_evals_without_labels(name: str, config, method: Method, example: Example):
  """{name: the eval} for a split without labels, {} if it does not fit, and lines with the
  reason."""
  try:
    return make_evals([name], config, method, example)
  except UserError as error:
    return {}, [str(error)]


def needs_labels(config, method: Method) -> bool:
  """Whether a method is given labels, or learns to predict them."""
  of_styles = config.get('objective', {}).get('target') == 'style'
  return method.conditional or ('classify' in method.predict and not of_styles)


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
  """protocol(split, step, ema) -> {eval: everything that its values depend on}, except the number
  of examples, which each value records itself.

  `provenance` is workdir.provenance of each split, `ema` whether the average was evaluated, and
  `seed` the seed of random draws. `code` is the version of the code that evaluates.
  """
  binarisation = sources.binarisation(config.data)
  likelihood = config.model.get('likelihood', 'none')
  code = code_version()

  def protocol(split: str, step: int, ema: bool) -> dict[str, dict]:
    origin = provenance[split]
    streams = left_out.streams(split) if left_out.FIELD in config.hyper else ()
    entries = {'test': 'left_out', 'train': 'left_out_of_train'}
    text = f'class hyper.{left_out.FIELD}'
    without = lambda e: {entries[s]: text for s in streams if s == 'test' or s in e.extract}
    return {
      name: {
        'split': split,
        'read': origin['read'],
        'content': origin.get('content', ''),
        **without(e),
        **e.protocol,
        'binarisation': binarisation,
        'likelihood': likelihood,
        'seed': seed,
        'step': step,
        'weights': 'ema' if ema else 'raw',
        'code': code,
      }
      for name, e in evals.items()
    }

  return protocol


def record(folder: Path, values: Values, protocols: dict[str, dict]) -> None:
  """Writes values with their errors and protocols to evaluation.json; other values there stay."""
  new = {}
  for eval_name, of_eval in values.items():
    protocol = protocols[eval_name]
    prefix = '' if protocol['split'] == 'test' else protocol['split'] + '/'
    for name, estimate in of_eval.items():
      new[prefix + name] = estimate.to_json() | protocol
  path = folder / 'evaluation.json'
  with open(folder / '.evaluation.lock', 'wb') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)  # evaluations that end together take turns
    results = read_json(path) if path.is_file() else {}
    write_json(path, (results if isinstance(results, dict) else {}) | new)
