"""Tables: the cells of all are configs; the claims of `pacgan` and `m2` compare means."""

import pytest

from vaejax.config.load import PROJECT, import_file, load_config
from vaejax.config.table import MODES


def table(name, mode):
  return import_file(PROJECT / f'configs/tables/{name}.py').get_table(mode)


TABLES = sorted(path.stem for path in (PROJECT / 'configs' / 'tables').glob('*.py'))


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('name', TABLES)
def test_every_cell_is_a_config_with_its_published_values(name, mode):
  found = table(name, mode)
  assert len({cell.name for cell in found.cells}) == len(found.cells)
  for cell in found.cells:
    if not cell.config or '{' in cell.config:  # measured or derived, or of an earlier cell's run
      continue
    config = load_config(cell.config, cell.fields.items())
    settings = {axis.rpartition('.')[2].partition('=')[0] for axis in cell.axes}
    for setting, values in cell.published.items():
      assert {part.partition('=')[0] for part in setting.split(', ') if part} == settings
      assert set(values) <= set(found.values)
    packing = config.get('objective', {}).get('packing', 1)
    assert config.batch_size % packing == 0


@pytest.mark.parametrize('mode', ['short', 'smoke'])
def test_the_differences_of_a_small_table_are_those_of_its_mode(mode):
  found = table('disentangle', mode)
  config = load_config(found.cells[0].config, found.cells[0].fields.items())
  size, widths = config.data.size, ','.join(map(str, config.model.widths))
  assert found.differences[-1].startswith(f'images are of the dataset shapes at {size}x{size}; ')
  assert f'dense nets of {widths}; {config.steps} steps at ' in found.differences[-1]
  assert float(found.differences[-1].split()[-1]) == config.hyper.lr
  found = table('pacgan', mode)
  config = load_config(found.cells[0].config, found.cells[0].fields.items())
  assert f'; {config.steps:,} steps rather than 400,000' in found.differences[-1]


def test_packing_must_cover_more_than_single_images():
  (more,) = table('pacgan', 'short').claims
  results = {(f'grid-{m}', ''): {'modes_covered': [10.0 + m, 11.0 + m]} for m in (1, 2, 3, 4)}
  assert more.holds(results)
  results['grid-3', '']['modes_covered'] = [11.0, 12.0]
  assert not more.holds(results)


def test_more_labels_must_be_more_accurate():
  more, above = table('m2', 'short').claims
  accuracy = {'labels=100': 0.89, 'labels=1000': 0.95}
  results = {(c, s): {'accuracy': [a]} for c in ('paper', 'ours') for s, a in accuracy.items()}
  assert more.holds(results) and above.holds(results)
  results['ours', 'labels=100'] = {'accuracy': [0.87]}
  results['paper', 'labels=1000'] = {'accuracy': [0.80]}
  assert not more.holds(results) and not above.holds(results)
