"""report.html of a run: what it shows, and that it needs nothing else and runs nothing."""

import base64
import html.parser
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from vaejax.config.load import load_config
from vaejax.errors import UserError
from vaejax.reporting import images, page, report
from vaejax.runs.files import write_json
from vaejax.runs.workdir import SavedRun, write_config
from vaejax.types import Example

BLUE, ORANGE, *_ = page.COLORS
MARKUP = '"\'><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>&amp;'


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


def _write(path, rows=(), results=None, **changes):
  config = load_config('configs/vae.py:digits,smoke')
  with config.unlocked():
    config.update(changes)
  write_config(path, SavedRun(config, Example({}, None, 0.0, 1.0), {}, None))
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


def _curves(svg):
  """{color: [(x, y)]} of a chart's curves, in points; y is down."""
  paths = re.findall(
    r'<path d="([^"]*)" clip-path="[^"]*" style="[^"]*stroke: (#\w+); stroke-w', svg
  )
  points = lambda text: [tuple(map(float, p.split())) for p in re.split('[ML]', text) if p.strip()]
  return {color: points(text) for text, color in paths if color != page.INK}


def _check_self_contained(page):
  assert not {'script', 'link', 'iframe', 'object'} & {tag for tag, _ in page.tags}
  for _, attrs in page.tags:
    for name, value in attrs.items():
      assert not name.startswith('on') and name not in ('srcset', 'action')
      assert name != 'src' or value.startswith('data:image/png;base64,')
      assert not name.endswith('href') or value.startswith('#')
  assert not re.search(r'url\((?!#)|@import', page.source)


def test_the_page_has_results_pictures_curves_and_config(tmp_path):
  for step, shade in ((10, 100), (20, 150), (30, 200)):
    _picture(tmp_path, 'samples', step, shade)
  rows = [_row(s, split, loss=100 / s, lr=0.1) for s in (10, 20, 30) for split in ('train', 'test')]
  protocol = {'split': 'test', 'n': 359, 'samples': 5000, 'binarisation': 'static', 'step': 30}
  shown = _write(tmp_path, rows, {'nll': {'value': 25.98, 'error': None, **protocol}})
  _check_self_contained(shown)
  protocol = 'nll: samples 5000, binarisation static'
  for word in ('vae on digits', '30 steps', '0:00:03', '25.98', protocol):
    assert word in shown.text
  assert 'data.name digits' in shown.text.replace('  ', ' ')
  assert [_shade(img) for img in shown.all('img')] == [200, 150, 100]  # newest first
  charts = re.findall('<svg.*?</svg>', shown.source, re.DOTALL)
  assert [list(_curves(svg)) for svg in charts] == [[BLUE, ORANGE]] * 2  # loss and lr
  assert all(len(curve) == 3 for svg in charts for curve in _curves(svg).values())


def test_texts_are_not_taken_for_markup(tmp_path):
  rows = [_row(1, **{MARKUP: 1.0, 'text': MARKUP}), _row(2, MARKUP, loss=1.0)]
  results = {MARKUP: {'value': 1.0, 'split': MARKUP, MARKUP: [MARKUP], 'step': 1}}
  _picture(tmp_path, MARKUP.replace('/', '|'), 1)
  shown = _write(tmp_path, rows, results, method=MARKUP)
  _check_self_contained(shown)
  assert shown.text.count('alert(1)') >= 8  # all of it is shown as text


@pytest.mark.parametrize('rows', [[], [_row(0, loss=1.0)], [_row(5, 'test', elbo=None)]])
def test_few_rows_or_none_make_a_page(tmp_path, rows):
  shown = _write(tmp_path, rows)
  _check_self_contained(shown)
  assert len(shown.all('svg')) == sum(row.get('loss', 0) > 0 for row in rows)
  assert shown.all('img') == []


def test_values_that_a_chart_cannot_show_are_left_out(tmp_path):
  odd = [None, 'text', [1], {'a': 1}, True, 10**400, float('nan'), float('inf'), 1e300]
  rows = [_row(i, loss=value) for i, value in enumerate(odd)]
  shown = _write(tmp_path, [*rows, _row(50, loss=3.0), _row(60, loss=4.0)])
  assert len(_curves(shown.source)[BLUE]) == 2


def test_the_newest_picture_is_large_and_some_earlier_ones_are_small(tmp_path):
  for step in range(1, 41):
    _picture(tmp_path, 'samples', step, shade=step)
  _picture(tmp_path, 'reconstructions', 7, shade=200)
  (tmp_path / 'images' / 'other.png').write_bytes(b'')
  shades = [_shade(img) for img in _write(tmp_path).all('img')]
  assert shades[:3] == [200, 40, 39] and shades[-1] == 1
  assert len(shades) == 2 + page.EARLIER
  assert shades[1:] == sorted(shades[1:], reverse=True)


def test_a_folder_without_a_run_is_left_alone(tmp_path):
  with pytest.raises(UserError, match=r'no config\.json'):
    report.write_report(tmp_path)
  (tmp_path / 'config.json').write_text('{')
  with pytest.raises(UserError, match='not JSON'):
    report.write_report(tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == ['config.json']


def test_a_chart_has_its_points_where_its_ticks_are():
  svg = page.chart(
    {BLUE: [(0, 0.0), (500, 10.0), (1000, 5.0)], ORANGE: [(1000, 10.0), (1000, 5.0)]}
  )
  lines = _curves(svg)
  ticks = re.findall(r'text-anchor: (\w+)[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)<', svg)
  across = {text: float(x) for anchor, x, _, text in ticks if anchor == 'middle'}
  (x0, y0), (x1, y1), (x2, y2) = lines[BLUE]
  assert (x0, x2) == pytest.approx((across['0'], across['1k']), abs=0.01)
  assert x1 == pytest.approx((x0 + x2) / 2, abs=0.01) and y1 < y2 < y0  # up is more
  assert lines[ORANGE] == [(x2, y1), (x2, y2)]


def test_a_steep_start_does_not_flatten_the_rest():
  curve = [(step, 1000.0 if step < 3 else 100 - step / 10) for step in range(100)]
  line = _curves(page.chart({BLUE: curve}))[BLUE]
  heights = [y for _, y in line if y > 0]
  assert max(heights) - min(heights) > 100  # of some 140 points
  assert min(y for _, y in line) < 0  # cut off above


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize(
  'values',
  [[3.0], [0.0, 0.0], [-5.0, -5.0], [1e-30, 2e-30], [-1e29, 1e29], [1.0, 1.0 + 1e-15], [1e29]],
)
def test_flat_tiny_and_huge_curves_make_a_chart(values):
  assert page.chart({BLUE: list(enumerate(values))}).endswith('</svg>\n')


def test_a_long_curve_is_simplified_but_keeps_its_spikes():
  spiky = [(step, 99.0 if step == 54_321 else float(step % 7)) for step in range(100_000)]
  svg = page.chart({BLUE: spiky})
  assert len(svg) < 200_000
  heights = [y for _, y in _curves(svg)[BLUE]]
  assert min(heights) < 30 and sorted(heights)[1] > 30
