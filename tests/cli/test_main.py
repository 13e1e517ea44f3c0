"""The command line: a mistake is one line and creates nothing; what the verbs print."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from running import HANGS

from vaejax.cli.flags import make_parser
from vaejax.cli.main import main
from vaejax.cli.parse import parse
from vaejax.errors import RunError
from vaejax.estimates import Estimate
from vaejax.lookup import task_names

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path, monkeypatch):
  """The working directory: an empty folder with the project's configs."""
  (tmp_path / 'configs').symlink_to(ROOT / 'configs')
  monkeypatch.chdir(tmp_path)
  return tmp_path


def files(folder: Path) -> dict[str, bytes]:
  """Returns {path: content} of every file below a folder."""
  return {str(p): p.read_bytes() if p.is_file() else b'' for p in sorted(folder.rglob('*'))}


def mistake(capsys, place, *argv) -> str:
  """Returns the one line of a command that ends with status 2, and changes no file."""
  before = files(place)
  capsys.readouterr()
  status = main([str(word) for word in argv])
  shown = capsys.readouterr()
  assert status == 2, shown.err
  assert shown.out == '' and shown.err.startswith('error: ')
  assert shown.err.count('\n') == 1 and shown.err.endswith('\n')
  assert files(place) == before
  return shown.err


TRAIN = ('train', '--workdir=w', '--config=configs/vae.py:smoke')
MISTAKES = {
  'verb': (('trian',), "invalid choice: 'trian' (choose from 'train', 'sweep', 'show'"),
  'flag': ((*TRAIN, '--wrokdir=x'), "unknown flag --wrokdir=x (did you mean '--workdir'?)"),
  'flag without config': ((*TRAIN, '--hyper.lr=1'), "(did you mean '--config.hyper.lr'?)"),
  'flag by its name': (
    ('sample', '--workdir=w', '--chekpoint=1'),
    "(did you mean '--checkpoint'?)",
  ),
  'flag like no other': (('sample', '--workdir=w', '--foo=1'), 'unknown flag --foo=1. See python'),
  'flag of another verb': ((*TRAIN, '--n=3'), 'unknown flag --n=3'),
  'word': (('sample', 'w'), "unexpected word 'w'"),
  'flag without value': (('sample', '--workdir'), '--workdir: expected one argument. See python'),
  'abbreviated flag': (('train', '--work=w'), 'unknown flag --work=w'),
  'config': (('--config=configs/vea.py',), "'configs/vea.py' (did you mean 'configs/vae.py'?)"),
  'configs that exist': (('--config=vae',), 'Use one of configs/'),
  'field': ((*TRAIN, '--config.hyper.bata=4'), "'hyper.bata' (did you mean 'hyper.beta'?)"),
  'field without value': (
    (*TRAIN, '--config.seed', '4'),
    '--config.seed has no value. Use --config.seed=VALUE',
  ),
  'field in words': (('train', '--config=configs/vae.py:latnts=3'), "'latents'"),
  'type': ((*TRAIN, '--config.steps=ten'), "steps='ten' is not a whole number"),
  'bool': ((*TRAIN, '--config.seed=True'), "seed='True' is not a whole number"),
  'range': ((*TRAIN, '--config.batch_size=0'), 'batch_size=0 is out of range. Use 1 to'),
  'negative': ((*TRAIN, '--config.lr=-1'), 'hyper.lr=-1.0 is out of range. Use at least 0'),
  'schedule': ((*TRAIN, '--config.schedule.lr=cosin'), "did you mean 'cosine'"),
  'optimizer': ((*TRAIN, '--config.optimizer.name=adm'), "did you mean 'adam'"),
  'likelihood': ((*TRAIN, '--config.likelihood=normal'), 'model.likelihood='),
  'method': ((*TRAIN, '--config.method=vea'), "unknown method 'vea' (did you mean 'vae'?)"),
  'best': ((*TRAIN, '--config.best=elob'), "did you mean 'elbo'"),
  'best by test': (
    (*TRAIN, '--config.best=elbo'),
    'Hold rows out of train with data.validation=0.1',
  ),
  'dataset': (('train', '--config=configs/vae.py:digit'), 'digits'),
  'two datasets': (('train', '--config=configs/vae.py:mnist,shapes'), 'mnist and shapes'),
  'data_dir': ((*TRAIN, '--data_dir=none'), "--data_dir: there is no folder 'none'"),
  'no such set': (('train', '--config=configs/vae.py:emnist', '--data_dir=.'), 'emnist'),
  'workdir a file': ((*TRAIN, '--workdir=file'), 'file is not a folder'),
  'workdir in a file': ((*TRAIN, '--workdir=file/w'), 'file/w'),
  'workdir of something else': ((*TRAIN, '--workdir=full'), 'full contains other files'),
  'no workdir': (('sample',), 'sample needs --workdir=DIR'),
  'workdir missing': (('sample', '--workdir=none'), "no workdir 'none'"),
  'workdir empty': (('evaluate', '--workdir=empty'), 'empty contains no run'),
  'field of sample': (
    ('sample', '--workdir=run', '--config.seed=1'),
    'unknown flag --config.seed=1. See python launch.py sample',
  ),
  'n': (('sample', '--workdir=run', '--n=0'), "--n: '0' is not a whole number from 1 to 1,000,000"),
  'n, type': (('sample', '--workdir=run', '--n=some'), "--n: 'some' is not a whole number"),
  'seed': (('sample', '--workdir=run', '--seed=-1'), "--seed: '-1' is not a whole number from 0"),
  'temperature': (
    ('sample', '--workdir=run', '--temperature=nan'),
    "'nan' is not a number of 0 or more",
  ),
  'weights': (('sample', '--workdir=run', '--weights=new'), "--weights: invalid choice: 'new'"),
  'suffix': (('sample', '--workdir=run', '--out=x.gif'), 'Use a name in .png or .npy'),
  'folder of out': (('sample', '--workdir=run', '--out=none/x.png'), 'there is no folder none'),
  'eval': (('evaluate', '--workdir=run', '--evals=elbo,nil'), "'nil' (did you mean 'nll'?)"),
  'no eval': (
    ('evaluate', '--workdir=run', '--evals=,'),
    "--evals: ',' has no names. Use for example elbo,nll",
  ),
  'split': (
    ('evaluate', '--workdir=run', '--split=dev'),
    "no split 'dev'. Choose train or",
  ),
  'setting of an eval': (
    ('evaluate', '--workdir=run', '--config.eval.nll.samples=0'),
    'eval.nll.samples=0 is out of range',
  ),
  'no setting of an eval': (
    ('evaluate', '--workdir=run', '--config.eval.nll.sample=3'),
    "'eval.nll.sample' (did you mean 'eval.nll.samples'?)",
  ),
  'field of evaluate': (
    ('evaluate', '--workdir=run', '--config.seed=1'),
    'unknown flag --config.seed=1',
  ),
  'another config': (
    ('train', '--workdir=run', '--config=configs/vae.py:smoke,beta=2'),
    'hyper.beta is 1.0 there, 2.0 here',
  ),
  'more steps under a cosine': (
    ('train', '--workdir=run', '--config.steps=30'),
    'steps is 20 there, 30 here',
  ),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_a_mistake_is_one_line_and_creates_nothing(name, capsys, place, trained):
  argv, message = MISTAKES[name]
  (place / 'file').write_text('')
  (place / 'empty').mkdir()
  (place / 'full').mkdir()
  (place / 'full' / 'thing').write_text('')
  if '--workdir=run' in argv:
    shutil.copytree(trained, place / 'run')
  assert message in mistake(capsys, place, *argv)


def test_a_mistyped_dataset_comes_before_the_run_in_the_default_workdir(capsys, place, trained):
  shutil.copytree(trained, place / 'runs' / 'vae')
  message = mistake(capsys, place, '--config=configs/vae.py:digit')
  assert 'no dataset is called digit' in message and 'digits' in message
  assert 'different config' in mistake(capsys, place, '--config=configs/vae.py:shapes')


def test_a_mistake_in_a_process_has_status_2_and_no_traceback(place):
  argv = [sys.executable, str(ROOT / 'launch.py'), 'train', '--config.beta=x']
  ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=HANGS)
  assert ended.returncode == 2 and ended.stdout == ''
  assert ended.stderr == "error: hyper.beta='x' is not a number\n"
  assert os.listdir(place) == ['configs']


def test_help_lists_everything(capsys, monkeypatch):
  monkeypatch.chdir(ROOT)
  assert main(['--help']) == 0
  shown = capsys.readouterr().out
  for verb in make_parser()[1]:
    assert main([verb, '--help']) == 0
    flags = [w.strip('[],') for w in capsys.readouterr().out.split() if w.startswith('[--')]
    if verb in task_names():  # to know its flags its module is imported
      assert f'{verb},' in shown or f', {verb}\n' in shown
      assert {'--workdir', '--inputs', '--split', '--n', '--seed', '--out'} <= {*flags}
      continue
    assert f'python launch.py {verb} ' in shown  # its example
    assert len(flags) > 1 and all(flag in shown for flag in flags)
  for path in (ROOT / 'configs').glob('*.py'):
    assert f'configs/{path.name}' in shown
  assert '[--config.FIELD=VALUE]' in shown
  for flag in ('--config', '--workdir', '--data_dir', '--n', '--out', '--evals'):
    assert f'[{flag} ' in shown


def test_help_imports_no_jax():
  code = (
    'import sys\nfrom vaejax.cli.main import main\n'
    'status = main(["--help"])\n'
    'slow = {"jax", "flax", "optax", "orbax", "tensorflow_datasets", "numpy"} & set(sys.modules)\n'
    'sys.exit(f"{status} {slow}" if status or slow else 0)\n'
  )
  found = subprocess.run(
    [sys.executable, '-c', code],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
    timeout=HANGS,
  )
  assert found.returncode == 0, found.stderr


def test_a_reader_that_stops_gets_no_traceback():
  reader, writer = os.pipe()
  os.close(reader)
  found = subprocess.run(
    [sys.executable, 'launch.py', '--help'],
    cwd=ROOT,
    stdout=writer,
    stderr=subprocess.PIPE,
    env={name: value for name, value in os.environ.items() if name != 'PYTHONUNBUFFERED'},
    check=False,
    timeout=HANGS,
  )
  os.close(writer)
  assert (found.returncode, found.stderr) == (128 + signal.SIGPIPE, b'')


def test_an_interrupt_ends_quietly(capsys, monkeypatch, trained):
  from vaejax.api import sample

  def interrupted(*_, **__):
    raise KeyboardInterrupt

  monkeypatch.setattr(sample, 'write_samples', interrupted)
  assert main(['sample', f'--workdir={trained}']) == 130
  assert capsys.readouterr() == ('', '')


def test_a_failed_run_has_status_1(capsys, monkeypatch, trained):
  from vaejax.evaluation import evaluate

  def failed(*_, **__):
    raise RunError('the disk is full')

  monkeypatch.setattr(evaluate, 'evaluate', failed)
  assert main(['evaluate', f'--workdir={trained}']) == 1
  assert capsys.readouterr() == ('', 'error: the disk is full\n')


def test_the_traceback_of_a_mistake_is_shown_on_demand(capsys, place):
  assert main(['train', '--config=configs/vae.py:smoke', '--config.beta=x', '--traceback']) == 2
  *shown, last = capsys.readouterr().err.splitlines()
  assert shown[0].startswith('Traceback') and last == "error: hyper.beta='x' is not a number"


@pytest.mark.parametrize('verb', ['train', 'sample', 'evaluate'])
def test_a_bug_in_a_method_is_not_called_a_mistake(place, trained, monkeypatch, verb):
  """Also on a resume, and with a module in the working directory."""
  shutil.copytree(trained, place / 'run')
  (place / 'mylab_bug.py').write_text('def make(config, example):\n  return None + 1\n')
  path = place / 'run' / 'config.json'
  path.write_text(path.read_text().replace('"method": "vae"', '"method": "mylab_bug.x"'))
  (place / 'mylab_bug').mkdir()
  (place / 'mylab_bug.py').rename(place / 'mylab_bug' / 'x.py')
  monkeypatch.setattr(sys, 'path', [*sys.path])
  with pytest.raises(TypeError) as error:
    main([verb, '--workdir=run'])
  assert error.traceback[-1].path == place / 'mylab_bug' / 'x.py'
  assert error.traceback[-1].lineno + 1 == 2
  for name in [name for name in sys.modules if name.startswith('mylab_bug')]:
    del sys.modules[name]


def test_without_words_it_trains_the_first_config(monkeypatch, place, capsys):
  runs = []

  def run(config, folder, data_dir, *_, **__):
    runs.append((config.data.name, config.seed, folder, data_dir))
    return [{'elbo': {'elbo': Estimate(-1.25)}}]

  from vaejax.training import train

  monkeypatch.setattr(train, 'train', run)
  assert main([]) == 0
  assert main(['--config.seed=3']) == 0
  assert main(['--config=configs/iwae.py:digits', '--data_dir=.']) == 0
  assert main(['train', '--config=configs/vae.py:shapes', '--workdir=here']) == 0
  assert runs == [
    ('digits', 0, Path('runs/vae'), None),
    ('digits', 3, Path('runs/vae'), None),
    ('digits', 0, Path('runs/iwae'), '.'),
    ('shapes', 0, Path('here'), None),
  ]
  shown = capsys.readouterr().out
  assert 'elbo -1.25' in shown and 'here/checkpoints' in shown and 'here/report.html' in shown
  assert 'python launch.py sample --workdir=here' in shown


def test_a_finished_run_says_so_and_needs_no_config(capsys, copied, monkeypatch):
  monkeypatch.chdir(copied)  # where there are no configs
  assert main(['train', f'--workdir={copied}']) == 0
  shown = capsys.readouterr()
  assert 'finished at step 20 of 20' in shown.err and 'test after 20 steps: ' in shown.out


def test_the_next_command_can_be_copied(capsys, copied, tmp_path):
  folder = copied.rename(tmp_path / "the author's run")
  assert main(['train', f'--workdir={folder}']) == 0
  command = capsys.readouterr().out.splitlines()[-1].removeprefix('next:')
  assert shlex.split(command)[2:] == ['sample', f'--workdir={folder}']


def test_sample_and_evaluate_print_what_they_wrote(capsys, copied, tmp_path):
  out = tmp_path / 'x.npy'
  assert main(['sample', f'--workdir={copied}', '--n=3', f'--out={out}', '--data_dir=/']) == 0
  assert capsys.readouterr() == (f'{out}\n', '')
  assert np.load(out).shape == (3, 8, 8, 1)
  samples = '--config.eval.nll.samples=2'
  assert main(['evaluate', f'--workdir={copied}', '--evals=elbo,nll', samples]) == 0
  shown = capsys.readouterr()
  recorded = json.loads((copied / 'evaluation.json').read_text())
  lines = {name: value for name, value, *_ in map(str.split, shown.out.splitlines()[:-1])}
  assert f'± {recorded["nll"]["error"]:.4f}' in shown.out
  assert shown.err == '' and {'elbo', 'nll', 'recon', 'kl'} <= lines.keys()
  for name, value in lines.items():
    assert float(value) == pytest.approx(recorded[name]['value'], abs=1e-4)
  assert recorded['nll']['samples'] == 2


def test_an_eval_that_is_named_and_does_not_fit_is_status_1(capsys, copied):
  """The values of the others are printed and recorded."""
  assert main(['evaluate', f'--workdir={copied}', '--evals=elbo,style']) == 1
  shown = capsys.readouterr()
  assert shown.err.startswith('error: style is skipped: ')
  assert shown.err.count('\n') == 1 and 'elbo' in shown.out
  assert 'elbo' in json.loads((copied / 'evaluation.json').read_text())


def test_evals_of_which_none_fits_have_a_line_each(capsys, copied):
  before = (copied / 'evaluation.json').read_bytes()
  assert main(['evaluate', f'--workdir={copied}', '--evals=style,video']) == 2
  lines = capsys.readouterr().err.splitlines()
  assert [line.split(': ')[:2] for line in lines] == [
    ['error', 'style is skipped'],
    ['error', 'video is skipped'],
  ]
  assert (copied / 'evaluation.json').read_bytes() == before


def test_a_tilde_is_the_users_home(monkeypatch, tmp_path):
  monkeypatch.setenv('HOME', str(tmp_path))
  flags, _ = parse(['train', '--workdir=~/run', '--data_dir=~'])
  assert flags.workdir == tmp_path / 'run' and flags.data_dir == str(tmp_path)
