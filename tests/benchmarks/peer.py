"""The PyTorch peer of the speed comparison: the same nets, batch and optimizer, data in memory.

  python tests/benchmarks/peer.py {mlp,conv} IMAGES.npy [--compile[=MODE]] [--batch=128]

IMAGES.npy holds uint8 [N, 28, 28, 1]. Trains one epoch for every line read and answers with a JSON
line: seconds and the last loss. It is a worker of speed.py and epochs.py. On a GPU the images are
on it, the products in TF32 as JAX's are, and Adam is one kernel.
"""

import argparse
import json
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Mlp(nn.Module):
  """784-500-(20 + 20) relu, 20-500-784."""

  def __init__(self):
    super().__init__()
    self.hidden, self.head = nn.Linear(784, 500), nn.Linear(500, 40)
    self.up, self.out = nn.Linear(20, 500), nn.Linear(500, 784)

  def encode(self, x):
    return self.head(F.relu(self.hidden(x)))

  def decode(self, z):
    return self.out(F.relu(self.up(z)))


class Conv(nn.Module):
  """3x3 s2 32, 3x3 s2 64, dense 32 + 32; dense 7*7*64, convT 3x3 s1 64, s2 32, s2 1."""

  def __init__(self):
    super().__init__()
    self.c1, self.c2 = nn.Conv2d(1, 32, 3, 2, 1), nn.Conv2d(32, 64, 3, 2, 1)
    self.head, self.up = nn.Linear(3136, 64), nn.Linear(32, 3136)
    self.t1, self.t2 = nn.ConvTranspose2d(64, 64, 3, 1, 1), nn.ConvTranspose2d(64, 32, 3, 2, 1, 1)
    self.t3 = nn.ConvTranspose2d(32, 1, 3, 2, 1, 1)

  def encode(self, x):
    return self.head(F.relu(self.c2(F.relu(self.c1(x.view(-1, 1, 28, 28))))).flatten(1))

  def decode(self, z):
    h = F.relu(self.up(z)).view(-1, 64, 7, 7)
    return self.t3(F.relu(self.t2(F.relu(self.t1(h))))).flatten(1)


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('net', choices=('mlp', 'conv'))
  parser.add_argument('images')
  parser.add_argument('--compile', nargs='?', const='default', help='a mode of torch.compile')
  parser.add_argument('--batch', type=int, default=128)
  flags = parser.parse_args()
  torch.manual_seed(0)
  gpu = torch.cuda.is_available()
  device = 'cuda' if gpu else 'cpu'
  torch.set_float32_matmul_precision('high' if gpu else 'highest')
  torch.backends.cudnn.allow_tf32 = gpu
  images = torch.from_numpy(np.load(flags.images).reshape(-1, 784)).to(device)
  net = {'mlp': Mlp, 'conv': Conv}[flags.net]().to(device)
  optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=gpu or None)

  def loss_fn(x):
    mean, logvar = net.encode(x).chunk(2, dim=1)
    z = mean + torch.randn_like(mean) * torch.exp(0.5 * logvar)
    recon = F.binary_cross_entropy_with_logits(net.decode(z), x, reduction='sum')
    return (recon - 0.5 * (1 + logvar - mean * mean - logvar.exp()).sum()) / x.shape[0]

  if flags.compile:
    loss_fn = torch.compile(loss_fn, mode=flags.compile)
  for _ in sys.stdin:
    start = time.perf_counter()
    order = torch.randperm(len(images), device=device)
    for i in range(0, len(order) - flags.batch + 1, flags.batch):
      x = images[order[i : i + flags.batch]].float() / 255
      optimizer.zero_grad()
      loss = loss_fn(x)
      loss.backward()
      optimizer.step()
    loss = loss.item()  # waits for the device
    print(json.dumps({'seconds': time.perf_counter() - start, 'loss': loss}), flush=True)


if __name__ == '__main__':
  main()
