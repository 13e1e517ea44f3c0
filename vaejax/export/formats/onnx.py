"""Functions as ONNX by jax2onnx, for onnxruntime and other runtimes. Noise is an input.

The file is in single precision, with any number of rows. Convolutions are Conv, see
nets/convolve.py, and scales of channels are merged into them, see graph/merge.py.
"""

import contextlib
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import jax
from jax.extend.core import InconclusiveDimensionOperation

from vaejax.core import given_noise
from vaejax.errors import UserError
from vaejax.export import runners
from vaejax.export.artifact import Export, File
from vaejax.export.graph import simple
from vaejax.export.ports import BATCH, Function, Port
from vaejax.lowering import for_export
from vaejax.runs.files import write_atomic

EXTRA = "pip install -e '.[onnx]'"
NEWEST = 0, 10  # version of jax that jax2onnx 0.13 goes with
# What tracing and jax2onnx raise where shapes, or operations, are more than they can do.
CANNOT = InconclusiveDimensionOperation, NotImplementedError, TypeError, ValueError
ABOUT = {'normal': 'of N(0, 1)', 'gumbel': 'of the Gumbel distribution', 'uniform': 'from 0 to 1'}


def write(export: Export, folder: Path) -> list[File]:
  """Writes every function whose draws can be an input, and logs the others; and scripts that make
  pictures with them."""
  files = []
  for name, function in export.functions.items():
    path = folder / f'{name}.onnx'
    try:
      model, file = convert(function, path)
    except UserError as error:
      export.log(f'{path.name} is left out: {error}')
      continue
    if file.batch:
      export.log(f'{path.name} takes {file.batch} row: jax2onnx cannot convert it for more')
    write_atomic(path, model.SerializeToString())
    files.append(file)
  names = runners.functions_of(export.run)
  return files + runners.write(files, export.run.example, folder, names)


def check(export: Export) -> None:
  """Raises UserError if jax2onnx is missing, or does not go with this JAX."""
  if jax.__version_info__[:2] > NEWEST:
    raise UserError(
      f'ONNX files are made by jax2onnx 0.13, which goes with jax 0.10, but this is jax '
      f"{jax.__version__}. Export in an environment of Python 3.11 with pip install 'jax<0.11', or "
      'use --to=stablehlo'
    )
  try:
    with quiet():
      import jax2onnx  # noqa: F401
  except ImportError as error:
    raise UserError(
      f'ONNX files need {error.name or "jax2onnx"}. Install it with {EXTRA}'
    ) from None


def convert(function: Function, path: Path):
  """An ONNX model of a function, and the File that it becomes. It takes any number of rows, or one
  where that cannot be traced or converted. Raises UserError."""
  try:
    return convert_for(function, path, *jax.export.symbolic_shape(BATCH))
  except UserError:
    raise
  except CANNOT:
    pass
  try:
    model, file = convert_for(function, path, 1)
  except UserError:
    raise
  except CANNOT as error:
    reason = str(error).strip().partition('\n')[0]
    raise UserError(f'jax2onnx cannot convert it ({reason}). Use --to=stablehlo') from error
  return model, file._replace(batch=1)


def convert_for(function: Function, path: Path, batch):
  """The same for a number of rows, which may be symbolic."""
  import jax2onnx

  forms = [port.form(batch) for port in function.inputs]
  with for_export(), jax.default_matmul_precision('highest'):
    made = given_noise.make(function.call, *forms)
  given_noise.check(made)
  kept = [slot in made.used for slot in made.arguments]
  count = len(made.draws)

  def call(*arrays):
    rest = iter(arrays[count:])
    full = [next(rest) if keep else None for keep in kept]
    return made(arrays[:count], *full)

  noise = tuple(noise_port(i, draw, count) for i, draw in enumerate(made.draws))
  inputs = (*noise, *(port for port, keep in zip(function.inputs, kept, strict=True) if keep))
  outputs = function.outputs
  with quiet():
    model = jax2onnx.to_onnx(
      call,
      [port.form(batch) for port in inputs],
      model_name=function.name,
      input_names=[port.name for port in inputs],
      output_names=[port.name for port in outputs],
    )
  kinds = {port.name: draw.kind for port, draw in zip(noise, made.draws, strict=True)}
  return simple.of(model), File(path, function.name, inputs, outputs, kinds)


def noise_port(number: int, draw: given_noise.Draw, count: int) -> Port:
  """The input of a draw."""
  shape = tuple(n if isinstance(n, int) else BATCH for n in draw.form.shape)
  return Port('noise' if count == 1 else f'noise_{number}', shape, ABOUT[draw.kind])


@contextlib.contextmanager
def quiet():
  """Within it, jax2onnx and what it uses log and warn of nothing."""
  before = logging.root.manager.disable
  logging.disable(logging.CRITICAL)
  try:
    with warnings.catch_warnings(action='ignore'):
      yield
  finally:
    logging.disable(before)


def load(path: Path) -> Callable[[list], list]:
  """The function in a file, inputs -> outputs, by onnxruntime on the CPU."""
  import onnxruntime

  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3
  session = onnxruntime.InferenceSession(path, options, ['CPUExecutionProvider'])
  names = [port.name for port in session.get_inputs()]
  return lambda arrays: session.run(None, dict(zip(names, arrays, strict=True)))
