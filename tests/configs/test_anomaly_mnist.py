"""The table of left-out digits: a digit's score is chosen by the other half of the digits."""

from statistics import fmean

import numpy as np
import pytest

from vaejax.config.load import PROJECT, import_file, load_config
from vaejax.config.table import MODES
from vaejax.config.tables import load_table
from vaejax.data import splits
from vaejax.sweeps import derived, plan

TABLE = import_file(PROJECT / 'configs/tables/anomaly_mnist.py')


def pairs_of(**of_cells):
  """{cell: {setting: {value: [(value, error)]}}} from {cell: {score: AUROC of each digit}}."""
  return {
    name.replace('_', '-'): {
      f'left_out={digit}': {
        f'{kind}_{score}': [(of_digit[digit], 0.1)]
        for score, of_digit in of_scores.items()
        for kind in TABLE.STATISTICS
      }
      for digit in range(len(of_scores['kl']))
    }
    for name, of_scores in of_cells.items()
  }


def scores(count, **of):
  return dict.fromkeys(TABLE.SCORES, (0.1,) * count) | of


PAIRS = pairs_of(
  low_2=scores(5, kl=(0.9, 0.9, 0.2, 0.9, 0.9), recon=(0.7,) * 5),
  high_2=scores(5, kl=(0.9, 0.2, 0.2, 0.2, 0.2), recon=(0.6,) * 5),
  low_32=scores(5, ratio=(0.9,) * 5),
  high_32=scores(5, ratio=(0.9,) * 5),
  mnist_2=scores(10, recon=np.arange(10) / 10, kl=np.arange(10) / 20),
  mnist_32=scores(10, ratio=(0.95,) * 10),
)


@pytest.mark.parametrize('mode', MODES)
def test_models_use_the_data_and_the_background_of_their_own(project, tmp_path, mode):
  table, plans = load_table('anomaly_mnist', mode), {}
  for number, cell in enumerate(table.cells):
    uses = plan.uses(cell, table.cells[:number])
    plans[cell.name] = plan.plan_cell(cell, {name: plans[name] for name in uses}, tmp_path)
    data, _, of = cell.name.partition('-')
    if data in TABLE.DATA:
      first = ['halves'] if data in TABLE.HALVES else []
      assert uses == first + ([f'{data}-background'] if of != 'background' else [])
      config = plans[cell.name].about['config']
      assert config['data']['augment']['mutate'] == (0.2 if of == 'background' else 0)
  if mode == 'smoke':
    return
  for data, count in (('low', 5), ('high', 5), ('mnist', 10)):
    for of in (2, 32, 'background'):
      members = plans[f'{data}-{of}'].members
      assert members == tuple((f'left_out={digit}', 0) for digit in range(count))
  # What is chosen for MNIST is chosen with the same nets.
  for latents in TABLE.PUBLISHED:
    one, *others = (plans[f'{data}-{latents}'].about['config'] for data in TABLE.DATA)
    assert all(other['model'] == one['model'] for other in others)


def test_the_halves_are_training_images_of_five_digits(project, tmp_path):
  TABLE.write_halves('smoke', tmp_path, 1, None)
  config = load_config('configs/anomaly.py:digits,smoke')
  rows = splits.table(config.data, 'train', None).load()
  for name, digits in TABLE.HALVES.items():
    with np.load(tmp_path / f'{name}.npz', allow_pickle=False) as file:
      x, y = (np.concatenate([file[f'{f}_test'], file[f'{f}_train']]) for f in 'xy')
      assert len(file['x_test']) == -(-len(x) // 6)
    pairs = sorted((image.tobytes(), label + digits[0]) for image, label in zip(x, y, strict=True))
    kept = np.isin(rows['label'], digits)
    want = zip(rows['image'][kept], rows['label'][kept], strict=True)
    assert pairs == sorted((image.tobytes(), label) for image, label in want)


def test_the_score_of_a_digit_is_the_best_of_the_other_half():
  values, protocols = TABLE.by_digit(PAIRS)
  of = lambda latents, digit: values[f'latents={latents}, left_out={digit}']['auroc_chosen'][0]
  # By digits 5 to 9 it is recon, by digits 0 to 4 it is kl.
  assert [of(2, digit)[0] for digit in range(10)] == [
    *(np.arange(5) / 10),
    *(np.arange(5, 10) / 20),
  ]
  assert of(32, 3) == (0.95, 0.1)
  text = protocols['auroc_chosen']['score']
  assert text == (
    'reconstruction with 2 latents: 0 1 2 3 4; KL with 2 latents: 5 6 7 8 9; '
    'likelihood ratio with 32 latents: 0 1 2 3 4 5 6 7 8 9'
  )


def test_what_is_known_of_the_own_half_does_not_matter():
  for digit in range(10):
    own = 'low' if digit < 5 else 'high'
    other = {name: of for name, of in PAIRS.items() if not name.startswith((own, 'mnist'))}
    assert TABLE.chosen(other, 2, digit) == ('recon' if digit < 5 else 'kl')


def test_a_frozen_model_does_not_choose():
  low = PAIRS['low-2'] | {f'left_out={digit}': {} for digit in (0, 1, 3)}
  assert TABLE.chosen({**PAIRS, 'low-2': low}, 2, 7) == 'recon'


def test_means_are_over_digits_and_claims_are_of_them():
  values, _ = TABLE.means('mnist', PAIRS)
  ((chosen, error),) = values['latents=2']['auroc_chosen']
  assert chosen == pytest.approx((0 + 1 + 2 + 3 + 4) / 100 + (5 + 6 + 7 + 8 + 9) / 200)
  assert error == pytest.approx(0.1 / np.sqrt(10)) and values['latents=2']['auroc_kl'][0][
    0
  ] == pytest.approx(0.225)
  assert 'auroc_chosen' not in TABLE.means('low', PAIRS)[0]['latents=2']
  assert [fmean(x) for x in TABLE.PUBLISHED.values()] == pytest.approx([0.855, 0.718])
  two, many = load_table('anomaly_mnist', 'short').claims
  results = {
    ('mean', setting): {name: [x for x, _ in of] for name, of in named.items()}
    for setting, named in values.items()
  }
  assert not two.holds(results) and many.holds(results)


def test_without_a_value_of_a_digit_there_is_no_mean():
  """A frozen model has no values, and a score that is not finite for some image has no AUROC."""
  mnist = PAIRS['mnist-2'] | {'left_out=4': {}}
  values, _ = TABLE.means('mnist', {**PAIRS, 'mnist-2': mnist})
  assert not values['latents=2'] and values['latents=32']['auroc_chosen'][0][0] == 0.95
  without = {k: x for k, x in PAIRS['high-32']['left_out=1'].items() if k != 'auroc_ratio'}
  high = PAIRS['high-32'] | {'left_out=1': without}
  assert TABLE.chosen({**PAIRS, 'high-32': high}, 32, 3) != 'ratio'


def test_a_half_without_values_chooses_no_score():
  low = {setting: {} for setting in PAIRS['low-2']}
  values, protocols = TABLE.by_digit({**PAIRS, 'low-2': low})
  assert values['latents=2, left_out=7'] == {f'{kind}_chosen': [] for kind in TABLE.STATISTICS}
  assert 'none with 2 latents: 5 6 7 8 9' in protocols['auroc_chosen']['score']
  assert 'auroc_chosen' not in TABLE.means('mnist', {**PAIRS, 'low-2': low})[0]['latents=2']


def test_means_are_over_the_seeds_that_all_digits_have():
  """Of a record whose digit 4 is frozen with seed 0, and whose digit 6 has no KL with seed 2."""

  def member(digit, seed):
    value = lambda kind, score: None if (digit, seed, score) == (6, 2, 'kl') else seed + digit / 10
    named = {f'{k}_{s}': value(k, s) for k in TABLE.STATISTICS for s in TABLE.SCORES}
    named = {} if (digit, seed) == (4, 0) else named
    return {
      'setting': f'left_out={digit}',
      'seed': seed,
      'values': named,
      'errors': dict.fromkeys(named, 0.1),
    }

  members = [member(digit, seed) for digit in range(10) for seed in range(3)]
  values, _ = TABLE.means('mnist', {**PAIRS, 'mnist-2': derived.pairs({'members': members})})
  of = lambda name: [value for value, _ in values['latents=2'][name]]
  assert of('auroc_recon') == pytest.approx([np.nan, 1.45, 2.45], nan_ok=True)
  assert of('auroc_kl') == pytest.approx([np.nan, 1.45, np.nan], nan_ok=True)


def test_a_seed_that_is_not_finite_does_not_choose():
  low = {setting: dict(of) for setting, of in PAIRS['low-2'].items()}
  low['left_out=0']['auroc_recon'] = [(np.nan, None), (0.7, 0.1)]
  assert TABLE.chosen({**PAIRS, 'low-2': low}, 2, 7) == 'kl'


def test_the_number_of_seeds_can_be_chosen(project, tmp_path):
  table, plans = load_table('anomaly_mnist', 'smoke'), {}
  for number, cell in enumerate(table.cells):
    cell = cell if cell.fixed_seeds else cell._replace(seeds=2)
    uses = plan.uses(cell, table.cells[:number])
    plans[cell.name] = plan.plan_cell(cell, {name: plans[name] for name in uses}, tmp_path)
  assert {seed for _, seed in plans['low-2'].members} == {0, 1}
