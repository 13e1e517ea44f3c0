"""Time to the first batch of a folder of pictures: first without, then with the cache.

  python tests/benchmarks/folder.py [--count=10000] [--size=64] [--classes=0] [--folder=PATH]

Makes a folder of PNGs of discs unless one is given. Each time is of a new process, from its start.
More than 10,000 pictures repeat the first ones, under other names.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
DISTINCT = 10_000  # pictures
FIRST_BATCH = """
import time
began = time.time()
import resource
import sys
from vaejax.config.load import load_config
from vaejax.data import sources, splits
config = load_config('configs/vae.py')
config.data.name = sys.argv[1]
config.data.size = int(sys.argv[2])
tables = splits.tables(config.data, None)
listed = time.time()
source = sources.train(config.data, tables.train, 128, 0)
import jax
import numpy as np
buffer, _ = next(iter(source.buffers(0, 1)))
batch = jax.jit(source.draw)(buffer, jax.random.key(0), np.int32(0))
jax.block_until_ready(batch)
done = time.time()
print(
  f'{done - began:.2f} s to the first batch, of which {listed - began:.2f} s to the tables; '
  f'{time.process_time():.2f} s of processor time; '
  f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB of memory'
)
"""


def make(folder: Path, count: int, size: int, classes: int) -> None:
  """Writes PNGs of a disc on a plain ground, with noise; in class folders if there are classes."""
  import numpy as np
  from PIL import Image

  random = np.random.default_rng(0)
  y, x = np.mgrid[:size, :size] / size
  pictures = []
  for _ in range(min(count, DISTINCT)):
    centre, radius = random.uniform(0.2, 0.8, 2), random.uniform(0.1, 0.3)
    disc = ((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2)[..., None]
    image = np.where(disc, random.uniform(60, 255, 3), random.uniform(0, 120, 3))
    image = np.clip(image + random.normal(0, 3, image.shape), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(image).save(file, 'PNG')
    pictures.append(file.getvalue())
  places = [folder / f'class{i:04}' for i in range(classes)] or [folder]
  for place in places:
    place.mkdir(parents=True)
  for i in range(count):
    (places[i % len(places)] / f'{i:07}.png').write_bytes(pictures[i % len(pictures)])


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--count', type=int, default=10_000)
  parser.add_argument('--size', type=int, default=64)
  parser.add_argument('--classes', type=int, default=0)
  parser.add_argument('--folder')
  args = parser.parse_args()
  with tempfile.TemporaryDirectory() as temporary:
    folder = Path(args.folder or Path(temporary, 'pictures'))
    if not args.folder:
      make(folder, args.count, args.size, args.classes)
    environment = os.environ | {'XDG_CACHE_HOME': f'{temporary}/cache', 'PYTHONPATH': str(ROOT)}
    for name in ('empty cache', 'cached', 'cached'):
      command = [sys.executable, '-c', FIRST_BATCH, str(folder), str(args.size)]
      print(f'{name}: ', end='', flush=True)
      subprocess.run(command, env=environment, cwd=ROOT, check=True)


if __name__ == '__main__':
  main()
