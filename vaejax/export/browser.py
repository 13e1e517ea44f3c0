"""What a page computes without a server: the models it runs, and the latents that it moves."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from vaejax.errors import UserError
from vaejax.explore.capabilities import given_labels
from vaejax.explore.latents import Latents, latents_of
from vaejax.explore.noise import noise_latents
from vaejax.explore.pictures import can_read
from vaejax.export.artifact import File, key_of
from vaejax.export.ports import BATCH, Function, Parts, Port

CHANNELS = 1, 3, 4


class Moved(NamedTuple):
  """The functions of a page, and the latents whose sliders it has.

  Attributes:
    functions: by name.
    latents: None if the page can only draw.
    decoder: the function that gives pictures of latents, or of noise.
  """

  functions: dict[str, Function]
  latents: Latents | None
  decoder: str


def moved(run, functions: Mapping[str, Function]) -> Moved:
  """What the page of a run has. Raises UserError if there is nothing to show."""
  channels = run.example.fields[run.example.data].shape[-1]
  if channels not in CHANNELS or run.example.shown:
    raise UserError(
      f'the page shows pictures of 1, 3 or 4 channels, but those of this run have {channels}. Use '
      '--to=onnx'
    )
  latents = latents_of(run) if 'decode' in functions else None
  if latents:
    encodes = 'encode' in functions and run.example.data == 'image' and can_read(run.example)
    chosen = {'decode': functions['decode'], 'draw': draw(run)}
    chosen |= {'encode': functions['encode']} if encodes else {}
    return Moved(as_pictures(run, chosen, 'decode'), latents, 'decode')
  sample = functions.get('sample')
  if sample is None or any(port.name == 'source' for port in sample.inputs):
    why = (
      'would need a picture that it translates'
      if sample
      else 'has no function here that makes pictures'
    )
    raise UserError(
      f'the page of a run of {run.config.method} {why}. Export it with --to=onnx, or use `explore`'
    )
  return Moved(as_pictures(run, {'sample': sample}, 'sample'), noise_latents(run), 'sample')


def draw(run) -> Function:
  """Latents of the prior, from noise."""
  parts, model = Parts(run), run.method.latent
  index = Port('index', (BATCH,), 'of each draw; only their number counts', 'int32')
  temperature = Port('temperature', (), "scale of the prior's standard deviation, 1 by default")
  inputs = index, temperature, *parts.given()

  def compute(key, rows):
    n, given = rows['index'].shape[0], {name: rows[name] for name in parts.conditions}
    prior, _ = model.prior(run.variables, n, given)
    return tuple(jax.tree.leaves(prior.sample(key, rows['temperature'])))

  reference = lambda seed, rows: jax.jit(compute)(key_of(seed), rows)
  outputs = parts.latents('latents', 'z')
  return parts.function('draw', 'Latents of the prior.', inputs, outputs, compute, reference)


def as_pictures(run, functions: dict[str, Function], name: str) -> dict[str, Function]:
  """The functions, of which one gives pictures in [0, 1] where the data have units."""
  example, function = run.example, functions[name]
  if not example.units:
    return functions
  shown = lambda x: example.to_picture(example.to_data(x))
  change = lambda outputs: tuple(map(jax.jit(shown), outputs))
  outputs = tuple(port._replace(low=0.0, high=1.0) for port in function.outputs)
  call = lambda key, *arrays: tuple(map(shown, function.call(key, *arrays)))
  reference = lambda seed, *arrays: change(function.reference(seed, *arrays))
  changed = function._replace(outputs=outputs, call=call, reference=reference)
  return functions | {name: changed}


def models(files: Mapping[str, File], decoder: str, latents: Latents | None) -> dict[str, Any]:
  """What the page runs, {'decode', 'draw', 'encode', 'sample': a model}.

  A model has the name of its file, its inputs with the role that each has, its outputs, and the
  number of rows that it takes if it does not take any number. The noise of samples that are moved
  is the latents, which need no file to be drawn.
  """
  made = {name: model(file, bool(latents)) for name, file in files.items()}
  if decoder == 'sample' and latents:
    noise = [port for port in made['sample']['inputs'] if port['role'] == 'latents']
    return {'decode': made['sample'], 'draw': {'inputs': noise}}
  return made


def model(file: File, moves: bool) -> dict[str, Any]:
  """A file as JSON, see `models`."""
  inputs = []
  for port in file.inputs:
    about = {'name': port.name, 'dtype': port.dtype, 'shape': list(port.shape)}
    if port.name in file.noise:
      is_latent = moves and file.function == 'sample'
      about |= {'role': 'latents' if is_latent else 'noise', 'kind': file.noise[port.name]}
    elif port.name in ('label', 'temperature'):
      about['role'] = port.name
    else:
      about['role'] = 'latents' if port.name.startswith('latents') else 'picture'
    inputs.append(about)
  outputs = [port.name for port in file.outputs if not port.name.startswith('scale')]
  about = {'file': f'model/{file.path.name}', 'inputs': inputs, 'outputs': outputs}
  return about | ({'rows': file.batch} if file.batch else {})


def classes_of(run, files: Mapping[str, File], decoder: str) -> int:
  """The number of classes of which the decoder takes one; 0 if it takes none."""
  takes = any(port.name == 'label' for port in files[decoder].inputs)
  return given_labels(run) if takes else 0
