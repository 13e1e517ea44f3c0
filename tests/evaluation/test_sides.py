"""What an edit adds or removes: classes, values of factors, folders, arrays, and mistakes."""

import numpy as np
import pytest
from given import pictures, small
from PIL import Image

from vaejax.errors import UserError
from vaejax.evaluation import sides


@pytest.fixture
def folder(tmp_path):
  path = tmp_path / 'smiling'
  path.mkdir()
  for i in range(2):
    Image.fromarray(np.full((8, 8), 255 * i, np.uint8)).save(path / f'{i}.png')
  return path


def test_classes_values_folders_and_arrays(folder):
  run = small('vae')
  assert sides.side(run, '', None, 'label') is None
  assert sides.side(run, '3', None, 'label')[:2] == ('3', 3)
  from_files = sides.side(run, f'{folder}/', None, 'label')
  assert from_files.title == 'smiling' and from_files.value is None
  assert from_files.pictures[1] == pytest.approx(np.ones((8, 8, 1)))
  x = pictures(run, 3).image
  assert sides.side(run, x, None, 'label').pictures == pytest.approx(x)
  shapes = small('beta_vae:shapes,data.size=8')
  assert sides.factor_of(shapes, 'scale') == 1 and sides.factor_of(shapes, 'label') is None
  assert sides.side(shapes, '5', 1, 'scale')[:2] == ('scale 5', 5)


def test_versions(folder):
  assert sides.parts('') == [] and sides.parts('1,2') == ['1', '2']
  with_comma = folder.rename(folder.with_name('a,b'))
  assert sides.parts(str(with_comma)) == [str(with_comma)]
  assert len(sides.parts(np.zeros((2, 8, 8, 1)))) == 1


def test_mistakes_are_one_line(tmp_path):
  run, shapes = small('vae'), small('beta_vae:shapes,data.size=8')
  (tmp_path / 'empty').mkdir()
  for call, text in (
    (lambda: sides.factor_of(shapes, 'scael'), "did you mean 'scale'"),
    (lambda: sides.factor_of(run, 'scale'), 'has no factors'),
    (lambda: sides.side(shapes, '6', 1, 'scale'), "'6' is not a value of scale. Use 0 to 5"),
    (lambda: sides.side(run, '11', None, 'label'), '11'),
    (lambda: sides.side(run, f'{tmp_path}/empty', None, 'label'), 'has no pictures'),
    (lambda: sides.side(run, 'smiling', None, 'label'), 'smiling'),
    (lambda: sides.side(run, 'no/where', None, 'label'), 'there is no file or folder no/where'),
    (lambda: sides.side(run, np.zeros((2, 7, 8, 1)), None, 'label'), 'has the shape'),
  ):
    with pytest.raises(UserError, match=text):
      call()
