import base64
import html.parser
import io
import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from vaejax.errors import UserError
from vaejax.reporting import images, report
from vaejax.runs.files import write_json

_HOSTILE = '"\'><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>&amp;'


class _Page(html.parser.HTMLParser):
  """What a browser sees: tags with their attributes, and the text."""

  def __init__(self, path):
    super().__init__()
    self.tags, self.text = [], []
    self.source = path.read_text()
    self.feed(self.source)
    self.text = ' '.join(self.text)

  def handle_starttag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))

  def handle_data(self, data):
    self.text.append(data.strip())

  def all(self, tag):
    return [attrs for name, attrs in self.tags if name == tag]


def _workdir(path, config=None, rows=(), results=None):
  config = {'method': 'vae', 'data': {'name': 'digits'}} if config is None else config
  write_json(path / 'config.json', config)
  if rows:
    (path / 'metrics.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
  if results is not None:
    write_json(path / 'evaluation.json', results)
  return _Page(report.write_report(path))


def _row(step, split='train', **values):
  return {'step': step, 'split': split, 'seconds': step / 10, **values}


def _picture(path, name, step, shade=0):
  (path / 'images').mkdir(exist_ok=True)
  image = np.full((4, 4, 1), shade, np.uint8)
  images.write_png(path / 'images' / f'{name}_{step:08d}.png', image)


def _shade(attrs):
  data = base64.b64decode(attrs['src'].removeprefix('data:image/png;base64,'))
  return Image.open(io.BytesIO(data)).getpixel((0, 0))


def _harmless(page):
  known = {
    'html',
    'meta',
    'style',
    'title',
    'header',
    'h1',
    'h2',
    'h3',
    'p',
    'div',
    'b',
    'i',
    'svg',
  }
  known |= {'line', 'text', 'path', 'polyline', 'circle', 'figure', 'figcaption', 'span', 'img'}
  known |= {'details', 'summary', 'table', 'tr', 'th', 'td'}
  for tag, attrs in page.tags:
    assert tag in known
    for name, value in attrs.items():
      assert not name.startswith('on')
      assert name not in ('href', 'srcset', 'style', 'action')
      assert name != 'src' or value.startswith('data:image/png;base64,')
  assert not re.search(r'url\(|@import|https?://(?!evil)', page.source)


def test_the_page_shows_numbers_pictures_curves_and_config_and_needs_nothing_else(tmp_path):
  for step, shade in ((10, 100), (20, 150), (30, 200)):
    _picture(tmp_path, 'samples', step, shade)
  rows = [_row(s, split, loss=100 / s, lr=0.1) for s in (10, 20, 30) for split in ('train', 'test')]
  protocol = {'split': 'test', 'n': 359, 'samples': 5000, 'binarisation': 'static', 'step': 30}
  page = _workdir(tmp_path, rows=rows, results={'nll': {'value': 25.98, **protocol}})
  _harmless(page)
  for word in ('vae on digits', '30 steps', '0:00:03', '25.98', 'binarisation', 'static', '5000'):
    assert word in page.text
  assert 'data.name digits' in page.text.replace('  ', ' ')
  assert [_shade(img) for img in page.all('img')] == [200, 150, 100]  # newest first
  # Two curves of the loss, two of the rate, each with a chart of its own.
  assert [line['class'] for line in page.all('polyline')] == ['train', 'test'] * 2
  assert all(len(line['points'].split()) == 3 for line in page.all('polyline'))


def test_no_text_of_the_workdir_is_taken_for_markup(tmp_path):
  config = {'name': _HOSTILE, 'x': {_HOSTILE: _HOSTILE}, 'list': [_HOSTILE], 'half': '\ud800'}
  rows = [_row(1, **{_HOSTILE: 1.0, 'text': _HOSTILE}), _row(2, _HOSTILE, loss=1.0)]
  results = {_HOSTILE: {'value': 1.0, 'split': _HOSTILE, _HOSTILE: [_HOSTILE], 'step': _HOSTILE}}
  _picture(tmp_path, _HOSTILE.replace('/', '|'), 1)
  page = _workdir(tmp_path, config, rows, results)
  _harmless(page)
  assert page.text.count('alert(1)') >= 8  # all of it is shown, as text
  assert "default-src 'none'" in page.all('meta')[2]['content']


@pytest.mark.parametrize('rows', [[], [_row(0, loss=1.0)], [_row(5, 'test', elbo=None)]])
def test_few_rows_or_none_make_a_page(tmp_path, rows):
  page = _workdir(tmp_path, rows=rows)
  _harmless(page)
  assert len(page.all('polyline')) == sum(row.get('loss', 0) > 0 for row in rows)
  assert page.all('img') == []


def test_values_that_no_chart_can_show_are_passed_over(tmp_path):
  odd = [None, 'text', [1], {'a': 1}, True, 10**400, float('nan'), float('inf'), 1e300]
  rows = [_row(i, loss=value) for i, value in enumerate(odd)]
  page = _workdir(tmp_path, rows=[*rows, _row(50, loss=3.0), _row(60, loss=4.0)])
  (line,) = page.all('polyline')
  assert len(line['points'].split()) == 2


def test_a_long_run_is_thinned_to_its_end(tmp_path):
  rows = [_row(step, loss=step % 10) for step in range(1, 20_002)]
  page = _workdir(tmp_path, rows=rows)
  (line,) = page.all('polyline')
  points = [float(p.split(',')[0]) for p in line['points'].split()]
  assert 250 <= len(points) <= 500
  assert points[-1] == 420 - 14  # the right edge of the chart
  assert len(page.source) < 30_000


def test_of_many_pictures_the_newest_is_large_and_a_few_earlier_ones_are_kept(tmp_path):
  for step in range(1, 41):
    _picture(tmp_path, 'samples', step, shade=step)
  _picture(tmp_path, 'reconstructions', 7, shade=200)
  shades = [_shade(img) for img in _workdir(tmp_path).all('img')]
  assert shades[:2] == [200, 40]
  assert shades[2] == 39
  assert shades[-1] == 1
  assert len(shades) == 2 + 7
  assert shades[1:] == sorted(shades[1:], reverse=True)


def test_what_is_no_picture_stays_out(tmp_path):
  _picture(tmp_path, 'samples', 1)
  folder = tmp_path / 'images'
  whole = (folder / 'samples_00000001.png').read_bytes()
  (folder / 'samples_00000002.png').write_bytes(whole[: len(whole) // 2])
  (folder / 'secret_00000001.png').write_text('secret')
  (folder / 'folder_00000001.png').mkdir()
  os.mkfifo(folder / 'pipe_00000001.png')  # nobody writes to it: opened, it blocks for ever
  (folder / 'other.png').write_bytes(whole)
  Image.new('L', (4, 4)).save(folder / 'gif_00000001.png', 'GIF')
  page = _workdir(tmp_path)
  assert len(page.all('img')) == 1  # the newest that can be read
  assert 'step 1' in page.text


def test_without_an_evaluation_the_last_test_row_gives_the_numbers(tmp_path):
  rows = [_row(1, 'test', elbo=-5.5), _row(2, 'test', elbo=-4.25), _row(3, elbo=-3.0)]
  page = _workdir(tmp_path, rows=rows)
  tiles = page.source[page.source.index('tiles">') : page.source.index('</header>')]
  assert '-4.25' in tiles
  assert '-3' not in tiles
  for broken in ('{', '[1]', '3'):
    (tmp_path / 'evaluation.json').write_text(broken)
    assert '-4.25' in report.write_report(tmp_path).read_text()


def test_a_folder_that_is_no_workdir_is_refused_and_left_alone(tmp_path):
  with pytest.raises(UserError, match='configuration'):
    report.write_report(tmp_path)
  (tmp_path / 'config.json').write_text('{')
  with pytest.raises(UserError, match='not JSON'):
    report.write_report(tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == ['config.json']


@pytest.mark.parametrize(
  'config', ['[]', '3', 'null', '"text"', '{"method": {"name": 3}, "data": []}']
)
def test_a_config_of_another_shape_makes_a_page(tmp_path, config):
  (tmp_path / 'config.json').write_text(config)
  _harmless(_Page(report.write_report(tmp_path)))


def test_a_config_nested_without_end_makes_a_page_or_a_users_error(tmp_path):
  for depth in (100, 900, 5_000, 100_000):
    (tmp_path / 'config.json').write_text('{"a":' * depth + '1' + '}' * depth)
    try:
      _harmless(_Page(report.write_report(tmp_path)))
    except UserError as error:
      assert depth > 900, error
