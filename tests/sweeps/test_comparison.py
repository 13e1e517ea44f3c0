"""The page that compares runs and sweeps."""

import json
import re
import shutil
from pathlib import Path

import pytest
from running import ROOT, SMOKE

from vaejax.cli.main import main
from vaejax.reporting import page

COLORS, SAMPLES = page.COLORS, '--config.eval.nll.samples=20'


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """A run, and a sweep of two settings with two seeds; to be copied and not to be changed."""
  folder = tmp_path_factory.mktemp('runs')
  words = SMOKE, '--config.steps=6', '--config.eval.every=2', '--config.eval.log_every=2'
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(ROOT)
    assert main(['train', *words, '--config.beta=2', f'--workdir={folder / "one"}']) == 0
    axes = '--grid', 'beta=1,4', '--grid', 'seed=0:2', f'--workdir={folder / "many"}'
    assert main(['sweep', *words, *axes]) == 0
  return folder


@pytest.fixture
def report(monkeypatch, capsys, tmp_path):
  """report(*paths) -> exit status, the page, stderr."""
  monkeypatch.chdir(ROOT)
  out = tmp_path / 'page.html'

  def report(*paths, out=out):
    status = main(['report', *map(str, paths), f'--out={out}'])
    text = out.read_text() if out.is_file() else ''
    return status, text, capsys.readouterr().err

  return report


def rows_of(text, heading):
  """The rows of the first table after a heading, as lists of texts."""
  table = text[text.index(heading) :].split('<table>')[1].split('</table>')[0]
  cells = [re.findall(r'<t[hd][^>]*>(.*?)</t[hd]>', row) for row in table.split('<tr>')[1:]]
  return [[re.sub('<[^>]+>', '', cell) for cell in row] for row in cells]


def test_runs_and_settings_of_sweeps_are_compared(report, runs):
  status, text, log = report(runs / 'one', runs / 'many')
  assert status == 0 and log == '' and 'class="warning"' not in text
  head, *rows = rows_of(text, '<h2>Values')
  assert [row[:2] for row in rows] == [
    ['one', '1 seed'], ['many: beta=1', '2 seeds'], ['many: beta=4', '2 seeds'],
  ]  # fmt: skip
  recorded = json.loads((runs / 'one' / 'evaluation.json').read_text())
  elbo = rows[0][head.index('elbo')]
  assert elbo == f'{recorded["elbo"]["value"]:.4g} ± {recorded["elbo"]["error"]:.2g}'
  members = json.loads((runs / 'many/stacks/0/results.json').read_text())['members']
  a, b = (row['values']['elbo'] for row in members[:2])
  assert rows[1][head.index('elbo')] == f'{(a + b) / 2:.4g} ± {abs(a - b) / 2:.2g}'
  # Only the fields that differ.
  assert rows_of(text, '<h2>Differences') == [
    ['field', 'one', 'many: beta=1', 'many: beta=4'],
    ['hyper.beta', '2', '1', '4'],
    ['seed', '0', '0, 1', '0, 1'],
  ]
  charts = re.findall('<svg.*?</svg>', text, re.DOTALL)
  lines = [set(re.findall(r'stroke: (#\w+); stroke-w', svg)) - {page.INK} for svg in charts]
  assert charts and all(colors == set(COLORS[:3]) for colors in lines)
  filled = [set(re.findall(r'fill: (#\w+); fill-opacity: 0.2', svg)) for svg in charts]
  assert all(colors == set(COLORS[1:3]) for colors in filled)  # one has a single seed
  assert '<h3>one</h3>' in text and '<h3>many, stack 0</h3>' in text
  # Self-contained: no scripts, nothing that is loaded.
  assert not re.search(r'<script|<link|src="(?!data:image/png)|url\((?!#)', text)


def test_protocols_that_differ_are_a_warning(report, runs, tmp_path):
  one, other = (Path(shutil.copytree(runs / 'one', tmp_path / name)) for name in ('a', 'b'))
  assert main(['evaluate', f'--workdir={one}', '--evals=nll', '--config.eval.nll.samples=3']) == 0
  assert main(['evaluate', f'--workdir={other}', '--evals=nll', '--seed=1', SAMPLES]) == 0
  status, text, log = report(one, other)
  assert status == 0 and 'samples is 3 in a; 20 in b' in log and 'seed is 0 in a; 1 in b' in log
  assert text.count('class="warning"') == 2 and 'nll, nll_effective, nll_fall: samples' in text
  path = other / 'evaluation.json'
  results = json.loads(path.read_text())
  results['elbo'] |= {'split': 'test[:10]', 'n': 10, 'code': '0.0.9', 'step': 3}
  path.write_text(json.dumps(results))
  _, text, log = report(one, other)
  for word in ('elbo: split is test in a; test[:10] in b', 'elbo: n is 297 in a; 10', 'code is'):
    assert word in log
  assert 'step is' not in log  # trainings may have other lengths


def test_a_member_and_a_run_without_values(report, runs, tmp_path):
  other = Path(shutil.copytree(runs / 'one', tmp_path / 'one'))
  (other / 'evaluation.json').unlink()
  status, text, _ = report(runs / 'many' / 'members' / '2', other, runs / 'one')
  head, *rows = rows_of(text, '<h2>Values')
  assert status == 0 and [row[0] for row in rows] == ['many/2', str(other), str(runs / 'one')]
  assert rows[1][head.index('elbo')] == '–'
  # A member that was not evaluated by itself has the values of its sweep, with their protocol.
  saved = json.loads((runs / 'many/stacks/0/results.json').read_text())['members'][2]
  value, error = saved['values']['elbo'], saved['errors']['elbo']
  assert rows[0][1] == '1 seed'
  assert rows[0][head.index('elbo')] == f'{value:.4g} ± {error:.2g}'
  assert 'step 6' in rows_of(text, '<h2>Protocols')[1][1]


def test_own_values_of_a_member_come_first_and_a_frozen_one_has_none(report, runs, tmp_path):
  many = Path(shutil.copytree(runs / 'many', tmp_path / 'many'))
  path = many / 'stacks' / '0' / 'results.json'
  saved = json.loads(path.read_text())
  saved['members'][1]['frozen'] = True
  path.write_text(json.dumps(saved))
  (many / 'members' / '0').mkdir(parents=True)
  own = {'elbo': {'value': 3.0, 'error': 0.5, 'split': 'test', 'step': 6}}
  (many / 'members' / '0' / 'evaluation.json').write_text(json.dumps(own))
  status, text, _ = report(many / 'members' / '0', many / 'members' / '1')
  head, *rows = rows_of(text, '<h2>Values')
  assert status == 0 and rows[0][head.index('elbo')] == '3 ± 0.5'
  assert rows[1][1] == '0 seeds, 1 frozen' and rows[1][head.index('elbo')] == '–'


def test_mistakes_are_one_line(report, runs, tmp_path):
  shutil.copytree(runs / 'one', tmp_path / 'table' / 'runs' / 'first-0')
  (tmp_path / 'table' / 'table.json').write_text('{}')
  for paths, message in (
    ((runs / 'one', tmp_path / 'none'), 'there is no workdir'),
    ((runs / 'one', runs / 'many' / '..' / 'one'), 'is given twice'),
    ((runs / 'many' / 'members' / '9',), 'has no member 9'),
    ((runs,), f'such as {runs / "many"}, {runs / "one"}'),
    ((tmp_path / 'table',), f'whose page is {tmp_path / "table" / "report.html"}. Use a run below'),
  ):
    status, text, log = report(*paths)
    assert status == 2 and message in log and len(log.splitlines()) == 1 and not text
  for out, message in ((tmp_path / 'x.txt', '.html'), (tmp_path / 'no' / 'x.html', 'no folder')):
    status, _, log = report(runs / 'one', out=out)
    assert status == 2 and message in log
