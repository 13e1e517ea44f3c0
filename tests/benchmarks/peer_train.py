"""Whole trainings by peers: pythae's trainer, and a plain PyTorch loop, eager or compiled.

  python tests/benchmarks/peer_train.py {pythae,eager,compiled} IMAGES.npz --epochs=3 --seeds=1

IMAGES.npz has x_train, uint8 [N, 28, 28]. The net is 784-512-16 with a Bernoulli likelihood, like
pythae's default; batches of 128, Adam at 1e-3. Prints one JSON line: the seconds from the start of
the process to its end, over all seeds, one after the other. configs/tables/speed.py runs it.
"""

import time

BEGAN = time.time()

import argparse  # noqa: E402
import json  # noqa: E402
import tempfile  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

BATCH, HIDDEN, LATENTS, RATE = 128, 512, 16, 1e-3


class Vae(nn.Module):
  """784-512-(16 + 16) relu, 16-512-784."""

  def __init__(self):
    super().__init__()
    self.hidden, self.head = nn.Linear(784, HIDDEN), nn.Linear(HIDDEN, 2 * LATENTS)
    self.up, self.out = nn.Linear(LATENTS, HIDDEN), nn.Linear(HIDDEN, 784)

  def forward(self, x):
    mean, logvar = self.head(F.relu(self.hidden(x))).chunk(2, dim=1)
    z = mean + torch.randn_like(mean) * torch.exp(0.5 * logvar)
    logits = self.out(F.relu(self.up(z)))
    recon = F.binary_cross_entropy_with_logits(logits, x, reduction='sum')
    return (recon - 0.5 * (1 + logvar - mean * mean - logvar.exp()).sum()) / x.shape[0]


def plain(images, epochs: int, seed: int, compiled: bool) -> float:
  """Trains with a plain loop over data in memory, and returns the last loss."""
  torch.manual_seed(seed)
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  images, net = torch.from_numpy(images.reshape(-1, 784)).to(device), Vae().to(device)
  optimizer = torch.optim.Adam(net.parameters(), RATE, fused=device == 'cuda' or None)
  loss_of = torch.compile(net) if compiled else net
  for _ in range(epochs):
    order = torch.randperm(len(images), device=device)
    for i in range(0, len(order) - BATCH + 1, BATCH):
      optimizer.zero_grad()
      loss = loss_of(images[order[i : i + BATCH]].float() / 255)
      loss.backward()
      optimizer.step()
  return loss.item()


def pythae(images, epochs: int, seed: int) -> float:
  """Trains with pythae's pipeline, with its defaults but for batch, rate and epochs."""
  from pythae.models import VAE, VAEConfig
  from pythae.pipelines import TrainingPipeline
  from pythae.trainers import BaseTrainerConfig

  with tempfile.TemporaryDirectory() as folder:
    config = BaseTrainerConfig(
      output_dir=folder, num_epochs=epochs, learning_rate=RATE, seed=seed,
      per_device_train_batch_size=BATCH,
    )  # fmt: skip
    shape = (1, *images.shape[1:3])
    model = VAE(VAEConfig(input_dim=shape, latent_dim=LATENTS, reconstruction_loss='bce'))
    TrainingPipeline(model=model, training_config=config)(
      train_data=(images.reshape(-1, *shape) / 255).astype(np.float32)
    )
  return float('nan')


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('peer', choices=('pythae', 'eager', 'compiled'))
  parser.add_argument('images')
  parser.add_argument('--epochs', type=int, default=1)
  parser.add_argument('--seeds', type=int, default=1)
  flags = parser.parse_args()
  images = np.load(flags.images)['x_train']
  torch.set_float32_matmul_precision('high' if torch.cuda.is_available() else 'highest')
  for seed in range(flags.seeds):
    if flags.peer == 'pythae':
      pythae(images, flags.epochs, seed)
    else:
      plain(images, flags.epochs, seed, flags.peer == 'compiled')
  print(json.dumps({'seconds': time.time() - BEGAN}), flush=True)


if __name__ == '__main__':
  main()
