"""labels.csv: labels and factors of files."""

import pytest

from vaejax.data.readers import labels_csv
from vaejax.errors import UserError

NAMES = ['a/1.png', 'a/2.png', 'b/3.jpg']


@pytest.fixture
def read(tmp_path):
  def read(text, names=NAMES, encoding='utf-8'):
    (tmp_path / 'labels.csv').write_bytes(text.encode(encoding))
    return labels_csv.read(str(tmp_path), names)

  return read


def column(found, name='label'):
  """The values of a column as text, None where there is none."""
  values, names = found.columns[name]
  return [names[value] if value >= 0 else None for value in values]


def test_text_and_numbers_become_classes(read):
  found = read('file,label,size\na/1.png,dog,10\na/2.png,cat,9\nb/3.jpg,dog,10\n')
  assert column(found) == ['dog', 'cat', 'dog']
  assert found.columns['label'].names == ('cat', 'dog')
  assert found.columns['size'].names == ('9', '10')
  assert found.columns['size'].values.tolist() == [1, 0, 1]
  assert not found.notes and not found.ignored


@pytest.mark.parametrize('name', ['a/2.png', 'a/2', './a/2.png', 'a\\2.png', ' a/2.png'])
def test_files_are_named_with_or_without_ending(read, name):
  found = read(f'file,label\n{name},x\n')
  assert column(found) == [None, 'x', None]
  assert found.notes == ['labels.csv: 2 of 3 pictures have no row']


def test_rows_without_a_picture_are_counted(read):
  found = read('file,label\na/1,5\na/2,7\nb/3,5\nc/4,9\nc/5,9\n')
  assert column(found) == ['5', '7', '5']
  assert found.notes == ['labels.csv: 2 rows name no picture, such as c/4']
  assert found.columns['label'].names == ('5', '7')


@pytest.mark.parametrize('missing', ['', '-1', 'nan', 'NaN'])
def test_missing_labels(read, missing):
  found = read(f'file,label\na/1.png,3\na/2.png,{missing}\nb/3.jpg,3.0\n')
  assert column(found) == ['3', None, '3']


def test_real_numbers_and_captions_are_no_classes(read):
  names = [f'{i}.png' for i in range(300)]
  rows = [f'{n},{i % 2},{i / 7},a caption with number {i}' for i, n in enumerate(names)]
  lines = '\n'.join(rows)
  found = read(f'file,label,height,caption\n{lines}\n', names)
  assert list(found.columns) == ['label']
  assert found.ignored == ['height', 'caption']


def test_what_spreadsheets_write(read):
  found = read(
    'file;label\r\na/1.png;"día; noche"\r\n\r\na/2.png;x\r\nb/3.jpg;x\r\n', encoding='utf-8-sig'
  )
  assert column(found) == ['día; noche', 'x', 'x']
  assert column(read('filename\tlabel\na/1.png\tx\na/2.png\ty\nb/3.jpg\ty\n')) == ['x', 'y', 'y']


def test_accents_of_a_mac(read):
  assert column(read('file,label\ncafe\u0301.png,x\n', ['caf\u00e9.png'])) == ['x']


@pytest.mark.parametrize(
  'text, message',
  [
    ('picture,label\na/1.png,x\n', 'has no column called file, only picture, label'),
    ('', 'has no column called file'),
    ('file,label\na/1.png\n', 'line 2 has 1 column, but the first 2'),
    ('file,label,label\na/1.png,x,y\n', r"labels\.csv has several columns called 'label'"),
    ('file,label\na/1.png,x\na/1.png,y\n', r'line 3: a/1\.png has another row too'),
    ('file,label\nz.png,x\n', r'names none of the pictures: z\.png, but a/1\.png is one'),
  ],
)
def test_mistakes_are_named(read, text, message):
  with pytest.raises(UserError, match=message):
    read(text)


def test_another_encoding(read):
  with pytest.raises(UserError, match='Save it as CSV in UTF-8'):
    read('file,label\na/1.png,é\n', encoding='latin-1')


def test_large_numbers_stay_apart(read):
  big = 2**53
  found = read(f'file,label\na/1.png,{big}\na/2.png,{big + 1}\nb/3.jpg,7.0\n')
  assert column(found) == [str(big), str(big + 1), '7']
