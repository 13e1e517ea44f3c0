"""The functions of a run that can leave Python.

Images go in and come out as users have them: float32 in [0, 1], or real numbers in their own units.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.core import given_noise
from vaejax.errors import UserError
from vaejax.export.ports import BATCH, Function, Parts, Port
from vaejax.lookup import nearest


def make(run) -> dict[str, Function]:
  """{name: function} of a run."""
  parts, method = Parts(run), run.method
  names = [name for name in FUNCTIONS if name in method.predict]
  names += ['sample'] if method.sample else []
  names += ['elbo'] if method.latent and 'log_weight' in method.predict else []
  names += ['observe', 'advance'] if method.stream else []
  return {name: FUNCTIONS[name](parts) for name in names}


def choose(run, names: tuple[str, ...]) -> dict[str, Function]:
  """The functions of these names, (): all. Raises UserError for one that the run has not."""
  functions = make(run)
  for name in names:
    if name not in functions:
      raise UserError(
        f'a run of {run.config.method} has no {name} to export{nearest(name, functions)}. Choose '
        f'from {", ".join(functions)}'
      )
  return {name: functions[name] for name in names or functions}


def decode(parts: Parts) -> Function:
  """Latents to images."""
  inputs = *parts.latents('latents', 'z'), *parts.given()
  count = len(parts.leaves)

  def compute(key, rows):
    z = jax.tree.unflatten(parts.structure, list(rows.values())[:count])
    batch = {**parts.inward(rows), 'latents': z}
    return parts.outward(parts.method.predict['decode'](parts.variables, batch, key))

  def reference(seed, rows):
    z = jax.tree.unflatten(parts.structure, list(rows.values())[:count])
    return (parts.run.decode(z, **dict(list(rows.items())[count:])),)

  outputs = (parts.image('image', 'the mean of p(x|z)'),)
  return parts.function('decode', 'The image of latents.', inputs, outputs, compute, reference)


def encode(parts: Parts) -> Function:
  """Images to the means of their latents, and the scales if the posterior has them."""
  method, v = parts.method, parts.variables
  inputs = parts.image(parts.data, 'what is encoded'), *parts.given()
  output = lambda rows: method.predict['encode'](v, parts.inward(rows), jax.random.key(0))
  blank = {port.name: jnp.zeros(port.form(1).shape, port.dtype) for port in inputs}
  scaled = 'scale' in jax.eval_shape(output, blank)
  outputs = parts.latents('mean', 'the mean of q(z|x)')
  outputs += parts.latents('scale', 'the standard deviation of q(z|x)') if scaled else ()

  def compute(key, rows):
    code = method.predict['encode'](v, parts.inward(rows), key)
    return tuple(jax.tree.leaves(code['mean']) + jax.tree.leaves(code.get('scale', ())))

  def reference(seed, rows):
    mean = jax.tree.leaves(parts.run.encode(**by_name(parts, rows)))
    scale = jax.tree.leaves(jax.jit(output)(rows)['scale']) if scaled else []
    return (*mean, *scale)

  about = 'The posterior of the latents of an image.'
  return parts.function('encode', about, inputs, outputs, compute, reference)


def image_of(name: str, about: str, ports: Callable[[Parts], tuple[Port, ...]]):
  """The maker of a function that is a prediction with one image as its output."""

  def make(parts: Parts) -> Function:
    def compute(key, rows):
      batch = parts.method.predict[name](parts.variables, parts.inward(rows), key)
      if name == 'to_source':
        return (parts.example.to_unit(batch['source']).astype(jnp.float32),)
      return parts.outward(batch)

    def reference(seed, rows):
      names = {'to_image': {'source': 'sources'}}.get(name, {'style_image': 'style_images'})
      return (getattr(parts.run, name)(**by_name(parts, rows, **names)),)

    made = {'reconstruct': 'reconstruction', 'transfer': 'transferred'}.get(name, 'image')
    output = parts.source(about) if name == 'to_source' else parts.image(made, about)
    return parts.function(name, about, ports(parts), (output,), compute, reference)

  return make


def classify(parts: Parts) -> Function:
  """Images to probabilities of their classes, by a classifier."""
  inputs = parts.image(parts.data, 'what is classified'), *parts.given()
  shape = BATCH, parts.example.classes
  outputs = (Port('probability', shape, 'of every class', low=0.0, high=1.0),)

  def compute(key, rows):
    batch = parts.method.predict['classify'](parts.variables, parts.inward(rows), key)
    return (batch['probability'],)

  reference = lambda seed, rows: (parts.run.classify(**by_name(parts, rows)),)
  about = 'The probabilities of the classes of an image.'
  return parts.function('classify', about, inputs, outputs, compute, reference)


def sample(parts: Parts) -> Function:
  """Samples, from noise that is drawn or given."""
  index = Port('index', (BATCH,), 'of each sample, 0, 1, 2, …; only their number counts', 'int32')
  temperature = Port('temperature', (), "scale of the prior's standard deviation, 1 by default")
  given = parts.given(tuple(n for n in parts.method.given if n in ('label', 'source')))

  def compute(key, rows):
    conditions = parts.inward({port.name: rows[port.name] for port in given})
    n, scale = rows['index'].shape[0], rows['temperature']
    batch = parts.method.sample(parts.variables, key, n, conditions, temperature=scale)
    return parts.outward(batch)

  def reference(seed, rows):
    conditions = {port.name: rows[port.name] for port in given}
    n, scale = len(rows['index']), float(rows['temperature'])
    return (parts.run.sample(n, seed=seed, temperature=scale, **conditions),)

  inputs, outputs = (index, temperature, *given), (parts.image('image', 'the mean of p(x|z)'),)
  return parts.function('sample', 'A new image.', inputs, outputs, compute, reference)


def elbo(parts: Parts) -> Function:
  """Images to the terms of their ELBO, for one draw of the latents."""
  hyper = {name: jnp.asarray(x, jnp.float32) for name, x in parts.run.config.hyper.items()}
  ports = parts.image(parts.data, 'what is scored'), *parts.given(parts.fields)

  def terms(key, rows):
    n = rows[parts.data].shape[0]
    blank = {port.name: jnp.zeros((n, *port.shape[1:]), port.dtype) for port in ports}
    batch = parts.inward(blank | rows) | {'mask': jnp.ones(n)}
    return parts.method.metrics(parts.variables, batch, key, hyper)

  def compute(key, rows):
    found = terms(key, rows)
    return tuple(found[name] for name in names)

  def reference(seed, rows):
    key = jax.random.fold_in(jax.random.key(seed), 0)
    return jax.jit(compute)(key, rows)

  blank = {port.name: jnp.zeros(port.form(1).shape, port.dtype) for port in ports}
  values = jax.eval_shape(terms, jax.random.key(0), blank)
  names = [name for name in ('elbo', 'recon', 'kl') if name in values]
  outputs = tuple(Port(name, (BATCH,), f'{name} in nats') for name in names)
  about = 'The evidence lower bound of an image.'
  whole = parts.function('elbo', about, ports, outputs, compute, reference)
  # The fields that the terms depend on: the label may be one, and the source of a translation.
  made = given_noise.make(whole.call, *(port.form(1) for port in ports))
  needed = [port for port, slot in zip(ports, made.arguments, strict=True) if slot in made.used]
  return parts.function('elbo', about, needed, outputs, compute, reference)


def frame_step(name: str, about: str):
  """The maker of one step of a video that goes on frame by frame."""

  def make(parts: Parts) -> Function:
    stream, (_, *shape) = parts.method.stream, parts.example.fields[parts.data].shape
    carry, structure = jax.tree.flatten(jax.eval_shape(lambda: stream.start(1)))
    ports = lambda name, text: tuple(
      Port(f'{name}_{i}', (BATCH, *x.shape[1:]), text, str(x.dtype)) for i, x in enumerate(carry)
    )
    frame = Port('frame', (BATCH, *shape), 'one frame', **parts.range)
    noise = Port('noise', (BATCH, *stream.noise), 'of N(0, 1); 0: the mean of the latent')
    begin = ports('carry', 'what the frames so far leave; zeros before the first')
    after = ports('next_carry', 'the same after this frame')
    count = len(carry)

    def compute(key, rows):
      state = jax.tree.unflatten(structure, list(rows.values())[:count])
      if name == 'observe':
        x = parts.example.to_data(rows['frame'])
        return tuple(jax.tree.leaves(stream.observe(parts.variables, state, x, rows['noise'])))
      state, x = stream.advance(parts.variables, state, rows['noise'])
      return (parts.example.to_unit(x).astype(jnp.float32), *jax.tree.leaves(state))

    reference = lambda seed, rows: jax.jit(compute)(None, rows)
    if name == 'observe':
      inputs, outputs = (*begin, frame, noise), after
    else:
      inputs, outputs = (*begin, noise), (frame, *after)
    return parts.function(name, about, inputs, outputs, compute, reference)

  return make


def by_name(parts: Parts, rows, **others: str) -> dict:
  """Rows as the arguments of a run's method, whose pictures or videos are called images."""
  names = {parts.data: 'images', **others}
  return {names.get(name, name): np.asarray(x) for name, x in rows.items()}


IMAGE = lambda parts: (parts.image(parts.data, 'what is transformed'), *parts.given())
SOURCE = lambda parts: (parts.source('a picture of the other domain'),)
STYLED = lambda parts: (*IMAGE(parts), parts.image('style_image', 'whose style is taken'))
FUNCTIONS: dict[str, Callable[[Parts], Function]] = {
  'decode': decode,
  'encode': encode,
  'reconstruct': image_of('reconstruct', 'The image of the mean of the latents.', IMAGE),
  'classify': classify,
  'transfer': image_of('transfer', 'The content of an image in the style of another.', STYLED),
  'to_image': image_of('to_image', 'The image of a source.', SOURCE),
  'to_source': image_of('to_source', 'The source of an image.', IMAGE),
  'sample': sample,
  'elbo': elbo,
  'observe': frame_step('observe', 'Goes on with a given frame of a video.'),
  'advance': frame_step('advance', 'The next frame of a video.'),
}
