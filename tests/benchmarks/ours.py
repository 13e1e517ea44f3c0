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

import vaejax
from vaejax.core import step
from vaejax.core.factory import initial_state, make_method
from vaejax.data import source
from vaejax.data.table import Table

# The nets of peer.py.
NETS = {
  'mlp': 'configs/vae.py:mnist,widths=500,binarise=none',
  'conv': 'configs/vae.py:mnist,net=conv28,widths=(),latents=32,binarise=none',
}


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('net', choices=tuple(NETS))
  parser.add_argument('images')
  parser.add_argument('--dtype', choices=('float32', 'bfloat16'), default='float32')
  parser.add_argument('--batch', type=int, default=128)
  flags = parser.parse_args()
  images = np.load(flags.images)
  row = {'image': jax.ShapeDtypeStruct(images.shape[1:], images.dtype)}
  table = Table(len(images), row, None, lambda: {'image': images}, lambda i: {'image': images[i]})
  data = source.make(table, flags.batch)
  config = vaejax.get_config(f'{NETS[flags.net]},dtype={flags.dtype}')
  method = make_method(config, data.example)
  state = jax.jit(lambda: initial_state(method, config, data.example))()
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
