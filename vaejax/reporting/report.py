"""report.html: a run on one page that needs nothing else: no script, font, link or file."""

import base64
import datetime
import io
import json
import pathlib
import re
from html import escape

from vaejax.errors import UserError
from vaejax.reporting.html import table, whole
from vaejax.reporting.images import chart, short
from vaejax.runs.files import read_json, read_rows, write_atomic

_LAST = ('lr', 'steps_per_s', 'images_per_s')
_SPLITS = ('train', 'validation', 'test')


def write_report(workdir) -> pathlib.Path:
  """Writes workdir/report.html from what the workdir holds, atomically, and returns its path.

  config.json is needed; metrics.jsonl, evaluation.json and images/ are shown where there are any.
  Every text is escaped and every picture decoded and encoded anew, so that a crafted workdir puts
  nothing of its own into the page.

  Raises:
    UserError: config.json is missing or malformed.
    RunError: the disk is full.
  """
  workdir = pathlib.Path(workdir)
  config = dict(flat(read_json(workdir / 'config.json')))
  rows = read_rows(workdir / 'metrics.jsonl')
  results = _results(workdir / 'evaluation.json')
  name, subtitle = title(config) or workdir.resolve().name, [workdir.resolve().name]
  if rows:
    clock = datetime.timedelta(seconds=round(rows[-1]['seconds']))
    subtitle += [f'{rows[-1]["step"]:,} steps', f'{clock} of training']
  header = f'<h1>{escape(name)}</h1><p>{escape(" · ".join(subtitle))}</p>{_tiles(results, rows)}'
  settings = table(['field', 'value'], [[name, text(value)] for name, value in config.items()])
  body = [
    f'<header>{header}</header>',
    pictures(workdir / 'images'),
    f'<h2>Training</h2><div class="charts">{_charts(rows) or "<p>No rows yet.</p>"}</div>',
    f'<h2>Evaluation</h2>{_protocols(results)}',
    f'<details class="card"><summary>Configuration</summary>{settings}</details>',
  ]
  write_atomic(workdir / 'report.html', whole(name, body))
  return workdir / 'report.html'


def _charts(rows) -> str:
  curves = {}
  for row in rows:
    for name, value in row.items():
      if name not in ('step', 'split', 'seconds') and is_number(value):
        curves.setdefault(name, {split: [] for split in _SPLITS})
        curves[name].setdefault(row['split'], []).append((row['step'], value))
  cards = []
  for name in sorted(curves, key=lambda n: n in _LAST):  # else as the rows have them
    shown = {split: curves[name][split] for split in _SPLITS if curves[name][split]}
    legend = ''.join(
      f'<span class="{split}"><i></i>{split} <b>{short(points[-1][1])}</b></span>'
      for split, points in shown.items()
    )
    if shown:
      caption = f'<figcaption><h3>{escape(name)}</h3>{legend}</figcaption>'
      cards.append(f'<figure class="card">{caption}{chart(shown)}</figure>')
  return ''.join(cards)


def pictures(folder) -> str:
  """Of each kind of picture the newest, large, and up to 7 earlier ones as a strip."""
  kinds = {}
  for path in sorted(folder.glob('*.png')):
    match = re.fullmatch(r'(.+)_(\d{8,15})\.png', path.name)
    if match and path.is_file():
      kinds.setdefault(match[1], []).append((int(match[2]), path))
  cards = []
  for name, pictures in kinds.items():
    pictures.sort(reverse=True)
    while pictures and not (large := _data_uri(pictures[0][1], 1024)):
      pictures.pop(0)  # torn by hand or by another program: the one before it is shown
    if not pictures:
      continue
    (step, _), *earlier = pictures
    strides = min(6, max(1, len(earlier) - 1))
    chosen = earlier and [earlier[i * (len(earlier) - 1) // strides] for i in range(strides + 1)]
    strip = ''.join(
      f'<figure><img alt="" src="{uri}"><figcaption>{at:,}</figcaption></figure>'
      for at, path in dict.fromkeys(chosen)
      if (uri := _data_uri(path, 192))
    )
    caption = f'<h3>{escape(name)}</h3><span>step <b>{step:,}</b></span>'
    card = f'<figcaption>{caption}</figcaption><img alt="{escape(name)}" src="{large}">'
    cards.append(f'<figure class="card">{card}<div class="strip">{strip}</div></figure>')
  return f'<h2>Pictures</h2><div class="pictures">{"".join(cards)}</div>' if cards else ''


def _data_uri(path, side: int) -> str | None:
  """A picture, shrunk to at most `side` pixels a side, as a data: URI; None if it is not one."""
  from PIL import Image

  try:
    with Image.open(path, formats=['PNG']) as file:
      if file.width * file.height > 2**26:
        return None
      picture = file.convert(file.mode if file.mode in ('L', 'RGB', 'RGBA') else 'RGB')
  except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
    return None
  picture.thumbnail((side, side))
  data = io.BytesIO()
  picture.save(data, 'PNG')
  return f'data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}'


def _results(path) -> dict:
  """{metric: its protocol, with 'value'}; {} where there is none that can be read."""
  try:
    results = read_json(path)
  except UserError:
    return {}
  if not isinstance(results, dict):
    return {}
  return {k: v if isinstance(v, dict) else {'value': v} for k, v in results.items()}


def _tiles(results, rows) -> str:
  """The key test numbers: those of the evaluation, else those of the last test row."""
  tiles = [
    (name, r['value'], f'{r.get("split", "")} · step {r.get("step", "?")}')
    for name, r in results.items()
    if is_number(r.get('value'))
  ]
  tested = [row for row in rows if row['split'] == 'test']
  if tested and not tiles:
    row = tested[-1]
    named = [k for k in row if k not in ('step', 'split', 'seconds') and is_number(row[k])]
    tiles = [(name, row[name], f'test · step {row["step"]}') for name in named]
  return '<div class="tiles">{}</div>'.format(
    ''.join(
      f'<div class="card"><h3>{escape(name)}</h3><b>{short(value)}</b><p>{escape(note)}</p></div>'
      for name, value, note in tiles[:6]
    )
  )


def _protocols(results) -> str:
  if not results:
    return '<p>None yet.</p>'
  fields = list(dict.fromkeys(field for r in results.values() for field in r if field != 'value'))
  body = [
    [
      name,
      short(r['value']) if is_number(r.get('value')) else '–',
      *(text(r[f]) if f in r else '' for f in fields),
    ]
    for name, r in results.items()
  ]
  return f'<div class="card">{table(["metric", "value", *fields], body)}</div>'


def flat(obj, name='', depth=0):
  """The leaves of a nested dict as (dotted name, value)."""
  if isinstance(obj, dict) and obj and depth < 20:
    for key, value in obj.items():
      yield from flat(value, f'{name}.{key}' if name else key, depth + 1)
  else:
    yield name, obj


def title(config) -> str:
  """What was trained on what, from the flat config; '' where it does not say."""
  first = lambda *names: next((str(config[n]) for n in names if isinstance(config.get(n), str)), '')
  name = first('name', 'config.name', 'method', 'config.method', 'method.name')
  data = first('data.name', 'config.data.name', 'data', 'config.data')
  return f'{name} on {data}' if name and data else name


def text(value) -> str:
  try:
    return value if isinstance(value, str) else json.dumps(value)
  except RecursionError:
    return '…'


def is_number(value) -> bool:
  return type(value) in (int, float) and abs(value) < 1e30
