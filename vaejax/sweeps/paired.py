"""Paired comparisons of the settings of a sweep: differences between members of the same seed."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from vaejax.estimates import Estimate
from vaejax.metrics import seeds
from vaejax.reporting.page import format_number, is_number

MAX_PAIRED = 8  # all pairs of so many settings are compared; if there are more, each with the first

HEAD = 'setting', 'reference', 'value', 'seeds', 'difference', 'error', 'low', 'high', 'sign_test'
COLUMNS = 'difference', '95 % interval', 'sign test p'


class Comparison(NamedTuple):
  """A value of a setting minus that of a reference, over the seeds that both have.

  Attributes:
    difference: the mean over seeds, with its standard error and Student's interval.
    sign_test: p-value, see metrics.seeds.
  """

  setting: str
  reference: str
  value: str
  seeds: int
  difference: Estimate
  sign_test: float


def compare(
  settings: Sequence[Any], values: Sequence[dict], results: dict, names: Sequence[str]
) -> list[Comparison]:
  """The comparisons of pairs of settings with two common seeds or more; frozen members have none.

  Args:
    settings: see summary.Setting.
    values: the swept fields of each member.
    results: see summary.read_results.
    names: of the values.
  """
  of_setting = [by_seed(setting, values, results) for setting in settings]
  pairs = list(itertools.combinations(range(len(settings)), 2))
  pairs = pairs if len(settings) <= MAX_PAIRED else [(0, i) for i in range(1, len(settings))]
  comparisons = []
  for (first, second), name in itertools.product(pairs, names):
    one, other = of_setting[first], of_setting[second]
    differences = [
      other[seed][name] - one[seed][name]
      for seed in one
      if seed in other and all(is_number(row.get(name)) for row in (one[seed], other[seed]))
    ]
    if len(differences) > 1:
      labels = settings[second].label, settings[first].label
      of_pair = len(differences), seeds.mean(differences), seeds.sign_test(differences)
      comparisons.append(Comparison(*labels, name, *of_pair))
  return comparisons


def by_seed(setting: Any, values: Sequence[dict], results: dict) -> dict[str, dict]:
  """{seed: values} of the members of a setting that are not frozen; {} without an axis of seeds."""
  members = [n for n in setting.members if n in results and not results[n]['frozen']]
  return {values[n]['seed']: results[n]['values'] for n in members if 'seed' in values[n]}


def as_csv(comparison: Comparison) -> list:
  """The row of paired.csv, see HEAD."""
  c, (value, error, interval, *_) = comparison, comparison.difference
  return [c.setting, c.reference, c.value, c.seeds, value, error, *interval, c.sign_test]


def in_words(comparison: Comparison) -> list[str]:
  """The row of a table in a report."""
  c, (value, error, (low, high), *_) = comparison, comparison.difference
  interval = f'{format_number(low)} to {format_number(high)}'
  difference = f'{format_number(value)} ± {format_number(error)}'
  return [c.setting, c.value, str(c.seeds), difference, interval, f'{c.sign_test:.2g}']
