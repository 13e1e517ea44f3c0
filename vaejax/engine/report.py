"""report.html: a run on one page that needs nothing else: no script, font, link or file."""

import base64
import datetime
import io
import json
import pathlib
import re
from html import escape

from vaejax.engine.files import read_json, read_rows, write_atomic
from vaejax.engine.images import chart, short
from vaejax.errors import UserError

_FIRST = ('loss', 'elbo', 'recon', 'kl', 'iwae')
_LAST = ('lr', 'steps_per_s', 'images_per_s')


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


def whole(title: str, body: list[str]) -> bytes:
  """A page of its parts, which are HTML."""
  page = '\n'.join([HEAD, f'<title>{escape(title)}</title>', *body, '</html>'])
  # JSON may hold half a surrogate pair, which UTF-8 has no bytes for.
  return page.encode('utf-8', 'replace')


def _charts(rows) -> str:
  curves = {}
  for row in rows:
    for name, value in row.items():
      if name not in ('step', 'split', 'seconds') and is_number(value):
        curves.setdefault(name, {'train': [], 'test': []})
        curves[name].setdefault(row['split'], []).append((row['step'], value))
  rank = lambda n: _FIRST.index(n) - 9 if n in _FIRST else _LAST.index(n) + 9 if n in _LAST else 0
  cards = []
  for name in sorted(curves, key=lambda n: (rank(n), n)):
    shown = {split: curves[name][split] for split in ('train', 'test') if curves[name][split]}
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
    named = [name for name in _FIRST if is_number(row.get(name))]
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


def table(head, body) -> str:
  """A table of texts, which are escaped."""
  head = ''.join(f'<th>{escape(str(cell))}</th>' for cell in head)
  rows = (''.join(f'<td>{escape(cell)}</td>' for cell in row) for row in body)
  lines = ''.join(f'<tr>{row}</tr>' for row in rows)
  return f'<div class="wide"><table><tr>{head}</tr>{lines}</table></div>'


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


# The policy in the head holds even if an escape were forgotten: the page can load and run nothing.
HEAD = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<style>
:root { color-scheme: light dark; --page: #f6f6f4; --card: #fff; --ink: #1c1d20; --soft: #696d75;
  --line: #e3e3df; --train: #2b6cd9; --test: #d4581f; }
@media (prefers-color-scheme: dark) { :root { --page: #121315; --card: #1b1d20; --ink: #ececee;
  --soft: #9a9ea7; --line: #2e3136; --train: #6ea4ff; --test: #ff9a5c; } }
* { box-sizing: border-box; margin: 0; }
body { max-width: 1240px; margin: auto; padding: 40px 24px 64px; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -.02em; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 40px 0 14px; letter-spacing: -.01em; }
h3 { font-size: 14px; margin-right: auto; overflow-wrap: anywhere; }
p, figcaption, th { color: var(--soft); }
.card { padding: 16px; background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  min-width: 0; }
.tiles, .charts, .pictures { display: grid; gap: 16px; }
.tiles { grid-template-columns: repeat(auto-fit, minmax(150px, 210px)); margin-top: 22px; }
.tiles:empty { display: none; }
.tiles h3, .tiles p { font-size: 13px; font-weight: 400; color: var(--soft); }
.tiles b { font-size: 27px; letter-spacing: -.02em; line-height: 1.35; }
.charts { grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); }
.pictures { grid-template-columns: repeat(auto-fill, minmax(min(420px, 100%), 1fr)); }
.card > figcaption { display: flex; gap: 14px; align-items: baseline; font-size: 13px;
  padding-bottom: 10px; }
.card h3, figcaption b { color: var(--ink); }
i { display: inline-block; width: 10px; height: 3px; border-radius: 2px; margin-right: 5px;
  vertical-align: middle; }
.train i { background: var(--train); } .test i { background: var(--test); }
img { display: block; width: 100%; image-rendering: pixelated; border-radius: 4px; }
.strip { display: flex; gap: 10px; padding-top: 14px; }
.strip figure { flex: 1 1 0; max-width: 88px; font-size: 12px; text-align: center; }
.strip img { image-rendering: auto; }
svg { display: block; width: 100%; height: auto; } svg svg { height: initial; }
svg text { fill: var(--soft); font-size: 11px; } line { stroke: var(--line); }
.axis { fill: none; stroke: var(--soft); stroke-opacity: .55; }
polyline { fill: none; stroke-width: 1.7; stroke-linejoin: round; }
.legend span { margin-right: 18px; }
.s0 i { background: #2b6cd9; } polyline.s0 { stroke: #2b6cd9; } circle.s0 { fill: #2b6cd9; }
.s1 i { background: #d4581f; } polyline.s1 { stroke: #d4581f; } circle.s1 { fill: #d4581f; }
.s2 i { background: #2f9e62; } polyline.s2 { stroke: #2f9e62; } circle.s2 { fill: #2f9e62; }
.s3 i { background: #8e4ec6; } polyline.s3 { stroke: #8e4ec6; } circle.s3 { fill: #8e4ec6; }
.s4 i { background: #c2255c; } polyline.s4 { stroke: #c2255c; } circle.s4 { fill: #c2255c; }
.s5 i { background: #0c8599; } polyline.s5 { stroke: #0c8599; } circle.s5 { fill: #0c8599; }
.s6 i { background: #946c00; } polyline.s6 { stroke: #946c00; } circle.s6 { fill: #946c00; }
.s7 i { background: #687076; } polyline.s7 { stroke: #687076; } circle.s7 { fill: #687076; }
polyline.train { stroke: var(--train); } polyline.test { stroke: var(--test); }
circle.train { fill: var(--train); } circle.test { fill: var(--test); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; padding: 6px 20px 6px 0; border-bottom: 1px solid var(--line); }
th { font-weight: 500; } tr:last-child td { border: 0; }
details { margin-top: 40px; } summary { cursor: pointer; font-weight: 600; }
details .wide { margin-top: 12px; font-family: ui-monospace, monospace; }
</style>"""
