"""From a config's fields to sources: what is chosen, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.config.base import base
from vaejax.core.step import create_state
from vaejax.data import load
from vaejax.errors import UserError
from vaejax.types import Method, Variables


def data(**fields):
  found = base('vae', {}).data
  found.update({'name': 'digits', **fields})
  return found


def digits(**fields):
  found = data(**fields)
  return found, load.table(found, 'train', None)


# The digits take 1500 x (64 + 4) bytes.
@pytest.mark.parametrize(
  'mode, budget, resident',
  [('auto', 1, True), ('auto', 0, False), ('resident', 0, True), ('stream', 1, False)],
)
def test_a_split_is_resident_within_the_budget(mode, budget, resident):
  found, rows = digits(mode=mode, budget_mb=budget)
  made = load.train(found, rows, 8, 0)
  assert made.resident is resident and made.size == 1500
  message = 'resident (0.1 MiB)' if resident else 'streamed'
  assert load.describe(rows, made.resident) == f'1,500 images of 8x8x1, {message}, 10 classes'


def test_the_budget_is_in_mib_of_raw_rows():
  # 1500 rows of 100 x 100 + 4 bytes are 14.31 MiB, and more than 15 million bytes.
  for budget, resident in ((15, True), (14, False)):
    found, rows = digits(size=100, budget_mb=budget)
    assert load.train(found, rows, 8, 0).resident is resident
    assert load.test(found, rows).resident is resident


def test_what_is_rendered_needs_no_budget():
  found = data(name='shapes', budget_mb=0, binarise='threshold')
  rows = load.table(found, 'train', None)
  assert load.train(found, rows, 8, 0).resident and load.test(found, rows).resident
  streamed = data(name='shapes', mode='stream', binarise='threshold', size=8)
  rows = load.table(streamed, 'train', None)
  made = load.train(streamed, rows, 4, 0)
  buffer, _ = next(made.buffers(3, 5))
  (batch,) = draws(made, [3], None, buffer)
  resident = load.train(data(name='shapes', binarise='threshold', size=8, seed=0), rows, 4, 9)
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
  state_key = load.run_key(5)
  resident = load.train(data(binarise='dynamic'), rows, 7, 5)
  want = draws(resident, range(3), state_key)
  other = jax.random.key(99)
  assert same(draws(load.train(found, rows, 7, 5), range(3), other), want)
  assert not same(draws(load.train(found, rows, 7, 6), range(3), other), want)
  assert not same(draws(resident, range(3), other), want)


def test_the_key_is_the_one_that_the_runs_state_holds():
  found, rows = digits()
  nothing = Method(lambda key, batch: Variables({}, {}), (), None, None, {})
  state = create_state(nothing, jax.random.key(5), {}, load.example(found, rows))
  assert jax.random.key_data(state.key).tolist() == jax.random.key_data(load.run_key(5)).tolist()


def test_a_data_seed_fixes_the_order_of_every_run():
  keys = load.run_key(0), load.run_key(1)
  for mode in ('resident', 'stream'):
    found, rows = digits(mode=mode, seed=5)
    a, b = (draws(load.train(found, rows, 7, s), range(2), k) for s, k in enumerate(keys))
    assert same(a, b)
    free = data(mode='resident')
    assert same(a, draws(load.train(free, rows, 7, 0), range(2), load.run_key(5)))


def test_the_test_split_is_binarised_once_for_all_and_never_flipped():
  found = data(binarise='dynamic', augment={'flip': True, 'cutout': 4})
  rows = load.table(found, 'test', None)
  assert load.binarisation(found) == 'static'
  assert [load.binarisation(data(binarise=b)) for b in ('none', 'threshold', 'static')] == [
    'none',
    'threshold',
    'static',
  ]
  index = jnp.arange(297)
  made = load.test(found, rows)
  image = made.rows(next(iter(made.blocks(297))), index)['image']
  plain = load.test(data(binarise='static', mode='stream'), rows)
  assert np.array_equal(image, plain.rows(next(iter(plain.blocks(297))), index)['image'])
  grey = rows.load()['image']
  assert (image[grey == 0] == 0).all() and (image[grey == 255] == 1).all()


def test_an_example_is_what_both_sources_give():
  for fields, low, high, levels in (
    ({'binarise': 'dynamic'}, 0, 1, 2),
    ({'scale': 'symmetric', 'size': 12, 'channels': 3}, -1, 1, 256),
  ):
    found, rows = digits(**fields)
    example = load.example(found, rows)
    assert example == load.train(found, rows, 4, 0).example == load.test(found, rows).example
    assert (example.low, example.high, example.levels, example.classes) == (low, high, levels, 10)


@pytest.mark.parametrize(
  'fields, message',
  [
    (
      {'binarise': 'dynamc'},
      "data.binarise='dynamc' is unknown (did you mean 'dynamic'?). Choose one of",
    ),
    ({'mode': 'disk'}, 'Choose one of auto, resident, stream'),
    ({'scale': 'tanh'}, 'Choose one of symmetric, unit'),
    ({'fit': 'stretch'}, 'Choose one of crop, pad, resize'),
    ({'high': 9.0}, 'data.high=9 needs 16-bit images or floats, but digits train has 8 bits'),
  ],
)
def test_a_wrong_name_is_answered_in_one_line(fields, message):
  with pytest.raises(UserError) as error:
    digits(**fields)
  assert message in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('name', ['digits', 'shapes'])
def test_embedded_sets_have_two_splits(name):
  with pytest.raises(UserError, match=f"{name} has no split 'valid'. Choose train or test"):
    load.table(data(name=name), 'valid', None)


def test_what_has_no_files_has_none_to_skip(tmp_path, tiny):
  from PIL import Image

  for i in range(2):
    (tmp_path / 'folder').mkdir(exist_ok=True)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / 'folder' / f'{i}.png')
  for name, notes in (('digits', 1), (str(tiny), 1), (str(tmp_path / 'folder'), 0)):
    tables = load.splits(data(name=name, skip_damaged=True), None)
    line = f'data.skip_damaged has no effect on {name}: it is for files of pictures and videos'
    assert [table.notes.count(line) for table in (tables.train, tables.test)] == [notes] * 2
    assert line not in load.splits(data(name=name), None).train.notes


def test_one_row_is_described_as_one():
  from vaejax.data.elements import check_finite
  from vaejax.data.labels import Count
  from vaejax.data.table import of_arrays

  for n, start, end in ((1, '1 image of', '1 row'), (2, '2 images of', '2 rows')):
    rows = of_arrays({'image': np.zeros((n, 4, 4, 1), np.uint8)}, 1, 'x')
    line = load.describe(rows, False, Count(n, 0))
    assert line.startswith(start) and line.endswith(f', 1 class; {end} without a label')
  with pytest.raises(UserError, match='and 1 more row after it has such values'):
    check_finite(np.full((2, 3), np.nan), 'x')
