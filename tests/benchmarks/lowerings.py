"""Convolutions as lax.conv and as slices and a product: alone, and under vmap over members.

  python tests/benchmarks/lowerings.py [--small]

A step is the gradient and the update of two strided convolutions and two transposed ones, as an
autoencoder has them; many steps in one loop on the device, as training has them.
"""

from functools import partial

import figures
import jax
import jax.numpy as jnp

from vaejax.nets.convolve import conv, conv_transpose

# Side, channels of the image, channels of the two layers, images in a batch.
NETS = {'28x28, 32 and 64 channels': (28, 1, 32, 64, 128)}
WIDE = {'64x64, 128 and 256 channels': (64, 3, 128, 256, 64)}
MEMBERS = 1, 8, 32


def loss(kernels, x, lowering):
  """The squared error of a reconstruction."""
  h = jax.nn.relu(conv(x, kernels[0], 2, lowering))
  h = jax.nn.relu(conv(h, kernels[1], 2, lowering))
  h = jax.nn.relu(conv_transpose(h, kernels[2], 2, lowering))
  return jnp.mean((conv_transpose(h, kernels[3], 2, lowering) - x) ** 2)


def train(kernels, x, steps, lowering):
  """The kernels after so many steps."""

  def step(_, kernels):
    slopes = jax.grad(loss)(kernels, x, lowering)
    return jax.tree.map(lambda k, s: k - 1e-3 * s, kernels, slopes)

  return jax.lax.fori_loop(0, steps, step, kernels)


def draw(sizes, members):
  """Kernels and images, with an axis of members before where there are several."""
  side, image, few, many, batch = sizes
  shapes = [(image, few), (few, many), (many, few), (few, image)]
  axis = (members,) if members > 1 else ()
  keys = jax.random.split(jax.random.key(0), 5)
  pairs = zip(keys, shapes, strict=False)
  kernels = [0.05 * jax.random.normal(key, (*axis, 3, 3, *shape)) for key, shape in pairs]
  return kernels, jax.random.uniform(keys[4], (*axis, batch, side, side, image))


def main():
  flags = figures.parser(__doc__).parse_args()
  for net, sizes in (NETS if flags.small else NETS | WIDE).items():
    for members in (1, 2) if flags.small else MEMBERS:
      steps = 1 if flags.small else max(10, 200 // members)
      sizes = (*sizes[:-1], 16) if flags.small else sizes
      arguments = draw(sizes, members)
      for lowering in ('matmul', 'lax'):
        run = partial(train, steps=steps, lowering=lowering)
        run = jax.jit(jax.vmap(run) if members > 1 else run)
        times = figures.seconds(lambda run=run, a=arguments: run(*a), 2 if flags.small else 7)
        name = f'convolutions, {net}, members: {members}, {lowering}'
        what = f'gradient step, {sizes[-1]} images, {steps} steps in a loop, float32'
        figures.report(name, [1e3 * time / steps for time in times], 'ms/step', what)


if __name__ == '__main__':
  main()
