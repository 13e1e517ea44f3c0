"""What quantisation costs: values of exported files on held-out rows, in float32 and quantised.

All files of a function get the same rows and the same noise.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from vaejax import estimates
from vaejax.errors import UserError
from vaejax.estimates import Estimate
from vaejax.evaluation import judged
from vaejax.evaluation.features import judge_row, judge_rows
from vaejax.evaluation.judges import Judge
from vaejax.export import feeds, latency
from vaejax.export.artifact import File
from vaejax.metrics import frechet

NO_DATA = 'all values of quality, because the data is not here'
NO_JUDGE = "the judge's agreement and the Fréchet distance, because there is no judge of the data. "
NO_JUDGE += 'Train one by configs/judge.py'
SPLIT = 'test'
ROWS = 2000
AT_ONCE = 250
SEED = 4
RESAMPLES = 50
SAMPLES = 'sample', 'decode', 'reconstruct', 'transfer'


class HeldOut(NamedTuple):
  """Rows that no training has seen, and the judge of their classes; None with a reason."""

  rows: feeds.Rows | None
  judge: Judge | None
  reason: str = ''


def held_out(run, log: Callable[[str], None], n: int = ROWS) -> HeldOut:
  """Rows of the test split, and the cached judge of the run's data. `log` gets a line on what is
  not there, which may have paths of this machine."""
  try:
    rows = feeds.read_rows(run, SPLIT, n)
  except UserError as error:
    log(f'without values of quality: {error}')
    return HeldOut(None, None, NO_DATA)
  judge, reason = judged.find('', run.config.data, run.example, 'the cached judge')
  if reason:
    log(f'without a judge: {reason}')
  return HeldOut(rows, judge, NO_JUDGE if reason else '')


def measure(run, files: Mapping[str, tuple[File, Mapping]], held: HeldOut) -> dict[str, dict]:
  """{kind: {value: estimate as JSON}} of {kind: (a file of one function, its options)}; '' is the
  kind in float32, which is among them. {} without rows."""
  if held.rows is None:
    return {kind: {} for kind in files}
  outputs, given = {}, feeds.make(run, files[''][0], held.rows, SEED)
  for kind, (file, options) in files.items():
    outputs[kind] = run_all(file, options, given)
  name = files[''][0].function
  found = {kind: {'change': change(x, outputs[''])} for kind, x in outputs.items() if kind}
  found[''] = {}
  values = elbos if name == 'elbo' else pictures if name in SAMPLES and held.judge else nothing
  return {kind: found[kind] | x for kind, x in values(files[''][0], outputs, held).items()}


def run_all(file: File, options: Mapping, given: list[dict]) -> list[np.ndarray]:
  """The outputs of a file for inputs of many rows, [N, ...] each."""
  session, batched, parts = latency.session(file.path, 0, options), {}, []
  for port in file.inputs:
    batched[port.name] = bool(port.shape)
  for rows in given:
    n = max(len(x) for name, x in rows.items() if batched[name])
    for first in range(0, n, AT_ONCE):
      cut = slice(first, first + AT_ONCE)
      part = {name: x[cut] if batched[name] else x for name, x in rows.items()}
      parts.append(session.run(None, part))
  return [np.concatenate(column) for column in zip(*parts, strict=True)]


def change(x: list[np.ndarray], before: list[np.ndarray]) -> float:
  """The root mean square of the change of the first output."""
  return float(np.sqrt(np.mean(np.square(x[0].astype(np.float64) - before[0]))))


def nothing(file: File, outputs: Mapping, held: HeldOut) -> dict[str, dict]:
  return {kind: {} for kind in outputs}


def elbos(file: File, outputs: Mapping, held: HeldOut) -> dict[str, dict]:
  """The ELBO in nats, and its change, which has a smaller error because the noise is the same."""
  place = [port.name for port in file.outputs].index('elbo')
  before = outputs[''][place]
  found = {kind: {'elbo': estimates.mean(x[place]).to_json()} for kind, x in outputs.items()}
  for kind, x in outputs.items():
    if kind:
      found[kind]['elbo_change'] = estimates.mean(x[place].astype(float) - before).to_json()
  return found


def pictures(file: File, outputs: Mapping, held: HeldOut) -> dict[str, dict]:
  """What the judge sees: the proportion of pictures that have their row's class; that of those that
  have the class which they have in float32; and for samples their Fréchet distance to the rows."""
  look = program(held.judge)
  seen = {kind: look(x[0]) for kind, x in outputs.items()}
  found = {kind: {} for kind in outputs}
  label, image = held.rows.get('label'), held.rows.get('image')
  known = label is not None and (file.function != 'sample' or given_label(file))
  real = look(image)['features'] if file.function == 'sample' else None
  for kind, rows in seen.items():
    if known:
      which = label >= 0
      right = (rows['predicted'] == label)[which]
      found[kind]['agreement'] = estimates.proportion(right.sum(), right.size).to_json()
    if kind:
      same = rows['predicted'] == seen['']['predicted']
      found[kind]['same_class'] = estimates.proportion(same.sum(), same.size).to_json()
    if real is not None:
      found[kind]['frechet_distance'] = distance(rows['features'], real).to_json()
  return found


def given_label(file: File) -> bool:
  """Whether a file takes the class of what it makes."""
  return any(port.name == 'label' for port in file.inputs)


def distance(features: np.ndarray, real: np.ndarray) -> Estimate:
  """The Fréchet distance of features, with its error by the bootstrap."""
  return frechet.between(features, real, RESAMPLES)


def program(judge: Judge) -> Callable[[np.ndarray], dict[str, Any]]:
  """Pictures in [0, 1] -> {'predicted', 'features'} by a judge."""

  @jax.jit
  def look(variables, x):
    rows = judge_rows(judge._replace(variables=variables), x)
    return {name: rows[judge_row(judge, name)] for name in ('predicted', 'features')}

  def of_all(images: np.ndarray) -> dict[str, Any]:
    parts = []
    for first in range(0, len(images), AT_ONCE):
      part = np.asarray(images[first : first + AT_ONCE], np.float32)
      padded = np.pad(part, [(0, AT_ONCE - len(part)), *[(0, 0)] * (part.ndim - 1)])
      parts.append(
        {k: np.asarray(x)[: len(part)] for k, x in look(judge.variables, padded).items()}
      )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

  return of_all
