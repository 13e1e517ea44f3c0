"""Parts of a table: rows held out of train, the same for all and of every class; a labelled few."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.config.base import base
from vaejax.data import source, sources, splits
from vaejax.data.subset import balanced, hold_out
from vaejax.data.table import Table, of_arrays, rendered
from vaejax.errors import UserError

KEY = sources.run_key(3)


def data(**fields):
  found = base('', {}).data
  found.update({'name': 'digits', **fields})
  return found


def toy(labels, classes=3):
  """Rows that show their own number."""
  labels = np.asarray(labels, np.int32)
  image = np.arange(len(labels), dtype=np.int32).reshape(-1, 1, 1, 1)
  return of_arrays({'image': image, 'label': labels}, classes, 'toy train')


def procedural(size=4000):
  """The same of a set that is rendered, in four classes."""
  render = lambda i: {'image': jnp.asarray(i).reshape(-1, 1, 1, 1), 'label': jnp.asarray(i) % 4}
  return rendered(size, render, 4, 'toy train')


def numbers(rows: Table) -> list[int]:
  return np.ravel(rows.load()['image']).tolist()


@pytest.mark.parametrize('validation', [300, 0.2, 307])
@pytest.mark.parametrize(
  'rows', [toy(np.arange(1500) % 3), toy(np.zeros(1500), None), procedural(1500)]
)
def test_nothing_is_in_both_and_nothing_is_lost(rows, validation):
  rest, held = hold_out(rows, validation)
  assert abs(held.size - (validation if validation > 1 else 300)) <= 2
  assert sorted(numbers(rest) + numbers(held)) == list(range(1500))
  # In the set's own order, whichever way they are read.
  for part in (rest, held):
    assert numbers(part) == sorted(numbers(part)) and part.size == len(numbers(part))
    index = np.asarray([part.size - 1, 0, 7])
    for given in (part.fetch(index), part.render(index) if part.render else part.fetch(index)):
      want = {name: values[index] for name, values in part.load().items()}
      assert all(np.array_equal(given[name], want[name]) for name in want)
  assert (rest.render is None) == (held.render is None) == (rows.render is None)
  assert rest.origin != held.origin != rows.origin != rest.origin


def test_of_every_class_as_many_though_they_are_not_alike_common():
  labels = np.repeat([0, 1, 2], [1000, 300, 90])
  rest, held = hold_out(toy(labels), 91)
  assert np.bincount(held.load()['label']).tolist() == [30, 30, 30]
  assert np.bincount(rest.load()['label']).tolist() == [970, 270, 60]
  assert held.origin == 'toy train, 90 rows, 30 of each class'
  few = toy(labels, None)
  assert np.bincount(hold_out(few, 139)[1].load()['label'])[0] > 60  # as they come


def test_they_are_the_same_for_every_seed_and_nested():
  rows = toy(np.arange(900) % 3)
  some, more = (set(numbers(hold_out(rows, n)[1])) for n in (90, 300))
  assert some < more and some == set(numbers(hold_out(rows, 0.1)[1]))
  assert sorted(some)[:6] == [9, 34, 42, 52, 53, 70]  # on any machine


def test_a_class_that_does_not_occur_is_none():
  held = hold_out(toy(np.arange(600) % 3 + 1, classes=5), 60)[1]
  assert np.bincount(held.load()['label']).tolist() == [0, 20, 20, 20]


def test_rows_of_no_known_class_are_a_group_of_their_own():
  labels = np.where(np.arange(3000) % 10 < 8, -1, np.arange(3000) % 3)
  rest, held = hold_out(toy(labels), 300)
  count = lambda part: np.bincount(part.load()['label'] + 1, minlength=4)
  unknown, *known = count(held)
  assert 200 < unknown < 280 and len(set(known)) == 1
  assert abs(held.size - 300) <= 2
  assert (count(rest) + count(held)).tolist() == np.bincount(labels + 1).tolist()
  none_known = hold_out(toy(np.full(100, -1)), 10)[1]
  assert none_known.size == 10


@pytest.mark.parametrize(
  'labels, validation, message',
  [
    (np.arange(90) % 3, 90, 'data.validation=90 holds out 90 rows of toy train, which has 90. '),
    (np.arange(90) % 3, 1.5, 'data.validation=1.5 holds out 1.5 rows'),
    (np.arange(90) % 3, 0.001, 'data.validation=0.001 holds out 0 rows of toy train, which has 90'),
    (np.arange(90) % 3, 2, 'less than one row for each of the 3 classes of toy train'),
    (
      np.repeat([0, 1, 2], [50, 50, 20]),
      60,
      'data.validation=60 holds out 20 rows of each class, but toy train has 20 of class 2, of '
      'which one must remain: 57 rows would fit',
    ),
    (np.repeat([0, 1, 2], [50, 50, 1]), 3, 'of which one must remain: add rows of it, or set data'),
  ],
)
def test_what_does_not_fit_is_one_line_that_says_what_would(labels, validation, message):
  with pytest.raises(UserError) as error:
    hold_out(toy(labels), validation)
  assert message in str(error.value) and '\n' not in str(error.value)
  if 'one must remain: 5' in message:
    assert hold_out(toy(labels), 57)[1].size == 57


def test_labels_are_read_no_further_than_they_are_needed():
  seen = []
  rows = toy(np.arange(20_000) % 3)
  counted = rows._replace(fetch=lambda index: seen.extend(index) or rows.fetch(index))
  hold_out(counted, 1500)
  assert len(seen) <= 3000


@pytest.mark.parametrize('resident', [True, False])
@pytest.mark.parametrize('rows', [toy(np.arange(600) % 3), procedural(600)])
def test_an_epoch_is_all_that_is_left(rows, resident):
  rest, held = hold_out(rows, 60)
  made = source.make(rest, rest.size, resident=resident, key=None if resident else KEY)
  buffer, _ = next(made.buffers(0, 1))
  batch = jax.jit(made.draw)(buffer, KEY, jnp.asarray(0, jnp.int32))
  seen = np.round(np.ravel(batch['image']) * 255).astype(int).tolist()
  assert sorted(seen) == numbers(rest)
  test = source.make(held, 1, resident=resident, key=None if resident else KEY)
  batch = test.rows(next(iter(test.blocks(60))), jnp.arange(60))
  assert np.round(np.ravel(batch['image']) * 255).astype(int).tolist() == numbers(held)


@pytest.mark.parametrize('mode', ['resident', 'stream'])
@pytest.mark.parametrize('name', ['digits', 'shapes', 'moving'])
def test_a_config_holds_rows_out(name, mode):
  size = {'shapes': 8, 'moving': 16}.get(name, 0)
  whole = splits.tables(data(name=name, size=size, mode=mode), None)
  found = splits.tables(data(name=name, size=size, mode=mode, validation=60), None)
  assert whole.validation is None and found.test.origin == whole.test.origin
  assert found.train.size + found.validation.size == whole.train.size
  assert found.validation.size == 60
  assert np.ptp(np.bincount(found.validation.load()['label'])) == 0
  for split in ('train', 'validation'):
    one = splits.table(data(name=name, size=size, validation=60), split, None)
    assert one.origin == getattr(found, split).origin != whole.train.origin
    assert one.size == getattr(found, split).size


def test_a_stack_is_of_rows_that_are_held_out_together():
  found = splits.tables(data(name='stacked_digits', validation=150), None)
  parts = [set(), set()]
  for part, rows in zip(parts, (found.train, found.validation), strict=True):
    images = rows.load()['image']
    part |= {np.ascontiguousarray(x[..., c]).tobytes() for x in images for c in range(3)}
  assert len(parts[1]) == 150 and not parts[0] & parts[1]


def test_the_labelled_are_of_what_is_left():
  asked = data(validation=300, labels=100, labelled_batch=20)
  found = splits.tables(asked, None)
  few = balanced(found.train, 100, KEY)
  held = {image.tobytes() for image in found.validation.load()['image']}
  assert few.size == 100 and not held & {image.tobytes() for image in few.load()['image']}


def test_a_negative_label_is_never_among_the_labelled():
  labels = np.where(np.arange(3000) % 10 < 8, -1, np.arange(3000) % 3)
  few = balanced(toy(labels), 90, KEY).load()['label']
  assert np.bincount(few).tolist() == [30, 30, 30]
  with pytest.raises(UserError, match='toy train has 0 of class 2'):
    balanced(toy([0, 1, -1, -1]), 3, KEY)


def test_all_rows_with_a_label_and_no_other_can_be_the_labelled():
  labels = np.full(300, -1)
  labels[::10] = np.arange(30) % 3
  assert sorted(numbers(balanced(toy(labels), 30, KEY))) == list(range(0, 300, 10))
  named = toy(labels)._replace(class_names=('cat', 'dog', 'owl'))
  with pytest.raises(UserError, match=r"33 of each .* 10 of class 'cat'\. Give at most 30"):
    balanced(named, 99, KEY)


def test_parts_have_the_names_and_labels_of_their_rows():
  rows = toy(np.arange(9) % 3)._replace(names=lambda: [f'{i}.png' for i in range(9)])
  rest, held = hold_out(rows, 3)
  for part in (rest, held):
    assert part.names() == [f'{i}.png' for i in numbers(part)]
    assert part.labels().tolist() == [i % 3 for i in numbers(part)]


def test_the_few_are_even_nested_and_of_the_seed():
  rows = splits.table(data(), 'train', None)
  key = jax.random.key(0)
  few, more, other = (
    balanced(rows, n, k) for n, k in ((40, key), (200, key), (40, jax.random.key(1)))
  )
  assert few.size == 40 and np.bincount(few.load()['label']).tolist() == [4] * 10
  images = lambda table: {x.tobytes() for x in table.load()['image']}
  assert len(images(few)) == 40 and images(few) < images(more) and images(other) != images(few)
  assert images(few) < {x.tobytes() for x in rows.load()['image']}
  every = few.load()
  assert all(np.array_equal(few.fetch(np.array([3, 1]))[k], every[k][[3, 1]]) for k in every)


@pytest.mark.parametrize(
  'labels, message',
  [
    (45, 'cannot be divided evenly among 10 classes. Give a multiple of 10'),
    (5, 'a multiple of 10'),
    (5000, 'data.labels=5000 needs 500 of each class, but digits train has 1'),
  ],
)
def test_labels_that_are_not_there_are_refused(labels, message):
  rows = splits.table(data(), 'train', None)
  with pytest.raises(UserError, match=message):
    balanced(rows, labels, KEY)


def test_a_set_without_classes_is_refused():
  nothing = Table(3, {}, None, None, None, origin='photographs train')
  with pytest.raises(UserError, match='photographs train has no classes'):
    balanced(nothing, 10, KEY)


def test_files_are_held_out_by_name():
  def named(count, classes=None):
    arrays = {'image': np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)}
    if classes:
      arrays['label'] = (np.arange(count) % classes).astype(np.int32)
    rows = of_arrays(arrays, classes, 'files')
    return rows._replace(names=lambda: [f'photo {i}.jpg' for i in range(count)])

  for classes in (None, 2):
    rest, held_out = hold_out(named(200, classes), 0.2)
    assert len(held_out.names()) == 40
    assert sorted(rest.names() + held_out.names()) == sorted(named(200).names())
    assert held_out.names() == [f'photo {i}.jpg' for i in held_out.load()['image'].ravel()]
    more_rest, more = hold_out(named(240, classes), 0.2)
    # The limit of the smallest fifth of all numbers moves a little.
    assert len(set(held_out.names()) - set(more.names())) < 10
    assert len(set(held_out.names()) & set(more_rest.names())) < 10


@pytest.mark.parametrize('labelled', [True, False])
@pytest.mark.parametrize('named', [True, False])
def test_windows_of_a_video_are_held_out_together(labelled, named):
  video = np.repeat(np.arange(60), 7)
  rows = toy(video % 3 if labelled else np.zeros(420), 3 if labelled else None)
  names = [f'clip{i}' for i in video]
  rows = rows._replace(groups=lambda: video, names=(lambda: names) if named else None)
  rest, held = hold_out(rows, 0.2)
  of_rest, of_held = ({video[i] for i in numbers(part)} for part in (rest, held))
  assert not of_rest & of_held and of_rest | of_held == set(range(60))
  assert 84 <= held.size <= 84 + 3 * 6
  assert set(rest.groups()) == of_rest and set(held.groups()) == of_held


def test_a_class_of_one_video_cannot_be_held_out():
  video = np.repeat(np.arange(7), 5)
  rows = toy(np.minimum(video // 3, 2))._replace(groups=lambda: video)
  with pytest.raises(UserError, match=r'no rows of class 2 .* windows of a video, are held out'):
    hold_out(rows, 9)


def test_names_are_listed_once():
  rows, lists = toy(np.zeros(1500), None), []
  rows = rows._replace(names=lambda: lists.append(0) or [str(i) for i in range(1500)])
  _, held = hold_out(rows, 0.5)
  lists.clear()
  assert held.names() == [str(i) for i in numbers(held)] and len(lists) == 1
