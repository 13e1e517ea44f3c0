"""From a config's fields to sources: what is resident, in which order, with which key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.config.base import base
from vaejax.core.step import create_state
from vaejax.data import sources, splits
from vaejax.errors import UserError
from vaejax.types import Method, Variables


def data(**fields):
  found = base('vae', {}).data
  found.update({'name': 'digits', **fields})
  return found


def digits(**fields):
  found = data(**fields)
  return found, splits.table(found, 'train', None)


# The digits take 1500 x (64 + 4) bytes.
@pytest.mark.parametrize(
  'mode, budget, resident',
  [('auto', 1, True), ('auto', 0, False), ('resident', 0, True), ('stream', 1, False)],
)
def test_a_split_is_resident_within_the_budget(mode, budget, resident):
  found, rows = digits(mode=mode, budget_mb=budget)
  made = sources.train(found, rows, 8, 0)
  assert made.resident is resident and made.size == 1500
  message = 'resident (0.1 MiB)' if resident else 'streamed'
  assert sources.summary(rows, made.resident) == f'1,500 images of 8x8x1, {message}, 10 classes'


def test_the_budget_is_in_mib_of_raw_rows():
  # 1500 rows of 100 x 100 + 4 bytes are 14.31 MiB, and more than 15 million bytes.
  for budget, resident in ((15, True), (14, False)):
    found, rows = digits(size=100, budget_mb=budget)
    assert sources.train(found, rows, 8, 0).resident is resident
    assert sources.test(found, rows).resident is resident


def test_what_is_rendered_needs_no_budget():
  found = data(name='shapes', budget_mb=0, binarise='threshold')
  rows = splits.table(found, 'train', None)
  assert sources.train(found, rows, 8, 0).resident and sources.test(found, rows).resident
  streamed = data(name='shapes', mode='stream', binarise='threshold', size=8)
  rows = splits.table(streamed, 'train', None)
  made = sources.train(streamed, rows, 4, 0)
  buffer, _ = next(made.buffers(3, 5))
  (batch,) = draws(made, [3], None, buffer)
  resident = sources.train(data(name='shapes', binarise='threshold', size=8, seed=0), rows, 4, 9)
  (want,) = draws(resident, [3], jax.random.key(1))
  assert not made.resident and resident.resident
  assert all(np.array_equal(batch[k], want[k]) for k in ('image', 'label', 'factors'))


def draws(made, steps, key, buffer=None):
  buffer = next(made.buffers(0, 10))[0] if buffer is None else buffer
  draw = jax.jit(made.draw)
  return [draw(buffer, key, jnp.asarray(step, jnp.int32)) for step in steps]


def same(a, b) -> bool:
  return all(np.array_equal(x[k], y[k]) for x, y in zip(a, b, strict=True) for k in x)


def test_a_streamed_run_has_the_order_of_its_own_seed():
  """With no data.seed, it sees what the resident run of that seed draws by its state's key."""
  found, rows = digits(binarise='dynamic', mode='stream')
  state_key = sources.run_key(5)
  resident = sources.train(data(binarise='dynamic'), rows, 7, 5)
  want = draws(resident, range(3), state_key)
  other = jax.random.key(99)
  assert same(draws(sources.train(found, rows, 7, 5), range(3), other), want)
  assert not same(draws(sources.train(found, rows, 7, 6), range(3), other), want)
  assert not same(draws(resident, range(3), other), want)


def test_the_key_is_the_one_that_the_runs_state_holds():
  found, rows = digits()
  nothing = Method(lambda key, batch: Variables({}, {}), (), None, None, {})
  state = create_state(nothing, jax.random.key(5), {}, sources.example(found, rows))
  assert jax.random.key_data(state.key).tolist() == jax.random.key_data(sources.run_key(5)).tolist()


def test_a_data_seed_fixes_the_order_of_every_run():
  keys = sources.run_key(0), sources.run_key(1)
  for mode in ('resident', 'stream'):
    found, rows = digits(mode=mode, seed=5)
    a, b = (draws(sources.train(found, rows, 7, s), range(2), k) for s, k in enumerate(keys))
    assert same(a, b)
    free = data(mode='resident')
    assert same(a, draws(sources.train(free, rows, 7, 0), range(2), sources.run_key(5)))


def test_the_test_split_is_binarised_once_for_all_and_never_flipped():
  found = data(binarise='dynamic', augment={'flip': True, 'cutout': 4})
  rows = splits.table(found, 'test', None)
  assert sources.binarisation(found) == 'static'
  assert [sources.binarisation(data(binarise=b)) for b in ('none', 'threshold', 'static')] == [
    'none',
    'threshold',
    'static',
  ]
  index = jnp.arange(297)
  made = sources.test(found, rows)
  image = made.rows(next(iter(made.blocks(297))), index)['image']
  plain = sources.test(data(binarise='static', mode='stream'), rows)
  assert np.array_equal(image, plain.rows(next(iter(plain.blocks(297))), index)['image'])
  grey = rows.load()['image']
  assert (image[grey == 0] == 0).all() and (image[grey == 255] == 1).all()


def test_an_example_is_what_both_sources_give():
  for fields, low, high, levels in (
    ({'binarise': 'dynamic'}, 0, 1, 2),
    ({'scale': 'symmetric', 'size': 12, 'channels': 3}, -1, 1, 256),
  ):
    found, rows = digits(**fields)
    example = sources.example(found, rows)
    assert example == sources.train(found, rows, 4, 0).example == sources.test(found, rows).example
    assert (example.low, example.high, example.levels, example.classes) == (low, high, levels, 10)


def test_factors_are_described_with_the_number_of_their_values():
  from vaejax.data.table import of_arrays

  rows = of_arrays({'image': np.zeros((2, 4, 4, 1), np.uint8)}, None, 'x')
  rows = rows._replace(factors={'size': 4, 'angle': 40})
  line = sources.summary(rows, False)
  assert line == '2 images of 4x4x1, streamed, factors: size (4), angle (40)'


def test_one_row_is_described_as_one():
  from vaejax.data.elements import check_finite
  from vaejax.data.labels import Count
  from vaejax.data.table import of_arrays

  for n, start, end in ((1, '1 image of', '1 row'), (2, '2 images of', '2 rows')):
    rows = of_arrays({'image': np.zeros((n, 4, 4, 1), np.uint8)}, 1, 'x')
    line = sources.summary(rows, False, Count(n, 0))
    assert line.startswith(start) and line.endswith(f', 1 class; {end} without a label')
  with pytest.raises(UserError, match='and 1 more row after it has such values'):
    check_finite(np.full((2, 3), np.nan), 'x')
