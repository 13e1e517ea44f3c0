"""The table of left-out digits: its score is chosen without the digit that it is applied to."""

from statistics import fmean

import pytest

from vaejax.config.load import PROJECT, import_file
from vaejax.config.table import MODES
from vaejax.config.tables import load_table
from vaejax.sweeps import cells

TABLE = import_file(PROJECT / 'configs/tables/anomaly_mnist.py')
DIGITS = range(3)


def pairs_of(**of_cells):
  """{cell: {setting: {value: [(value, error)]}}} from {cell: {score: AUROC of each digit}}."""
  return {
    name.replace('_', '-'): {
      f'left_out={digit}': {
        f'{kind}_{score}': [(of_digit[digit], 0.1)]
        for score, of_digit in of_scores.items()
        for kind in TABLE.STATISTICS
      }
      for digit in DIGITS
    }
    for name, of_scores in of_cells.items()
  }


def scores(**of):
  return dict.fromkeys(TABLE.SCORES, (0.1, 0.1, 0.1)) | of


PAIRS = pairs_of(
  # Without digit 0 the best is kl, without the others recon.
  digits_2=scores(recon=(0.9, 0.5, 0.5), kl=(0.0, 0.7, 0.6)),
  digits_32=scores(ratio=(0.9, 0.9, 0.9)),
  mnist_2=scores(recon=(0.3, 0.4, 0.5), kl=(0.6, 0.7, 0.8)),
  mnist_32=scores(ratio=(0.91, 0.92, 0.96)),
)


@pytest.mark.parametrize('mode', MODES)
def test_models_use_the_background_of_their_data(project, tmp_path, mode):
  table, plans = load_table('anomaly_mnist', mode), {}
  for number, cell in enumerate(table.cells):
    uses = cells.uses(cell, table.cells[:number])
    plans[cell.name] = cells.plan_cell(cell, {name: plans[name] for name in uses}, tmp_path)
    data, _, of = cell.name.partition('-')
    if data in TABLE.DATA and of != 'background':
      assert uses == [f'{data}-background']
  classes = [m for m, _ in plans['mnist-2'].members]
  assert (
    classes
    == [m for m, _ in plans['mnist-background'].members]
    == [f'left_out={digit}' for digit in range(TABLE.SIZES[mode][0])]
  )
  # A choice on other data is one for MNIST only if nets and latents are the same.
  if mode != 'smoke':
    for latents in TABLE.PUBLISHED:
      one, other = (plans[f'{d}-{latents}'].about['config'] for d in TABLE.DATA)
      assert one['model'] == other['model']
      assert one['data']['binarise'] == other['data']['binarise'] == 'dynamic'


def test_the_score_of_a_digit_is_the_best_of_the_other_digits():
  values, protocols = TABLE.by_digit(DIGITS, PAIRS)
  of = lambda latents, digit: values[f'latents={latents}, left_out={digit}']['auroc_chosen'][0]
  assert [of(2, digit) for digit in DIGITS] == [(0.6, 0.1), (0.4, 0.1), (0.5, 0.1)]
  assert [of(32, digit)[0] for digit in DIGITS] == [0.91, 0.92, 0.96]
  text = protocols['auroc_chosen']['score']
  assert 'KL with 2 latents: digits 0;' in text and 'ratio with 32 latents: digits 0, 1, 2' in text


def test_what_is_known_of_the_digit_does_not_matter():
  choice = lambda digit, pairs: TABLE.chosen(pairs, 2, digit, DIGITS)
  for digit in DIGITS:
    for score in TABLE.SCORES:
      other = {name: dict(of) for name, of in PAIRS.items()}
      other['digits-2'][f'left_out={digit}'] = {f'auroc_{score}': [(1.0, None)]}
      del other['mnist-2'], other['mnist-32']
      assert choice(digit, other) == choice(digit, PAIRS)


def test_a_frozen_model_does_not_choose():
  other = {name: dict(of) for name, of in PAIRS.items()}
  other['digits-2']['left_out=1'] = {}
  assert TABLE.chosen(other, 2, 0, DIGITS) == 'kl' and TABLE.chosen(other, 2, 2, DIGITS) == 'recon'


def test_means_are_over_digits_and_claims_are_of_them():
  values, _ = TABLE.means('mnist', DIGITS, PAIRS)
  (chosen, error) = values['latents=2']['auroc_chosen'][0]
  assert chosen == pytest.approx(0.5) and error is None
  assert values['latents=2']['auroc_kl'][0][0] == pytest.approx(0.7)
  assert 'auroc_chosen' not in TABLE.means('digits', DIGITS, PAIRS)[0]['latents=2']
  assert [fmean(x) for x in TABLE.PUBLISHED.values()] == pytest.approx([0.855, 0.718])
  two, many = load_table('anomaly_mnist', 'short').claims
  results = {
    ('mean-mnist', setting): {name: [x for x, _ in of] for name, of in named.items()}
    for setting, named in values.items()
  }
  assert not two.holds(results) and many.holds(results)
