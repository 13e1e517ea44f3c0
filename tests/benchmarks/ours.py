"""Our side of the speed comparison: one chunk of the training loop over a resident source.

  python tests/benchmarks/ours.py {mlp,conv} IMAGES.npy [--dtype=bfloat16] [--batch=128]

Answers each line read with a JSON line, as peer.py does.
"""

import argparse
import json
import sys
import time

import jax
import numpy as np

from vaejax.config.base import base
from vaejax.core import optim, step
from vaejax.data import source
from vaejax.data.table import Table
from vaejax.methods.vae import vae
from vaejax.nets.autoencoder import Decoder, Encoder
from vaejax.nets.blocks import DTYPES
from vaejax.nets.conv import ConvDecoder, ConvLayers
from vaejax.nets.heads import LikelihoodHead
from vaejax.nets.mlp import Mlp, MlpDecoder
from vaejax.nets.priors import standard
from vaejax.nets.trunk import FromVector, ToVector


def make_nets(net: str, dtype):
  """The nets of peer.py."""
  shape = (28, 28, 1)
  if net == 'mlp':
    latents, trunks = 20, (Mlp((500,), dtype=dtype), MlpDecoder(shape, (500,), dtype=dtype))
  else:
    down = ToVector(ConvLayers((32, 64), (2, 2), dtype=dtype), Mlp(()))
    body = ConvDecoder(shape, (64, 64, 32), (1, 2, 2), dtype=dtype)
    up = FromVector(MlpDecoder(body.places, (), dtype=dtype), body)
    latents, trunks = 32, (down, up)
  head = LikelihoodHead('bernoulli')
  return {'encoder': Encoder(trunks[0], latents), 'decoder': Decoder(trunks[1], head)}, latents


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('net', choices=('mlp', 'conv'))
  parser.add_argument('images')
  parser.add_argument('--dtype', choices=tuple(DTYPES), default='float32')
  parser.add_argument('--batch', type=int, default=128)
  flags = parser.parse_args()
  images = np.load(flags.images)
  row = {'image': jax.ShapeDtypeStruct(images.shape[1:], images.dtype)}
  table = Table(len(images), row, None, lambda: {'image': images}, lambda i: {'image': images[i]})
  data = source.make(table, flags.batch)
  nets, latents = make_nets(flags.net, DTYPES[flags.dtype])
  prior = standard.make(None, (latents,), data.example)
  method = vae(nets, prior, latents, data.example)
  method = optim.equip(method, base('vae', {}).optimizer)
  hyper = {'lr': 1e-3, 'beta': 1.0, 'capacity': 0.0, 'free_bits': 0.0}
  create = lambda: step.create_state(method, jax.random.key(0), hyper, data.example)
  state = jax.jit(create)()
  chunk = step.make_chunk(step.make_step(method), data.draw)
  run = jax.jit(chunk.run, donate_argnums=0)
  buffer, _ = next(data.buffers(0, 1))
  zeros = chunk.zeros(state, buffer)
  length = np.int32(len(images) // flags.batch)
  for _ in sys.stdin:
    start = time.perf_counter()
    state, sums = run(state, zeros, buffer, length)
    loss = float(sums['loss']) / length.item()
    print(json.dumps({'seconds': time.perf_counter() - start, 'loss': loss}), flush=True)


if __name__ == '__main__':
  main()
