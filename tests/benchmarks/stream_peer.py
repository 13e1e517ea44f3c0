"""PyTorch's DataLoader over the files of stream.py, for comparison. Run by stream.py.

python stream_peer.py FILES WORKERS BATCH CROP BATCHES WARM_UP
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import stream_usage
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset):
  """The files of a folder of class folders, read as torchvision's ImageFolder, RandomCrop,
  RandomHorizontalFlip and ToTensor do."""

  def __init__(self, folder: str, crop: int):
    classes = sorted(path.name for path in Path(folder).iterdir())
    self.files = [
      (str(file), i)
      for i, name in enumerate(classes)
      for file in sorted(Path(folder, name).iterdir())
    ]
    self.crop = crop

  def __len__(self):
    return len(self.files)

  def __getitem__(self, index: int):
    path, label = self.files[index]
    with open(path, 'rb') as file:
      picture = Image.open(file).convert('RGB')
    left, top = (int(torch.randint(0, n - self.crop + 1, ())) for n in picture.size)
    picture = picture.crop((left, top, left + self.crop, top + self.crop))
    if torch.rand(()) < 0.5:
      picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = torch.from_numpy(np.array(picture, copy=True)).permute(2, 0, 1).contiguous()
    return pixels.to(torch.float32).div(255), label


def endless(loader: DataLoader):
  """Yields the batches of one epoch after another."""
  while True:
    yield from loader


def main():
  folder, *numbers = sys.argv[1:]
  workers, batch, crop, batches, warm_up = map(int, numbers)
  data = Pictures(folder, crop)
  began, total = time.perf_counter(), 0.0
  loader = DataLoader(data, batch, shuffle=True, num_workers=workers, drop_last=True)
  for number, (images, labels) in zip(range(batches + warm_up), endless(loader), strict=False):
    assert images.shape == (batch, 3, crop, crop) and len(labels) == batch
    total += float(images[0, 0, 0, 0])  # as little as a use of the batch can be
    if number == warm_up - 1:
      start, used = time.perf_counter(), stream_usage.processor_seconds()
      first = start - began
    if number == batches + warm_up - 1:  # before the workers end
      seconds = time.perf_counter() - start
      used = stream_usage.processor_seconds() - used
  images = batches * batch
  figures = {'rate': images / seconds, 'processor_ms': 1000 * used / images, 'first': first}
  print(json.dumps(figures | {'sum': total}))


if __name__ == '__main__':
  main()
