"""Committed results, and the page that they are rendered into."""

import json

import pytest

from vaejax.config.load import PROJECT
from vaejax.config.table import Cell, Table, Use
from vaejax.config.tables import available_tables, load_table
from vaejax.errors import UserError
from vaejax.sweeps import committed

KEPT = [name for name in available_tables() if load_table(name, 'whole').committed]


def make_record(name, values, errors):
  members = [
    {'setting': '', 'seed': s, 'frozen': False, 'values': v, 'errors': e}
    for s, (v, e) in enumerate(zip(values, errors, strict=True))
  ]
  about = {'hardware': {'devices': 1, 'device': 'cpu', 'cores': 2}, 'versions': {'jax': '0.10'}}
  costs = {'wall_seconds': 6.0, 'processor_seconds': 9.0, 'starts': 1, 'code': '0.1', 'date': 'D'}
  return {'cell': name, 'members': members, 'protocols': {}, 'skipped': [], **about, **costs}


@pytest.mark.parametrize('name', KEPT)
def test_the_committed_table_is_what_the_committed_results_render_to(name):
  table = load_table(name, 'whole')
  page = (PROJECT / table.page).read_text(encoding='utf-8')
  assert committed.replace(page, name, committed.render(table, committed.read(table))) == page


@pytest.mark.parametrize('name', KEPT)
def test_committed_results_are_of_the_cells_as_they_are(name):
  table = load_table(name, 'whole')
  files = {path.stem for path in (PROJECT / table.committed).glob('*.json')}
  assert files <= {cell.name for cell in table.cells}
  for cell in table.cells:
    if cell.name in files:
      record = json.loads((PROJECT / table.committed / f'{cell.name}.json').read_text())
      now = cell.config, dict(cell.fields), list(cell.axes), list(cell.evals), cell.seeds
      then = (record[k] for k in ('config', 'fields', 'axes', 'evals'))
      seeds = {member['seed'] for member in record['members']}
      assert (*then, len(seeds)) == now


def test_rows_have_command_seeds_cost_values_and_choice():
  cells = (
    Cell('a', 'configs/vae.py:mnist', {'hyper.beta': '2'}, seeds=2, values={'elbo': 'nats'}),
    Cell('b', 'configs/judge.py', chosen='first try', values={'accuracy': '% accuracy'}),
    Cell('c', 'configs/prior.py:{b}', hidden=True),
  )
  table = Table('t', 's', ('A note.',), cells, {'elbo': 'ELBO'})
  records = {
    'a': make_record('a', [{'elbo': -90.0}, {'elbo': -92.0}], [{'elbo': 1.0}] * 2),
    'b': make_record('b', [{'accuracy': 0.97}], [{'accuracy': 0.002}]),
    'c': make_record('c', [{'elbo': 1.0}], [{}]),
  }
  lines = committed.render(table, records).splitlines()
  assert lines[2:4] == [
    '| `python launch.py sweep --config=configs/vae.py:mnist --config.hyper.beta=2 --grid seed=0:2`'
    ' | 2 | 9.0 s | -91 ± 1 nats |  |',
    '| `python launch.py train --config=configs/judge.py` | 1 | 9.0 s '
    '| 97 ± 0.2 % accuracy | first try |',
  ]
  assert '- A note.' in lines and not any('prior.py' in line for line in lines)
  assert committed.commands(cells[2]._replace(evals=('elbo', 'nll')), table) == [
    'python launch.py train --config=configs/judge.py --workdir=runs/b',
    'python launch.py train --config=configs/prior.py:runs/b --workdir=runs/c',
    'python launch.py evaluate --workdir=runs/c --evals=elbo,nll',
  ]
  assert committed.render(table, {}).splitlines()[2:3] == ['']


def test_pictures_of_tasks_are_copied_and_shown(monkeypatch, tmp_path):
  monkeypatch.setattr(committed, 'PROJECT', tmp_path)
  uses = {'half': Use('inpaint --mask=half', 'Completed digits.'), 'plain': Use('inpaint')}
  cell = Cell('a', 'configs/vae.py', tasks=uses)
  table = Table('t', 's', (), (cell,), {'elbo': 'nats'}, committed='kept', pictures='art/t')
  table = table._replace(page='pages/page.md')
  (tmp_path / 'pages').mkdir()
  (tmp_path / 'pages' / 'page.md').write_text(f'<!-- reproduce --table=t -->\n{committed.END}')
  made = tmp_path / 'made'
  made.mkdir()
  for name in ('half.png', 'half.npy', 'plain.png', 'plain.gif'):
    (made / name).write_bytes(b'x')
  committed.write('t', table, make_record('a', [{'elbo': 1.0}], [{}]), made)
  assert [path.name for path in (tmp_path / 'art' / 't').iterdir()] == ['half.png']
  page = (tmp_path / 'pages' / 'page.md').read_text()
  assert '![half](../art/t/half.png)' in page and 'plain.png' not in page
  assert 'Completed digits. `python launch.py inpaint --workdir=runs/a --mask=half`' in page
  # Of two kinds the one that the use names is shown, and what was committed before goes.
  (made / 'half.gif').write_bytes(b'y')
  uses['half'] = uses['half']._replace(ending='.gif')
  committed.write('t', table, make_record('a', [{'elbo': 1.0}], [{}]), made)
  assert [path.name for path in (tmp_path / 'art' / 't').iterdir()] == ['half.gif']
  assert '![half](../art/t/half.gif)' in (tmp_path / 'pages' / 'page.md').read_text()


def test_a_record_names_other_cells_and_no_folder_of_the_machine(monkeypatch, tmp_path):
  monkeypatch.setattr(committed, 'PROJECT', tmp_path)
  cell = Cell('a', 'configs/prior.py:{b}', {'eval.anomaly.background': '{b}'})
  table = Table('t', 's', (), (cell,), {}, committed='kept')
  fields = {'eval.anomaly.background': '/elsewhere/b'}
  about = {'config': 'configs/prior.py:/elsewhere/b', 'fields': fields}
  committed.write('t', table, make_record('a', [{}], [{}]) | about | {'about': 'the code'})
  text = (tmp_path / 'kept' / 'a.json').read_text()
  assert 'elsewhere' not in text and 'the code' not in text and '"configs/prior.py:{b}"' in text


def test_settings_of_a_cell_share_its_row():
  table = Table('t', 's', (), (Cell('a', 'c.py', {}, ('beta=1,4',)),), {'elbo': 'nats'})
  record = make_record('a', [{'elbo': -90.0}, {'elbo': -92.0}], [{'elbo': 1.0}] * 2)
  for member, beta in zip(record['members'], (1, 4), strict=True):
    member.update(setting=f'beta={beta}', seed=0)
  (line,) = committed.render(table, {'a': record}).splitlines()[2:3]
  assert '| beta=1: -90 ± 1 nats; beta=4: -92 ± 1 nats |' in line


def test_a_page_keeps_all_but_the_table():
  page = f'A\n<!-- reproduce --table=x -->\nold\n{committed.END}\nB'
  new = committed.replace(page, 'x', '| a |\n')
  assert new == f'A\n<!-- reproduce --table=x -->\n\n| a |\n\n{committed.END}\nB'
  assert committed.replace(new, 'x', '| a |\n') == new
  with pytest.raises(UserError, match='has no lines'):
    committed.replace(page, 'y', '')
