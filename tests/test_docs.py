"""Every command and Python block of the pages is run, at smoke size, and prints what they say."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import tomllib
import urllib.request
from pathlib import Path

import pytest
from conftest import SHARED
from pages import (
  STEPS,
  Block,
  arguments,
  blocks,
  commands,
  make_own_files,
  page,
  skeleton,
  split,
)
from running import HANGS, free_port, wait_for

ROOT = Path(__file__).parent.parent
PAGES = ('README.md', 'configs/README.md', 'vaejax/README.md', 'tests/benchmarks/RESULTS.md')


class Place:
  """A folder in which the commands of a page are run, one after the other."""

  def __init__(self, folder: Path):
    self.folder, self.started, self.number = folder, [], 0
    for name in ('launch.py', 'configs', 'tests'):
      (folder / name).symlink_to(ROOT / name)
    make_own_files(folder)
    (folder / 'tmp').mkdir()
    self.host = f'127.0.0.1:{free_port()}'
    # A judge of 20 steps is none for other tests.
    self.environment = os.environ | {
      'XDG_CACHE_HOME': str(folder / 'cache'),
      'TMPDIR': str(folder / 'tmp'),  # benchmarks keep their data there
      'TFDS_DATA_DIR': str(SHARED if SHARED.is_dir() else folder),
      'PYTHONPATH': str(ROOT),
    }
    self.server = None

  def start(self, command: list[str], environment=(), **pipes) -> subprocess.Popen:
    """A command in a process of its own."""
    environment = self.environment | dict(environment)
    pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT, 'text': True} | pipes
    self.started.append(subprocess.Popen(command, cwd=self.folder, env=environment, **pipes))
    return self.started[-1]

  def serve(self, words: list[str]) -> tuple[int, str]:
    """The status and the output of launch.py with these words, in the process of all such."""
    if self.server is None or self.server.poll() is not None:
      pipes = {'stdin': subprocess.PIPE, 'stderr': None}
      self.server = self.start([sys.executable, 'tests/served.py'], **pipes)
    path = self.folder / 'tmp' / 'output.txt'
    print(json.dumps([words, str(path)]), file=self.server.stdin, flush=True)
    timer = threading.Timer(3 * HANGS, self.server.kill)
    timer.start()
    status = self.server.stdout.readline()
    timer.cancel()
    if not status:  # it has ended
      self.server.wait()
    return int(status or -1), path.read_text()

  def end_all(self, lines: list[str]) -> list[tuple[int, str]]:
    """The status and the output of each command; several are the processes of one program."""
    prepared = []
    for line in lines:
      environment, words = split(line.replace('HOST:1234', self.host))
      prepared.append((environment, arguments(words, self.number)))
      self.number += 1
    (environment, (_, file, *words)), *others = prepared
    if 'explore' in words:
      return [self.visit(prepared[0][1])]
    if file == 'launch.py' and not (others or environment or 'submit' in words):
      return [self.serve(words)]
    started = [self.start(command, environment) for environment, command in prepared]
    texts = [process.communicate(timeout=3 * HANGS)[0] for process in started]
    return [(process.returncode, text) for process, text in zip(started, texts, strict=True)]

  def visit(self, command: list[str]) -> tuple[int, str]:
    """The status and the output of `explore`, which is stopped when its page has been fetched."""
    process, lines = self.start(command), []
    for line in process.stdout:
      lines.append(line)
      if line.startswith('http://'):
        with urllib.request.urlopen(line.strip()) as page:
          assert b'<html' in page.read()
        process.send_signal(signal.SIGINT)
    return process.wait(HANGS), ''.join(lines)

  def run(self, block: Block) -> list[str]:
    """Runs a block and returns what is wrong with it, nothing where it is right."""
    lines = [command for line in block.lines for command in commands(line)]
    together = all('--process=' in line for line in lines)
    texts, wrong = [], []
    expected = 2 if block.output and block.output[0].startswith('error: ') else 0
    for part in [lines] if together and lines else [[line] for line in lines]:
      for line, (status, text) in zip(part, self.end_all(part), strict=True):
        texts.append(text)
        if status != expected:
          wrong.append(f'{line}\n  status {status}: {text[-2000:]}')
        elif ' submit ' in line:
          self.finish(text)
    printed = {skeleton(line) for text in texts for line in text.splitlines()}
    missing = [line for line in block.output if line != '...' and skeleton(line) not in printed]
    wrong += [f'{lines[0]}\n  does not print: {line}' for line in missing if not wrong]
    return wrong

  def finish(self, text: str):
    """Waits for the end of a job."""
    log = Path(re.search(r'^log: +(.*)$', text, re.M)[1])
    wait_for(lambda: log.exists() and 'next: ' in log.read_text())


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
  if not importlib.util.find_spec('torch'):
    shell = [b for b in shell if not re.search(r'speed\.py|--table=speed', b.lines[0])]
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


def test_a_page_is_read():
  text = '```bash\npython a.py\n```\n\n```text\nx 1\n```\n| `python launch.py train` | 3 |\n'
  expected = [Block('bash', ('python a.py',), ('x 1',)), Block('bash', ('python launch.py train',))]
  assert blocks(text) == expected
  assert skeleton('a  -1.5e-3 ± 2') == skeleton('a 7 ± 0.1')
