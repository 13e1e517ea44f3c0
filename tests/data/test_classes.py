"""Labels of any kind become 0 to classes - 1, and rows without a label -1."""

import numpy as np
import pytest

from vaejax.data import classes
from vaejax.errors import UserError


@pytest.mark.parametrize(
  ('values', 'label', 'names'),
  [
    (['dog', 'cat', 'dog', '', None], [1, 0, 1, -1, -1], ('cat', 'dog')),
    (np.array(['dog', 'cat', '']), [1, 0, -1], ('cat', 'dog')),
    (np.array([b'dog', b'cat', b'']), [1, 0, -1], ('cat', 'dog')),
    (np.array(['öl', 'Öl', 'ol']), [2, 1, 0], ('ol', 'Öl', 'öl')),
    (['cafe\u0301', 'caf\u00e9'], [0, 0], ('caf\u00e9',)),
    ([9, 0, 5, 0, -1], [2, 0, 1, 0, -1], ('0', '5', '9')),
    (np.array(['10', '9', '0', '-1']), [2, 1, 0, -1], ('0', '9', '10')),
    ([10**12, -5, 7], [2, 0, 1], ('-5', '7', '1000000000000')),
    (np.array([2**64 - 1, 3], np.uint64), [1, 0], ('3', '18446744073709551615')),
    (np.array([2.0, 0.0, np.nan], np.float32), [1, 0, -1], ('0', '2')),
    ([True, False, True], [1, 0, 1], ('False', 'True')),
    (np.array([[4], [4], [2]], np.uint8), [1, 1, 0], ('2', '4')),
    (np.array([1, 'b', None, float('nan')], object), [0, 1, -1, -1], ('1', 'b')),
    ([-1, -1], [-1, -1], ()),
    ([], [], ()),
  ],
)
def test_every_kind_of_label(values, label, names):
  encoded, class_names = classes.encode(values)
  assert encoded.dtype == np.int32
  assert encoded.tolist() == label
  assert class_names == names


def test_blocks_and_splits_share_one_mapping():
  train, test = np.array(['owl', 'cat', '']), np.array(['dog', 'cat'])
  names = classes.class_names([train, test])
  assert names == ('cat', 'dog', 'owl')
  assert classes.encode(train, names)[0].tolist() == [2, 0, -1]
  assert classes.encode(test, names)[0].tolist() == [1, 0]
  # The same numbers as ints, floats or text are the same classes.
  names = classes.class_names([np.array([3, 20]), np.array(['20', '100'])])
  assert names == ('3', '20', '100')
  assert classes.encode(np.array([100.0, 3.0]), names)[0].tolist() == [2, 0]


@pytest.mark.parametrize(
  ('values', 'names', 'error'),
  [
    (['cat', 'owl'], ('cat', 'dog'), "have 'owl', which is not one of 2 classes: cat, dog"),
    ([0.5, 1.0], None, 'real numbers such as 0.5'),
    (np.eye(3), None, r'shape \[3, 3\].*argmax'),
    ([['a'], ['a', 'b']], None, 'differ in shape'),
    (np.array([{}, {}], object), None, 'lists or arrays'),
    (np.array(['2026-01-01'], 'datetime64[D]'), None, 'of the type date'),
    ([float('inf')], None, 'real numbers such as inf'),
  ],
)
def test_what_is_no_label_is_one_line(values, names, error):
  with pytest.raises(UserError, match=error):
    classes.encode(values, names)


def test_a_million_rows_of_ten_thousand_classes():
  number = np.random.default_rng(0).integers(0, 10_000, 10**6)
  encoded, names = classes.encode(number * 7)
  np.testing.assert_array_equal(encoded, number)
  assert names[3] == '21'
  text = number.astype('U5')
  encoded, names = classes.encode(text)
  np.testing.assert_array_equal(encoded, number)
  assert len(names) == 10_000


def test_a_declared_count_that_is_too_small_is_refused():
  classes.check(np.array([0, 2, -1]), 3, 'set')
  classes.check(np.array([], np.int32), 3, 'set')
  with pytest.raises(UserError, match='set has the label 3, but declares 3 classes'):
    classes.check(np.array([0, 3]), 3, 'set')


def test_classes_in_words():
  assert classes.describe(('cat', 'dog', 'owl')) == '3 classes: cat, dog, owl'
  assert classes.describe(('cat',)) == '1 class: cat'
  assert classes.describe(('0', '5', '9')) == '3 classes: 0, 5, 9'
  assert classes.describe(('0', '1')) == '2 classes'
  assert classes.describe((), 10_000) == '10,000 classes'
  many = classes.describe(tuple(f'c{i:04}' for i in range(1000)))
  assert many.startswith('1,000 classes: c0000, c0001,') and many.endswith(', ..., c0999')
  assert classes.name_of(1, ('cat', 'dog')) == "'dog'" and classes.name_of(1, ()) == '1'


def test_a_class_is_named_exactly_or_by_number():
  names = 'cat', 'dog', 'Owl'
  assert classes.index('dog', names, 3) == 1
  assert classes.index('2', names, 3) == 2
  assert classes.index('7', (), 10) == classes.index('7', tuple('0123456789'), 10) == 7
  assert classes.index('9', ('0', '5', '9'), 3) == 2
  for given, known, error in [
    ('owl', names, "label='owl' is not one of the 3 classes: cat, dog, Owl .did you mean 'Owl'"),
    ('dgo', names, "did you mean 'dog'"),
    ('3', names, 'is not one of the 3 classes'),
    ('-1', names, 'is not one of the 3 classes'),
    ('1', ('0', '5', '9'), 'is not one of the 3 classes: 0, 5, 9'),
    ('dog', (), 'is not a class from 0 to 2'),
    ('3', ('0', '1', '2'), 'is not a class from 0 to 2'),
  ]:
    with pytest.raises(UserError, match=error):
      classes.index(given, known, 3)
