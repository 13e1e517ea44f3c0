"""Every command and Python block of the pages is run, at smoke size, and prints what they say."""

import importlib.util
import os
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import SHARED
from running import wait_for

ROOT = Path(__file__).parent.parent
PAGES = ('README.md', 'configs/README.md', 'vaejax/README.md', 'tests/benchmarks/RESULTS.md')
INSTALLS = ('pip', '.venv/bin/pip', 'source', '.venv/bin/pytest')  # .ci/run runs README's
# What needs datasets that are not embedded.
OTHERS = 'source.py|cifar10_jpeg|stacked_mnist|overhead'
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


def page(name: str) -> list[Block]:
  """What a page runs; where no prepared dataset is at hand, with the embedded digits for MNIST and
  without what needs others."""
  text = (ROOT / name).read_text()
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
  word = word.replace('DIR', str(SHARED))
  if match := re.fullmatch(r'--config=([^:]+\.py)(?::(.*))?', word):
    return f'--config={match[1]}:{match[2] + "," if match[2] else ""}smoke'
  if match := re.fullmatch(r'(--config.eval.nll.samples)=\d+', word):
    return f'{match[1]}=5'
  return word


def arguments(words: list[str], number: int) -> list[str]:
  """A command at smoke size; `number` names the workdir of a training that names none."""
  if words == ['python', 'launch.py']:  # what that stands for
    words = [*words, 'train', '--config=configs/vae.py', '--workdir=runs/vae']
  if words[1].startswith('tests/benchmarks'):
    words = [*words, *QUICK[Path(words[1]).stem]]
  elif {'train', 'sweep'} & {*words}:
    local = [word.replace('--cluster=slurm', '--cluster=local') for word in words]
    words = [word for word in local if not word.startswith('--gpus')]
    if not any(word.startswith('--workdir=') for word in words):
      words = [*words, f'--workdir=runs/{number}']
    longer = any(word.startswith('--config.steps=') for word in words)
    words = [*words, f'--config.steps={2 * STEPS if longer else STEPS}']
  return [sys.executable, *map(smoke, words[1:])]


# Rounds and sizes at which a benchmark shows that it runs, and no more.
QUICK = {
  'speed': ('--rounds=1', '--nets=mlp'),
  'overhead': ('--rounds=1',),
  'scale': ('--rounds=1', '--steps=20', '--members=1,2'),
  'sampling': ('--rounds=1', '--n=8'),
  'accelerator': ('--minutes=0.2',),
  'processes': ('--rounds=1', '--steps=20'),
}


def skeleton(line: str) -> str:
  """A line of output without its numbers and its spaces."""
  return ' '.join(re.sub(r'[-+]?\d[\d.,]*(e[-+]?\d+)?', '#', line).split())


class Place:
  """A folder in which the commands of a page are run, one after the other."""

  def __init__(self, folder: Path):
    self.folder, self.started = folder, []
    for name in ('launch.py', 'configs', 'tests'):
      (folder / name).symlink_to(ROOT / name)
    (folder / 'pictures').mkdir()
    with socket.create_server(('127.0.0.1', 0)) as server:
      self.host = f'127.0.0.1:{server.getsockname()[1]}'
    # A judge of 20 steps is none for other tests.
    self.environment = os.environ | {
      'XDG_CACHE_HOME': str(folder / 'cache'),
      'TFDS_DATA_DIR': str(SHARED),
      'PYTHONPATH': str(ROOT),
    }

  def start(self, line: str) -> subprocess.Popen:
    environment, words = split(line.replace('HOST:1234', self.host))
    pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, 'text': True}
    command, environment = arguments(words, len(self.started)), self.environment | environment
    self.started.append(subprocess.Popen(command, cwd=self.folder, env=environment, **pipes))
    return self.started[-1]

  def run(self, block: Block) -> list[str]:
    """Runs a block and returns what is wrong with it, nothing where it is right."""
    lines = [command for line in block.lines for command in commands(line)]
    together = all('--process=' in line for line in lines)
    started, texts, wrong = [], [], []
    expected = 2 if block.output and block.output[0].startswith('error: ') else 0
    for line in lines:
      started.append((line, self.start(line)))
      if together and len(started) < len(lines):
        continue
      for command, process in started:
        texts.append(process.communicate(timeout=600)[0])
        if process.returncode != expected:
          wrong.append(f'{command}\n  status {process.returncode}: {texts[-1][-2000:]}')
        elif ' submit ' in command:
          self.finish(texts[-1])
      started = []
    printed = {skeleton(line) for text in texts for line in text.splitlines()}
    missing = [line for line in block.output if line != '...' and skeleton(line) not in printed]
    wrong += [f'{lines[0]}\n  does not print: {line}' for line in missing if not wrong]
    return wrong

  def finish(self, text: str):
    """Waits for the end of a job."""
    log = Path(re.search(r'^log: +(.*)$', text, re.M)[1])
    wait_for(lambda: log.exists() and 'next: ' in log.read_text(), 180)


def script(name: str) -> str:
  """The Python of a page as one script, at smoke size."""
  text = '\n'.join(line for block in page(name) if block.kind == 'python' for line in block.lines)
  text = re.sub(r"'(configs/\w+\.py:[^']*)'", rf"'\1,smoke,steps={STEPS}'", text)
  return text.replace('samples=500', 'samples=5')


@pytest.fixture
def place(tmp_path):
  place = Place(tmp_path)
  yield place
  for process in place.started:
    process.kill()


def test_the_first_training_command_prints_what_readme_says(place):
  first = next(b for b in page('README.md') if any(map(commands, b.lines)))
  assert len(first.output) > 4 and not place.run(first)
  assert (place.folder / 'runs' / 'vae' / 'report.html').exists()


def test_a_wrong_command_is_seen(place):
  assert not place.run(Block('bash', ('python launch.py --help',), ('verbs:',)))
  assert place.run(Block('bash', ('python launch.py --help',), ('verbs: none',)))
  assert place.run(Block('bash', ('python launch.py sample --workdr=runs/vae',)))
  with pytest.raises(AssertionError, match='no test knows'):
    place.run(Block('bash', ('pythn launch.py',)))
  with pytest.raises(AssertionError, match='no shell takes this'):
    place.run(Block('bash', ('python launch.py show --config=configs/vae.py:model.widths=()',)))


@pytest.mark.slow
@pytest.mark.parametrize('name', PAGES)
def test_commands(name, place):
  shell = [b for b in page(name) if b.kind == 'bash']
  if name.startswith('tests'):
    if not importlib.util.find_spec('torch'):
      shell = [b for b in shell if 'speed.py' not in b.lines[0]]
    shell = [*(b for b in page('configs/README.md') if 'runs/three' in b.lines[0]), *shell]
  wrong = [text for block in shell for text in place.run(block)]
  assert not wrong, '\n\n'.join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize('name', PAGES)
def test_python(name, place):
  run = [sys.executable, '-c', script(name)]
  kept = {'cwd': place.folder, 'env': place.environment, 'capture_output': True, 'text': True}
  result = subprocess.run(run, **kept)
  assert result.returncode == 0, result.stderr


@pytest.mark.parametrize('name', PAGES)
def test_links_files_and_extras_are_there(name):
  text, folder = (ROOT / name).read_text(), (ROOT / name).parent
  missing = []
  for link in re.findall(r'\]\(([^)]+)\)', text):
    path, _, heading = link.partition('#')
    if path.startswith('http'):
      continue
    target = folder / path if path else ROOT / name
    if not target.exists() or (heading and heading not in headings(target)):
      missing.append(link)
  # Of README, folders are those of a workdir.
  ending = '' if name.startswith('vaejax') else r'\.py'
  for path in re.findall(rf'`((?:[a-z_]+/)+[a-z0-9_.]*{ending})`', text):
    if not any((at / path).exists() for at in (ROOT, ROOT / 'vaejax', folder)):
      missing.append(path)
  known = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['optional-dependencies']
  missing += [extra for extra in re.findall(r'\.\[(\w+)\]', text) if extra not in known]
  assert not missing


def headings(path: Path) -> set[str]:
  """The anchors of a page's headings."""
  titles = re.findall(r'^#+ (.*)$', path.read_text(), re.M)
  return {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles}


def test_the_reading_order_is_short():
  text = (ROOT / 'vaejax' / 'README.md').read_text()
  files = re.findall(
    r'^\| `([\w/]+\.py)`', text.split('## Read these first')[1].split('##')[0], re.M
  )
  assert 4 < len(files) <= 8
  assert sum(len((ROOT / file).read_text().splitlines()) for file in files) <= 1300


def test_numbers_of_methods_are_those_of_the_configs():
  """README repeats figures, configs/README.md says how they were measured."""
  text = (ROOT / 'README.md').read_text()
  rows = re.findall(r'^\| `configs/\w+\.py` \|[^|]*\|([^|]*)\|', text, re.M)
  source = (ROOT / 'configs' / 'README.md').read_text()
  figures = [figure for row in rows for figure in re.findall(r'\d+\.\d+', row)]
  assert len(figures) > 8 and not [figure for figure in figures if figure not in source]


def test_a_page_is_read():
  text = '```bash\npython a.py\n```\n\n```text\nx 1\n```\n| `python launch.py train` | 3 |\n'
  expected = [Block('bash', ('python a.py',), ('x 1',)), Block('bash', ('python launch.py train',))]
  assert blocks(text) == expected
  assert skeleton('a  -1.5e-3 ± 2') == skeleton('a 7 ± 0.1')
