"""Tables as programs: trained, compared, resumed cell by cell and within a cell."""

import functools
import json
import re
import signal

import pytest
from running import ROOT, reached, wait_for

from vaejax.cli.main import main
from vaejax.config.load import import_file
from vaejax.config.table import Cell, Claim, Published, Table
from vaejax.estimates import Estimate
from vaejax.evaluation import evaluate
from vaejax.metrics import seeds
from vaejax.sweeps import table_rows, table_text
from vaejax.sweeps.plan import plan_cell
from vaejax.version import code_version

TABLE = """
from vaejax.config.table import Cell, Claim, Published, Table

SMOKE = 'configs/vae.py:digits,smoke'


def measure(folder, seeds, data_dir):
  return {'elbo': [float(seed) for seed in range(seeds)]}


def get_table(mode):
  known = {'beta=1': {'elbo': Published(-235.0, 1.0), 'nll': Published(0.0)}}
  cells = (
    Cell('first', SMOKE, {'hyper.beta': '2', 'steps': 'STEPS'}, fixed_seeds=True),
    Cell('prior', 'configs/prior.py:{first},prior=mixture', {'steps': '5'}, fixed_seeds=True),
    Cell('betas', SMOKE, {'eval.nll.samples': '4'}, ('hyper.beta=1,4',), 2, ('elbo', 'nll'), known),
    Cell('measured', measure=measure, seeds=3),
  )
  values = {'elbo': 'ELBO (nats)', 'nll': '-log p(x) (nats)'}
  claims = (
    Claim('the seeds are in order', lambda r: r['measured', '']['elbo'] == [0.0, 1.0, 2.0]),
    Claim('a large beta has a better elbo', lambda r: r['betas', 'beta=4']['elbo'][0] > 0),
  )
  return Table('Two betas', 'nobody', ('all of it',), cells, values, claims, 'seconds')
"""


@pytest.fixture
def program(tmp_path):
  """The file of a small table."""
  path = tmp_path / 'tiny.py'
  path.write_text(TABLE.replace('STEPS', '6'))
  return path


@pytest.fixture
def command(monkeypatch, capsys, tmp_path, program):
  """Runs reproduce here: exit status, stdout and stderr."""
  monkeypatch.chdir(ROOT)

  def command(*words, table=program):
    status = main(['reproduce', f'--table={table}', f'--workdir={tmp_path / "t"}', *words])
    shown = capsys.readouterr()
    return status, shown.out, shown.err

  return command


def test_a_table_is_trained_compared_and_resumed(command, tmp_path, program):
  status, shown, log = command('--smoke')
  assert status == 0, log
  cells = {p.stem: json.loads(p.read_text()) for p in (tmp_path / 't' / 'cells').glob('*.json')}
  assert cells.keys() == {'first', 'prior', 'betas', 'measured'}
  betas = cells['betas']
  assert [(m['setting'], m['seed']) for m in betas['members']] == [
    (f'beta={b}', s) for b in (1, 4) for s in (0, 1)
  ]
  # The values are those that the members' own files have.
  for number, member in enumerate(betas['members']):
    own = tmp_path / 't' / 'runs' / f'betas-{betas["key"]}' / 'members' / str(number)
    recorded = json.loads((own / 'evaluation.json').read_text())
    for name in ('elbo', 'nll'):
      assert member['values'][name] == recorded[name]['value']
      assert member['errors'][name] == recorded[name]['error']
  assert betas['protocols']['nll']['samples'] == 4 and betas['protocols']['elbo']['split'] == 'test'
  assert cells['first']['protocols']['elbo']['step'] == 6 and cells['first']['wall_seconds'] > 0
  assert {'hardware', 'versions', 'code', 'date', 'starts', 'processor_seconds'} <= betas.keys()
  table = json.loads((tmp_path / 't' / 'table.json').read_text())
  row = next(r for r in table['rows'] if (r['row'], r['value']) == ('betas, beta=1', 'elbo'))
  values = [m['values']['elbo'] for m in betas['members'][:2]]
  assert row['ours'] == seeds.mean(values).to_json() | {'interval': row['ours']['interval']}
  assert row['published'] == {'value': -235.0, 'error': 1.0, 'source': ''}
  assert row['covers'] is None  # a verdict on a training of seconds means nothing
  for text in (shown, (tmp_path / 't' / 'table.md').read_text()):
    assert '-235 ± 1' in text and 'all of it' in text
    assert 'not checked, because the smoke size' in text and 'evaluation seed 0' in text
    assert not re.search(r'\b(yes|no)\b *\|? *\b[23]\b', text)  # no verdict beside the seeds
  assert b'nobody' in (tmp_path / 't' / 'report.html').read_bytes()

  # Nothing is done again, unless it has changed.
  before = {p: p.stat().st_mtime_ns for p in (tmp_path / 't' / 'cells').glob('*.json')}
  status, again, log = command('--smoke')
  assert status == 0 and again == shown and log.count('is done already') == 4
  assert '†' not in shown
  program.write_text(program.read_text().replace("'hyper.beta=1,4'", "'hyper.beta=1,3'"))
  status, shown, log = command('--smoke', '--seeds=3')
  assert log.count('is done already') == 3, log  # measured has three seeds already
  assert 'betas: is done again' in log and 'seeds: 2 -> 3' in log and 'axes' in log
  changed = {p.stem for p, time in before.items() if p.stat().st_mtime_ns != time}
  assert changed == {'betas'} and 'betas, beta=3' in shown
  program.write_text(program.read_text().replace("'hyper.beta': '2'", "'hyper.beta': '5'"))
  status, shown, log = command('--smoke', '--seeds=3')
  assert 'hyper.beta: 2.0 -> 5.0' in log
  assert 'prior: is done again' in log  # it uses the first one


TASKS = """
from vaejax.config.table import Cell, Table, Use


def get_table(mode):
  uses = {'half': Use('blend --n=4', 'Pictures, blended.'), 'none': Use('blend --weight=0 --n=4')}
  values = {'half.error': 'error', 'half.error.reconstruction': 'error of reconstructions'}
  cells = Cell('vae', 'configs/vae.py:digits,smoke', {'steps': '5'}, tasks=uses),
  return Table('T', 'nobody', (), cells, values)
"""


def test_scores_of_tasks_are_values_of_a_cell(command, tmp_path, program, blend):
  program.write_text(TASKS)
  status, shown, log = command('--smoke')
  assert status == 0, log
  record = json.loads((tmp_path / 't' / 'cells' / 'vae.json').read_text())
  (values,) = (m['values'] for m in record['members'])
  assert values['half.error'] == pytest.approx(values['half.error.reconstruction'] / 4, rel=1e-3)
  assert values['none.error'] < 1e-9 and 'error of reconstructions' in shown
  assert record['tasks'] == {'half': 'blend --n=4', 'none': 'blend --weight=0 --n=4'}
  run = tmp_path / 't' / 'runs' / f'vae-{record["key"]}'
  assert (run / 'pictures' / 'half.png').is_file() and (run / 'pictures' / 'none.npy').is_file()
  # Another task is a change.
  program.write_text(TASKS.replace('blend --n=4', 'blend --n=5'))
  assert 'done again' in command('--smoke')[2]
  program.write_text(TASKS.replace("'5'}", "'5'}, seeds=2"))
  status, _, log = command('--smoke')
  assert status == 2 and 'cell vae has tasks, which need one run' in log


DERIVED = """
from vaejax.config.table import Cell, Published, Table


def measure(folder, seeds, data_dir):
  return {'elbo': [1.0, FIRST][:seeds], 'nll': [float('nan'), 7.0][:seeds]}


FACTOR = 2


def times(pairs):
  product = {name: [(FACTOR * x, 0.5) for x, _ in of] for name, of in pairs['measured'][''].items()}
  return {'twice': product}, {'elbo': {'factor': FACTOR}}


def get_table(mode):
  known = {'twice': {'elbo': Published(5.0)}}
  first = Cell('measured', measure=measure, seeds=2, hidden=True)
  cells = first, Cell('d', derive=times, published=known)
  return Table('t', 's', (), cells, {'elbo': 'ELBO', 'nll': '-log p'})
"""


def test_a_derived_cell_is_made_of_earlier_ones_and_follows_them(command, tmp_path, program):
  program.write_text(DERIVED.replace('FIRST', '3.0'))
  status, _, log = command()
  assert status == 0, log
  rows = {r['value']: r for r in json.loads((tmp_path / 't' / 'table.json').read_text())['rows']}
  assert {row['row'] for row in rows.values()} == {'d, twice'}
  assert rows['elbo']['ours']['value'] == 4 and rows['elbo']['seeds'] == 2
  assert rows['elbo']['published']['value'] == 5 and rows['elbo']['protocol'] == {'factor': 2}
  # Of values that are not finite only the others are given, with their errors.
  assert rows['nll']['ours'] == {'value': 14, 'error': 0.5}
  # It is derived anew, also if only what its function uses has changed.
  program.write_text(DERIVED.replace('FIRST', '3.0').replace('FACTOR = 2', 'FACTOR = 3'))
  status, _, log = command('--cells=d')
  rows = {r['value']: r for r in json.loads((tmp_path / 't' / 'table.json').read_text())['rows']}
  assert status == 0 and 'measured: is done already' in log
  assert rows['elbo']['ours']['value'] == 6 and rows['elbo']['protocol'] == {'factor': 3}
  # Without any finite value there is a line.
  line = 'd: no values of twice: runs that they are derived from have none'
  assert line not in log
  program.write_text(DERIVED.replace('1.0, FIRST', 'float("nan")').replace(', 7.0', ''))
  status, _, log = command()
  assert status == 1 and line in log


PARTS = """
from pathlib import Path

from vaejax.config.table import Cell, Table


def measure(folder, seeds, data_dir):
  return {'elbo': [1.0] * seeds}, [] if Path('PEER').is_file() else ['the peer is missing']


def derive(pairs):
  return {'': pairs['b']['']}, {}


def get_table(mode):
  cells = Cell('a', measure=measure), Cell('b', measure=measure, seeds=2), Cell('d', derive=derive)
  return Table('t', 's', (), cells, {'elbo': 'ELBO'})
"""


def test_cells_that_are_not_asked_for_stay_in_the_table(command, tmp_path, program):
  program.write_text(PARTS.replace('PEER', str(tmp_path / 'peer')))
  rows = lambda: [r['row'] for r in json.loads((tmp_path / 't' / 'table.json').read_text())['rows']]
  status, shown, log = command()
  assert status == 1 and 'Skipped:\n  a: the peer is missing' in shown
  # What a cell has skipped is done again, but not in the cells that are not asked for.
  status, _, log = command('--cells=b')
  assert 'b: is measured again, because the peer is missing' in log and 'a: is done already' in log
  assert rows() == ['a', 'b', 'd']
  (tmp_path / 'peer').touch()
  status, _, log = command()
  assert status == 0 and log.count('is measured again') == 2
  status, _, log = command('--seeds=3', '--cells=b')
  assert status == 0 and 'b: is done again, because it has changed (seeds: 2 -> 3)' in log
  assert 'a: is left out, because its stored result has other settings (seeds: 1 -> 3)' in log
  assert rows() == ['b']
  for file in ('table.md', 'report.html'):
    assert f'--table={program} --seeds=3 --cells=b' in (tmp_path / 't' / file).read_text()


def test_a_workdir_keeps_its_table(command, tmp_path, program):
  program.write_text(DERIVED.replace('FIRST', '3.0'))
  assert command()[0] == 0
  other = tmp_path / 'other.py'
  other.write_text(program.read_text())
  files = [tmp_path / 't' / name for name in ('table.md', 'table.json', 'report.html')]
  before = [path.read_bytes() for path in files]
  for words, table, new in (((), other, 'other (whole)'), (('--smoke',), program, 'tiny (smoke)')):
    status, _, log = command(*words, table=table)
    assert status == 2 and f'has the table tiny (whole), not {new}. Use another --workdir' in log
  assert [path.read_bytes() for path in files] == before


def test_a_row_that_other_code_has_made_is_marked_and_kept(command, tmp_path):
  status, before, _ = command('--smoke', '--cells=measured')
  path = tmp_path / 't' / 'cells' / 'measured.json'
  path.write_text(path.read_text().replace(code_version(), '0.1.0+1234567'))
  status, shown, log = command('--smoke', '--cells=measured')
  assert status == 0 and 'is done already' in log and 'with code 0.1.0+1234567' in log
  assert '†' not in before
  for text in (shown, *((tmp_path / 't' / f).read_text() for f in ('table.md', 'report.html'))):
    assert 'measured †' in text
    assert f'another version of the code than {code_version()}' in text
    assert re.search(r'measured: \d+ cpu.* vaejax 0\.1\.0\+1234567', text)


def test_claims_are_checked_and_the_status_says_so(command, program):
  text = program.read_text().replace('SEEDS', '1')
  only = text.replace("Cell('first'", "*() and Cell('first'")
  assert only != text
  start, end = text.index('  cells = ('), text.index("    Cell('measured'")
  program.write_text(text[:start] + '  cells = (\n' + text[end:])
  status, shown, log = command('--short')
  assert status == 0 and 'holds: the seeds are in order' in shown  # the other cannot be checked
  assert 'not checked, because values are missing: a large beta' in shown
  program.write_text(program.read_text().replace('[0.0, 1.0, 2.0]', '[2.0, 1.0]'))
  status, shown, log = command('--short')
  assert status == 1 and 'does not hold: the seeds' in shown
  assert 'claim does not hold: the seeds are in order' in log


def test_an_eval_that_does_not_fit_is_one_line_and_the_others_run(command, program, tmp_path):
  text = program.read_text()
  start, end = text.index("    Cell('first'"), text.index("    Cell('betas'")
  program.write_text((text[:start] + text[end:]).replace("('elbo', 'nll')", "('nll', 'style')"))
  status, shown, log = command('--smoke', '--seeds=1')
  assert status == 1 and 'betas: style is skipped' in log
  assert 'betas, beta=1' in shown and '-log p(x)' in shown
  # It may fit the next time.
  # The training keeps the code that it had.
  (cost,) = (tmp_path / 't' / 'runs').glob('betas-*.cost.json')
  cost.write_text(cost.read_text().replace(code_version(), '0.1.0+1234567'))
  _, again, log = command('--smoke', '--seeds=1')
  assert 'betas: is evaluated again, because style is skipped' in log
  assert log.count('is done already') == 1  # measured
  assert '†' not in shown and 'betas, beta=1 †' in again and 'measured †' not in again
  code = re.escape(code_version())
  assert re.search(rf'betas: .*vaejax 0\.1\.0\+1234567; .* Then on .*vaejax {code};', again)


def test_values_that_cannot_be_recorded_end_the_table(command, program, tmp_path, monkeypatch):
  def record(*args):
    raise OSError(28, 'No space left on device')

  text = program.read_text()
  only = text.index("    Cell('first'"), text.index("    Cell('measured'")
  one = "    Cell('one', SMOKE, {'eval.nll.samples': '4'}, evals=('nll',)),\n"
  program.write_text(text[: only[0]] + one + text[only[1] :])
  monkeypatch.setattr(evaluate, 'record', record)
  with pytest.raises(OSError, match='No space left'):
    command('--smoke')
  assert not (tmp_path / 't' / 'cells' / 'one.json').exists()


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (('hyper.beta=1,4', 'hyper.bta=1,4'), "cell betas: unknown config field 'hyper.bta'"),
    (('configs/prior.py:{first}', 'configs/prior.py:{betas}'), "no workdir '{betas}'"),
    (("'hyper.beta': '2'", "'data.name': 'no_such_set'"), 'no_such_set'),
    (("Cell('prior'", "Cell('first'"), 'has two cells named first'),
    (('get_table(mode)', 'get_tabel(mode)'), 'has no get_table(mode)'),
  ],
)
def test_a_mistake_is_one_line_and_nothing_is_trained(command, program, tmp_path, change, message):
  text = program.read_text()
  assert change[0] in text
  program.write_text(text.replace(*change))
  status, _, log = command('--smoke')
  assert status == 2 and message in log.splitlines()[-1], log
  assert not (tmp_path / 't' / 'cells' / 'first.json').exists()


def test_an_unknown_table_lists_those_there_are(command):
  status, _, log = command('--smoke', table='spede')
  assert status == 2 and "did you mean 'speed'" in log and 'readme' in log
  assert main(['reproduce']) == 2


def start(launch, program, tmp_path):
  return launch.start('reproduce', f'--table={program}', '--smoke', f'--workdir={tmp_path / "t"}')


@pytest.mark.slow
def test_a_killed_table_resumes_between_cells_and_within_one(launch, tmp_path, program):
  program.write_text(TABLE.replace('STEPS', "600', 'checkpoint.every': '20"))
  full = tmp_path / 'full'
  words = 'reproduce', f'--table={program}', '--smoke'
  assert launch.end(launch.start(*words, f'--workdir={full}'), 900).status == 0
  process = start(launch, program, tmp_path)
  run = lambda: next(iter((tmp_path / 't' / 'runs').glob('first-*/metrics.jsonl')), None)
  wait_for(lambda: (tmp_path / 't' / 'runs').is_dir() and run(), 300)
  saved = lambda: any(p.name.isdigit() for p in run().parent.glob('checkpoints/*'))
  wait_for(lambda: saved() or process.poll() is not None, 300)
  process.kill()  # within the first cell
  assert launch.end(process).status == -signal.SIGKILL and max(reached(run().parent)) < 600
  process = start(launch, program, tmp_path)
  done = tmp_path / 't' / 'cells' / 'first.json'
  wait_for(lambda: done.exists() or process.poll() is not None, 300)
  process.kill()  # between cells, or soon after
  result = launch.end(process)
  assert 'resuming at step' in result.err and result.status == -signal.SIGKILL
  result = launch.end(launch.start(*words, f'--workdir={tmp_path / "t"}'), 900)
  assert result.status == 0 and 'first: is done already' in result.err
  cells = [json.loads((f / 'cells' / 'first.json').read_text()) for f in (full, tmp_path / 't')]
  assert cells[0]['members'] == cells[1]['members'] and cells[1]['starts'] == 2
  tables = [json.loads((f / 'table.json').read_text())['rows'] for f in (full, tmp_path / 't')]
  assert tables[0] == tables[1]


@pytest.mark.slow
def test_the_table_of_speed_goes_on_without_its_peers(tmp_path, monkeypatch, capsys):
  """Its rows are measured by real processes; here no peer can be imported."""
  monkeypatch.chdir(ROOT)
  monkeypatch.setenv('PEER_PYTHON', '/bin/false')
  words = '--table=speed', '--smoke', f'--workdir={tmp_path / "t"}'
  assert main(['reproduce', *words]) == 1
  shown = capsys.readouterr()
  assert shown.err.count('is not measured') == 12 and 'PEER_PYTHON' in shown.err
  assert "runs-1: pythae's trainer is not measured" in shown.out
  rows = json.loads((tmp_path / 't' / 'table.json').read_text())['rows']
  assert [(row['row'], row['value']) for row in rows] == [
    (f'runs-{n}', value) for n in (1, 2) for value in ('product', 'gflops', 'images_s', 'ours')
  ]
  assert all(row['ours']['value'] > 0 for row in rows)


def make_record(values, errors=None):
  members = [
    {'setting': '', 'seed': s, 'frozen': v is None, 'values': {'elbo': v}, 'errors': {'elbo': e}}
    for s, (v, e) in enumerate(zip(values, errors or values, strict=True))
  ]
  costs = {'wall_seconds': 61.0, 'processor_seconds': 7300.0, 'starts': 1}
  code = {'code': code_version()}
  return {'members': members, 'protocols': {}, 'skipped': [], 'cell': 'a', **costs, **code}


def test_rows_have_the_mean_over_seeds_and_students_interval():
  known = {'': {'elbo': Published(2.5)}}
  table = Table('t', 's', (), (Cell('a', published=known),), {'elbo': 'ELBO'})
  (row,) = table_rows.make_rows(table, {'a': make_record([1.0, 2.0, 3.0, None])})
  # t of 2 degrees of freedom is 4.30265 (Student's table): 2 ± 4.30265 / sqrt(3).
  assert row.ours.value == 2 and row.ours.error == pytest.approx(1 / 3**0.5)
  assert row.ours.interval == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)
  assert row.covers and row.seeds == 3 and row.frozen == 1
  assert table_text.cells_of(row)[-3:] == ['3 (1 frozen)', '1 min 1 s', '2 h 1 min']
  (row,) = table_rows.make_rows(table, {'a': make_record([9.0], [0.5])})
  assert row.ours == Estimate(9.0, 0.5) and row.covers is None
  # Equal values of all seeds have no interval to speak of.
  (row,) = table_rows.make_rows(table, {'a': make_record([2.5, 2.5])})
  assert row.ours.error == 0 and row.covers is None
  (row,) = table_rows.make_rows(table, {'a': make_record([1.0, 3.0])}, 'smoke')
  assert row.covers is None
  (row,) = table_rows.make_rows(table, {'a': make_record([None])})
  assert row.ours is None and table_text.cells_of(row)[3] == 'none finite'


def test_a_share_is_shown_in_percent_and_the_time_of_a_cell_once():
  known = {'': {'elbo': Published(0.88, 0.0171)}}
  cells = Cell('a', published=known, values={'elbo': '% accuracy', 'nll': 'nats'}), Cell('b')
  records = {name: make_record([0.5, 0.7]) for name in 'ab'}
  for member in records['a']['members']:
    member['values']['nll'] = 1.0
  rows = table_rows.make_rows(Table('t', 's', (), cells, {'elbo': 'ELBO'}), records)
  share, nll, other = table_text.body(rows)
  assert share[1:4] == ['% accuracy', '88 ± 1.7', '60 ± 10'] and rows[0].covers
  # t of 1 degree of freedom is 12.7062: 60 ± 127.062.
  assert share[4] == '-67.06 to 187.1' and rows[0].ours.value == 0.6
  assert share[-2:] == other[-2:] == ['1 min 1 s', '2 h 1 min'] and nll[-2:] == ['', '']


def test_values_of_one_protocol_share_a_line():
  protocol = {'split': 'test', 'content': {'image': 'a1', 'label': 'b2'}}
  record = make_record([1.0]) | {'protocols': {'a': protocol, 'b': protocol, 'c': {'seed': 1}}}
  table = Table('t', 's', (), (Cell('x'),), {'a': 'A', 'c': 'C', 'b': 'B'})
  assert table_text.protocols({'x': record}, table) == [
    'a, b: split test, content image a1, label b2',
    'c: evaluation seed 1',
  ]


def test_a_value_that_a_cell_does_not_have_is_a_problem():
  cells = Cell('a', values={'elbo': 'ELBO', 'psnr': 'PSNR'}), Cell('b', values={'psnr': 'PSNR'})
  table = Table('t', 's', (), cells, {})
  records = {'a': make_record([1.0])}
  assert table_rows.problems(table, records, 'whole') == ["a: it has no value 'psnr'"]


def test_a_claim_on_missing_values_is_not_checked():
  claims = (Claim('a', lambda r: r['b', '']['elbo'] > 0), Claim('b', lambda r: r['a', '']['elbo']))
  table = Table('t', 's', (), (Cell('a'),), {'elbo': 'ELBO'}, claims)
  records = {'a': make_record([1.0])}
  assert table_rows.claims(table, records, 'short') == [('a', None), ('b', True)]
  assert table_rows.claims(table, records, 'smoke') == [('a', None), ('b', None)]


def test_values_with_one_protocol_share_its_line():
  table = Table('t', 's', (), (Cell('a'),), {'elbo': 'ELBO', 'nll': '-log p', 'kl': 'KL'})
  same = {'split': 'test', 'n': 5, 'content': {'image': 'f00', 'label': 'ba4'}}
  protocols = {'elbo': same, 'nll': same | {'n': 6}, 'kl': dict(same)}
  records = {'a': make_record([1.0]) | {'protocols': protocols}}
  assert table_text.protocols(records, table) == [
    'elbo, kl: split test, n 5, content image f00, label ba4',
    'nll: split test, n 6, content image f00, label ba4',
  ]


def test_values_of_a_single_cell_have_their_protocols_too():
  cells = Cell('a', values={'nll': '-log p'}), Cell('b', values={'kl': 'KL'}, hidden=True)
  protocols = {'nll': {'samples': 5}, 'kl': {'samples': 6}}
  records = {'a': make_record([1.0]) | {'protocols': protocols}}
  assert table_text.protocols(records, Table('t', 's', (), cells, {})) == ['nll: samples 5']


MEASURE = """
import functools

COUNT, OTHER = 1, {'a': (1, 2)}


def helper():
  return [again() for _ in OTHER]


def again():
  return helper, COUNT


def measure(number, folder, seeds, data_dir):
  return {'x': [len(y) for y in helper()]}


def other():
  return 3
"""


@pytest.mark.parametrize(
  ('old', 'new', 'differs'),
  [
    ('COUNT, OTHER = 1', 'COUNT, OTHER = 2', True),
    ('(1, 2)', '(1, 3)', True),
    ('again() for', '(again(), 1) for', True),
    ('return helper,', 'return 0,', True),
    ('return 3', 'return 4', False),
  ],
)
def test_the_key_of_a_measured_cell_has_what_its_function_uses(tmp_path, old, new, differs):
  def key(name, text):
    path = tmp_path / f'{name}.py'
    path.write_text(text)
    cell = Cell('m', measure=functools.partial(import_file(path).measure, 1))
    return plan_cell(cell, {}, tmp_path).key

  assert (key('a', MEASURE) != key('b', MEASURE.replace(old, new))) == differs
