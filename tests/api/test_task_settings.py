"""Values of settings in Python are those of the command line, and arrays where they may be."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.api.task_settings import check
from vaejax.errors import UserError
from vaejax.task_type import Setting

PICTURES = Setting('', 'a path or pictures', arrays=True)


@pytest.mark.parametrize(
  ('value', 'setting', 'expected'),
  [
    (7, Setting('', 'a class'), '7'),
    (np.int64(7), Setting('', 'a class'), '7'),
    (['dog', 'cat'], Setting('', 'classes'), 'dog,cat'),
    ([Path('a.png'), 'b.png'], PICTURES, 'a.png,b.png'),
    (Path('a'), PICTURES, 'a'),
    (np.int32(3), Setting(1, 'a number'), 3),
    (2, Setting(0.5, 'a number', high=9), 2.0),
    (np.True_, Setting(False, 'whether'), True),
    ('0,3', Setting((), 'two'), ('0', '3')),
    ((0, 3), Setting((), 'two'), ('0', '3')),
    (3, Setting((), 'two'), ('3',)),
    ('~/a', Setting(None, 'a picture', kind=Path), Path.home() / 'a'),
    (None, Setting(None, 'a picture', kind=Path), None),
  ],
)
def test_a_value_gets_the_type_of_its_setting(value, setting, expected):
  result = check('x', value, setting)
  assert result == expected and type(result) is type(expected)


@pytest.mark.parametrize('x', [jnp.ones((2, 3)), np.ones((2, 3)), [[1, 1, 1], [1, 1, 1]]])
def test_arrays_of_any_kind(x):
  assert np.array_equal(check('x', x, PICTURES), np.ones((2, 3)))


@pytest.mark.parametrize(
  ('value', 'setting', 'text'),
  [
    (False, Setting(1, ''), 'x=False is not a whole number'),
    (1, Setting(False, ''), 'x=1 is not True or False'),
    (2.5, Setting('', ''), 'x=2.5 is not a text'),
    (5, Setting(None, '', kind=Path), 'x=5 is not a path'),
    (float('nan'), Setting(0.5, ''), 'out of range'),
    (0, Setting(10, '', low=1, high=1_000_000), 'x=0 is out of range. Use 1 to 1,000,000'),
    (2.0, Setting(0.5, '', low=0, high=1.5), 'x=2.0 is out of range. Use 0 to 1.5'),
    (jnp.ones((20, 9)), Setting('', ''), 'is not a text'),
    ([[1], [1, 2]], PICTURES, 'its parts have different shapes'),
    ('b', Setting('a', '', ('a', 'aa')), "x='b' is unknown. Use a, aa"),
  ],
)
def test_wrong_values_are_one_line(value, setting, text):
  with pytest.raises(UserError, match=text) as caught:
    check('x', value, setting)
  assert len(str(caught.value)) < 100
