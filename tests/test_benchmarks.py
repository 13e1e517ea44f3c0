"""The runner of the benchmarks, with real programs as parts, and that every part runs."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from running import HANGS, is_alive, wait_for

BENCHMARKS = Path(__file__).parent / 'benchmarks'
ABOUT = {'device': 'a CPU', 'platform': 'cpu', 'devices': 1, 'date': 'today', 'minutes': 1}
ABOUT |= {'versions': {'jax': '0'}}
FIGURE = "import figures; figures.report('{}', [1.0, 2.0, 4.0], 's', 'a list', seed=3)\n"


@pytest.fixture
def runner(monkeypatch):
  monkeypatch.syspath_prepend(str(BENCHMARKS))
  import accelerator

  return accelerator


@pytest.fixture
def program(tmp_path):
  """program(name, code) -> the path of a part with that code."""

  def write(name: str, code: str) -> str:
    path = tmp_path / f'{name}.py'
    path.write_text(code)
    return str(path)

  return write


def test_a_part_that_fails_keeps_its_figures_and_stops_no_other(runner, program, tmp_path):
  bad = program('bad', FIGURE.format('before') + 'raise ValueError("no such kernel")')
  good = program('good', FIGURE.format('after') + "figures.left_open('torch', 'no torch')")
  parts = [runner.Part('bad', 1, (bad,)), runner.Part('good', 1, (good,))]
  runner.run(parts, 999, tmp_path, ABOUT, small=False)
  result = json.loads((tmp_path / 'accelerator.json').read_text())
  before, after, left_open = result['figures']
  assert (before['name'], before['value'], before['error']) == ('before', 2.0, 1.5)
  assert before['repeats'] == 3 and before['seed'] == 3 and before['unit'] == 's'
  assert before['device'] == 'a CPU' and before['versions'] == {'jax': '0'}
  assert after['part'] == 'good' and left_open['note'] == 'open: no torch'
  assert result['parts']['bad']['status'] == 'failed (1)'
  assert 'ValueError: no such kernel' in result['parts']['bad']['stderr']
  assert result['parts']['good']['status'] == 'done'
  page = (tmp_path / 'accelerator.md').read_text()
  assert '| before | 2 ± 1.5 | s | 3 | a list; seed 3 |' in page and 'This is a CPU' in page
  assert '- bad: failed (1).' in page and not list(tmp_path.glob('.*.tmp'))


def test_a_figure_is_on_disk_while_its_part_runs_and_a_newer_one_replaces_it(
  runner, program, tmp_path
):
  code = FIGURE.format('x') + 'import json, os\n'
  code += f'while not os.path.exists("{tmp_path}/accelerator.json"): pass\n'
  code += "figures.report('x', 7.0, 's', 'once')"
  result = runner.run([runner.Part('x', 1, (program('x', code),))], 999, tmp_path, ABOUT, False)
  assert result['parts']['x']['status'] == 'done'
  assert [figure['value'] for figure in result['figures']] == [7.0]


def test_a_part_is_ended_after_its_time_with_all_that_it_started(runner, program, tmp_path):
  code = 'import figures, subprocess, sys, time\n'
  code += 'sleeper = [sys.executable, "-c", "import time; time.sleep(999)"]\n'
  code += 'child = subprocess.Popen(sleeper, stdout=subprocess.DEVNULL)\n'
  code += 'figures.report("child", child.pid, "", "its number")\ntime.sleep(999)'
  taken, seconds = [], 1
  command = [sys.executable, program('slow', code)]
  while not taken:  # until that is enough for it to begin
    seconds *= 2
    assert seconds < HANGS
    ended = runner.run_part(command, seconds, taken.append, str(tmp_path))
    assert ended['status'] == f'stopped after its {seconds} s'
  (figure,) = taken
  # A killed process is there until it is next scheduled. Left alone, this one would sleep on.
  wait_for(lambda: not is_alive(figure['value']))


def test_a_part_without_time_is_left_out(runner, program, tmp_path):
  part = runner.Part('late', 1, (program('late', FIGURE.format('x')),))
  result = runner.run([part], 1.0, tmp_path, ABOUT, False)
  assert result['parts']['late']['status'] == 'left out: no time was left'
  assert not result['figures'] and 'late: left out' in (tmp_path / 'accelerator.md').read_text()


def test_the_table_of_pruning_is_of_means_over_seeds(runner):
  import pruning

  of_seed = lambda *of: dict(zip(('elbo', 'agreement', 'size', 'share'), of, strict=True))
  sparse = [of_seed(-100, math.nan, 2, 20), of_seed(-101, 90, 2, 20), of_seed(-102, 90, 2, 20)]
  values = {0: [of_seed(-90, 98, 8, 80), of_seed(-92, 98, 9, 90)], 0.8: sparse}
  assert pruning.table(values).splitlines()[2:] == [
    '| 0 % | -91.00 ± 1.00 | 98.00 ± 0.00 | 8.50 ± 0.50 | 85.00 ± 5.00 |',
    '| 80 % | -101.00 ± 0.58 | – | 2.00 ± 0.00 | 20.00 ± 0.00 |',
  ]


@pytest.mark.slow
@pytest.mark.parametrize(
  'words',
  [
    'epochs.py --sides=ours,bfloat16',
    'members.py --members=1,2',
    'members.py --net=conv --members=1',
    'lowerings.py',
    'precision.py',
    'trained.py',
    'first_step.py',
  ],
)
def test_every_part_runs(runner, words, tmp_path):
  command = [sys.executable, *f'{BENCHMARKS}/{words} --small'.split()]
  environment = runner.environment(str(tmp_path))
  done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
  assert done.returncode == 0, done.stderr
  assert '"value"' in done.stdout


@pytest.mark.slow
def test_exported_functions_are_timed(runner, tmp_path):
  pytest.importorskip('jax2onnx')
  command = [sys.executable, str(BENCHMARKS / 'deploy.py'), '--small', '--families=gan']
  environment = runner.environment(str(tmp_path))
  done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
  assert done.returncode == 0, done.stderr
  assert '| gan | 28 | sample |' in done.stdout and '"value"' in done.stdout


@pytest.mark.slow
def test_streams_resume_exactly_and_processes_read_disjoint_rows(tmp_path):
  command = [sys.executable, str(BENCHMARKS / 'stream.py'), '--small', '--parts=memory,resume,rows']
  command += [f'--folder={tmp_path}', f'--json={tmp_path}/figures.json']
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  figures = json.loads((tmp_path / 'figures.json').read_text())
  for name in ('threads', '2 workers'):
    assert figures[f'resume, {name}'] == {'equal': True, 'equal_to_threads': True}
    assert figures[f'memory, {name}']['samples'] > 20
  assert figures['rows'] == {'disjoint': True, 'complete': True}
