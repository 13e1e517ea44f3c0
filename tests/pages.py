"""What the pages of the project run, and each command at smoke size."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from conftest import SHARED

ROOT = Path(__file__).parent.parent
INSTALLS = ('pip', '.venv/bin/pip', 'npm', 'source', '.venv/bin/pytest')  # .ci/run runs README's
# What needs datasets that are not embedded.
OTHERS = 'source.py|cifar10|stacked_mnist|overhead'
STEPS = 20


class Block(NamedTuple):
  """A command, the commands of one program in several processes, or a block of Python.

  Attributes:
    kind: 'bash' or 'python'.
    lines: what is run.
    output: the lines that the page shows below it.
  """

  kind: str
  lines: tuple[str, ...]
  output: tuple[str, ...] = ()


def blocks(text: str) -> list[Block]:
  """What a page runs, in its order: fenced blocks, and commands in the cells of tables."""
  found = []
  fence = re.compile(r'^```(\w+)\n(.*?)^```$|`(python [^`]+)`', re.M | re.S)
  for kind, body, cell in fence.findall(text):
    lines = tuple(body.splitlines())
    if cell:
      found.append(Block('bash', (cell,)))
    elif kind == 'text':
      found[-1] = found[-1]._replace(output=lines)
    else:
      found.append(Block(kind, lines))
  return found


def make_own_files(folder: Path) -> None:
  """Writes the files of a user that the pages name: pictures in class folders, arrays, videos."""
  import h5py
  import numpy as np
  from PIL import Image

  random = np.random.default_rng(0)
  discs = (disc(random) for _ in iter(int, 1))
  for label in ('cat', 'dog'):
    (folder / 'pictures' / label).mkdir(parents=True)
    for i in range(40):
      Image.fromarray(next(discs)).save(folder / 'pictures' / label / f'{i}.png')
  images = np.stack([next(discs) for _ in range(80)])
  np.savez(folder / 'cells.npz', images=images, labels=np.arange(80) % 2)
  with h5py.File(folder / 'galaxies.h5', 'w') as file:
    file['images'] = images[..., :1] * np.float32(12.5)
  for i in range(40):
    frames = [Image.fromarray(next(discs)) for _ in range(8)]
    (folder / 'clips').mkdir(exist_ok=True)
    frames[0].save(folder / 'clips' / f'{i}.gif', save_all=True, append_images=frames[1:])


def disc(random):
  """A disc of a random colour at a random place on black: uint8 [40, 40, 3]."""
  import numpy as np

  y, x = np.mgrid[:40, :40]
  row, column, radius = random.uniform(0, 40), random.uniform(0, 40), random.uniform(4, 12)
  inside = (y - row) ** 2 + (x - column) ** 2 < radius**2
  return inside[..., None] * random.integers(80, 256, 3).astype(np.uint8)


def page(name: str) -> list[Block]:
  """What a page runs; where no prepared dataset is at hand, with the embedded digits for MNIST and
  without what needs others."""
  text = (ROOT / name).read_text()
  # The commands of a rendered table are the cells of configs/tables/.
  text = re.sub(r'<!-- reproduce .*?<!-- end of the table -->', '', text, flags=re.S)
  if SHARED.is_dir():
    return blocks(text)
  found = blocks(re.sub(r'(DIR/)?\bmnist\b', 'digits', text.replace(' --data_dir=DIR', '')))
  return [b for b in found if not any(re.search(OTHERS, line) for line in b.lines)]


def split(line: str) -> tuple[dict[str, str], list[str]]:
  """The environment that a command begins with, and its words."""
  words, environment = shlex.split(line, comments=True), {}
  while words and re.fullmatch(r'[A-Z_]+=.*', words[0]):
    name, _, value = words.pop(0).partition('=')
    environment[name] = value
  return environment, words


def commands(line: str) -> list[str]:
  """The commands of a line that are run here; those that install something are only parsed."""
  found = []
  assert not subprocess.run(['bash', '-n', '-c', line]).returncode, f'no shell takes this: {line}'
  for command in line.split(' && '):
    _, words = split(command)
    assert words, f'no command: {line}'
    if words[0] not in INSTALLS and words[:3] != ['python', '-m', 'venv']:
      assert words[0] == 'python', f'a command that no test knows: {command}'
      found.append(command)
  return found


def smoke(word: str) -> str:
  """A word of a command at smoke size, with the data of this machine."""
  word = word.replace('DIR', str(SHARED)).replace('cifar10', 'cifar10_jpeg')
  # The test of all 73,728 shapes, or of 10,000 transfers, takes a minute.
  word = re.sub(r'(?<=beta_vae.py:)shapes|(?<=style.py:)cifar10_jpeg', 'digits', word)
  if match := re.fullmatch(r'--config=([^:]+\.py)(?::(.*))?', word):
    return f'--config={match[1]}:{match[2] + "," if match[2] else ""}smoke'
  word = word.replace('=node_modules', f'={os.environ.get("VAEJAX_ORT")}/node_modules')
  if match := re.fullmatch(r'(--config.eval.nll.samples)=\d+', word):
    return f'{match[1]}=5'
  return word


def arguments(words: list[str], number: int) -> list[str]:
  """A command at smoke size; `number` names the workdir of a training that names none."""
  if words == ['python', 'launch.py']:  # what that stands for
    words = [*words, 'train', '--config=configs/vae.py', '--workdir=runs/vae']
  if words[1].startswith('tests/benchmarks'):
    words = [*words, *QUICK[Path(words[1]).stem]]
  elif 'reproduce' in words:
    words = [*(word for word in words if word != '--short'), '--smoke', '--seeds=1']
    words += [f'--cells={cells}' for table, cells in FEW.items() if f'--table={table}' in words]
  elif {'train', 'sweep'} & {*words}:
    local = [word.replace('--cluster=slurm', '--cluster=local') for word in words]
    words = [word for word in local if not word.startswith('--gpus')]
    if not any(word.startswith('--workdir=') for word in words):
      words = [*words, f'--workdir=runs/{number}']
    longer = any(word.startswith('--config.steps=') for word in words)
    words = [*words, f'--config.steps={2 * STEPS if longer else STEPS}']
  if 'VAEJAX_ORT' not in os.environ:  # no browser runs what is exported
    words = [word for word in words if not word.startswith('--runtime=')]
  return [sys.executable, *map(smoke, words[1:])]


# Cells of tables whose others differ in settings that tests/configs checks, or in the objective,
# which the tests of invariants train.
FEW = {
  'iwae': 'vae-1,iwae-5-two',
  'disentangle': 'vae,factor-vae',
  'm2': 'ours',
  'pacgan': 'grid-2',
  'anomaly_mnist': 'low-2,mean-low',
}

# Rounds and sizes at which a benchmark shows that it runs, and no more.
QUICK = {
  'speed': ('--rounds=1', '--nets=mlp'),
  'overhead': ('--rounds=1', '--steps=900'),
  'scale': ('--rounds=0', '--steps=20', '--members=2', '--processes=2'),
  'sampling': ('--rounds=1', '--n=8'),
  'accelerator': ('--minutes=0.2',),
  'processes': ('--rounds=1', '--steps=20'),
  'stream': ('--small', '--peer=', '--parts=rates,wait'),  # the others: test_benchmarks
  'folder': ('--count=20',),
  'pruning': ('--small',),
  'explorer': ('--small',),
  'deploy': ('--small', '--families=gan'),
}


def skeleton(line: str) -> str:
  """A line of output without its numbers and its spaces."""
  return ' '.join(re.sub(r'[-+]?\d[\d.,]*(e[-+]?\d+)?', '#', line).split())
