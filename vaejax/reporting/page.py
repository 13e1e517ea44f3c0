"""The parts of an HTML report, which is one file without scripts: tables, charts, pictures."""

import base64
import contextlib
import io
import logging
import re
import threading
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from types import MappingProxyType

from vaejax.config import fields

COLORS = ('#2b6cd9', '#d4581f', '#2f9e62', '#8e4ec6', '#c2255c', '#0c8599', '#946c00', '#687076')
INK = '#888888'  # of axes: visible on light and on dark pages
THUMBNAIL = 192  # pixels
SHORT = 24  # characters of a cell that stay on one line
EARLIER = 7  # earlier pictures of a kind, shown as thumbnails
CHART_LOCK = threading.Lock()  # runs may end in several threads, but Matplotlib has one style
CHART_STYLE = {
  'svg.fonttype': 'none',  # texts stay texts
  'svg.hashsalt': 'vaejax',  # the same curves give the same file
  'savefig.transparent': True,
  'font.size': 8,
  'lines.linewidth': 1.4,
  'axes.spines.top': False,
  'axes.spines.right': False,
  'axes.grid': True,
  'grid.alpha': 0.25,
  **dict.fromkeys(('grid.color', 'axes.edgecolor', 'xtick.color', 'ytick.color'), INK),
}

Curves = Mapping[str, list[tuple[int, float]]]  # {color: [(step, value)]}
Bands = Mapping[str, list[tuple[int, float, float]]]  # {color: [(step, low, high)]}
EMPTY = MappingProxyType({})


def render(title: str, subtitle: str, parts: Iterable[str]) -> bytes:
  """The HTML file of a report from its parts, which are HTML themselves."""
  header = f'<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p></header>'
  return '\n'.join([HEAD, f'<title>{escape(title)}</title>', header, *parts, '</html>']).encode()


def table(head: Iterable, rows: Iterable[Iterable]) -> str:
  """A table of texts or other values, which are escaped."""
  short = lambda x: ' class="short"' * (len(str(x)) <= SHORT)
  cell = lambda tag, x: f'<{tag}{short(x)}>{escape(str(x))}</{tag}>'
  row = lambda tag, values: ''.join(cell(tag, x) for x in values)
  body = ''.join(f'<tr>{row("td", values)}</tr>' for values in rows)
  return f'<div class="card"><table><tr>{row("th", head)}</tr>{body}</table></div>'


def section(heading: str, lines: Iterable[str]) -> str:
  """A heading and a list of texts, which are escaped."""
  items = ''.join(f'<li>{escape(line)}</li>' for line in lines)
  return f'<h2>{escape(heading)}</h2><ul>{items}</ul>'


def config_table(config) -> str:
  """A folded table of all fields of a config."""
  rows = table(['field', 'value'], fields.flat(config).items())
  return f'<details><summary>Configuration</summary>{rows}</details>'


def legend(labels: Iterable[tuple[str, str]]) -> str:
  """A line of (color, text)."""
  return ''.join(
    f'<span><i style="background: {color}"></i>{escape(text)}</span>' for color, text in labels
  )


def chart_card(title: str, note: str, curves: Curves, bands: Bands = EMPTY) -> str:
  """A chart with its title, and a note that is HTML."""
  caption = f'<figcaption><h3>{escape(title)}</h3>{note}</figcaption>'
  return f'<figure class="card">{caption}{chart(curves, bands)}</figure>'


def chart(curves: Curves, bands: Bands = EMPTY) -> str:
  """Curves over steps as an SVG element.

  If the values of the first twentieth of the steps would flatten the rest, they are cut off.

  Args:
    curves: {color: [(step, value)]}, in the order of the steps. Values are finite.
    bands: {color: [(step, low, high)]}, filled behind the curves.
  """
  # Matplotlib takes 0.3 s to import, so only reports import it. At first it lists all fonts, and
  # warns of that on a slow machine.
  logging.getLogger('matplotlib.font_manager').setLevel(logging.ERROR)
  from matplotlib import rc_context, ticker
  from matplotlib.figure import Figure

  points = [point for curve in curves.values() for point in curve]
  values, end = [value for _, value in points], max(step for step, _ in points)
  late = [value for step, value in points if step > end / 20]
  with CHART_LOCK, rc_context(CHART_STYLE):
    figure = Figure(figsize=(4.2, 2.4))
    axes = figure.add_axes((0.15, 0.12, 0.83, 0.83))
    for color, band in bands.items():
      axes.fill_between(*zip(*band, strict=True), color=color, alpha=0.2, linewidth=0)
    for color, curve in curves.items():
      few = len(curve) <= 30
      axes.plot(*zip(*curve, strict=True), color=color, marker='o' if few else None, markersize=3)
    if len(late) >= 20 and _extent(values) > 4 * _extent(late) > 0:
      margin = 0.05 * _extent(late)
      axes.set_ylim(min(late) - margin, max(late) + margin)
    axes.xaxis.set_major_formatter(ticker.EngFormatter(sep=''))
    file, metadata = io.StringIO(), dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
    figure.savefig(file, format='svg', metadata=metadata)
  svg = file.getvalue()
  return svg[svg.index('<svg') :]


def pictures(folder: Path) -> str:
  """The newest picture of each kind, and up to 7 earlier ones as thumbnails."""
  cards = []
  for name, files in pictures_of(folder).items():
    *earlier, (step, path) = files
    places = {i * (len(earlier) - 1) // (EARLIER - 1) for i in range(EARLIER)} if earlier else ()
    strip = ''.join(
      f'<figure>{_image(_thumbnail(path))}<figcaption>{at:,}</figcaption></figure>'
      for at, path in (earlier[i] for i in sorted(places, reverse=True))
    )
    strip = f'<div class="strip">{strip}</div>'
    cards.append(picture_card(name, f'step {step:,}', path.read_bytes(), strip))
  return f'<h2>Pictures</h2><div class="cards">{"".join(cards)}</div>' if cards else ''


def pictures_of(folder: Path) -> dict[str, list[tuple[int, Path]]]:
  """{kind: [(step, file)]} of the pictures of a run, sorted."""
  kinds = {}
  for path in folder.glob('*.png'):
    if match := re.fullmatch(r'(.+)_(\d{8,})', path.stem):
      kinds.setdefault(match[1], []).append((int(match[2]), path))
  return {name: sorted(files) for name, files in sorted(kinds.items())}


def picture_card(title: str, note: str, png: bytes, more: str = '') -> str:
  """A picture with its title and note; `more` is HTML."""
  caption = f'<figcaption><h3>{escape(title)}</h3>{escape(note)}</figcaption>'
  return f'<figure class="card">{caption}{_image(png)}{more}</figure>'


def is_number(value) -> bool:
  """Whether a value of a row can be drawn."""
  return type(value) in (int, float) and abs(value) < 1e30


def format_number(value: float) -> str:
  """A number in few characters: 0.00031, 98.21, 12,345, 1.2e+08."""
  return f'{value:,.0f}' if 1e3 <= abs(value) < 1e7 else f'{value:.4g}'


def _extent(values) -> float:
  return max(values) - min(values)


def _image(png: bytes) -> str:
  return f'<img alt="" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _thumbnail(path: Path) -> bytes:
  from PIL import Image

  file = io.BytesIO()
  with contextlib.suppress(OSError), Image.open(path) as picture:  # others may have damaged it
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    picture.save(file, 'PNG')
  return file.getvalue()


HEAD = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --page: #f6f6f4; --card: #fff; --ink: #1c1d20; --soft: #696d75;
  --line: #e3e3df; }
@media (prefers-color-scheme: dark) { :root { --page: #121315; --card: #1b1d20; --ink: #ececee;
  --soft: #9a9ea7; --line: #2e3136; } }
* { box-sizing: border-box; margin: 0; }
body { max-width: 1240px; margin: auto; padding: 40px 24px 64px; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
header { margin-bottom: 16px; }
h1 { font-size: 30px; line-height: 1.2; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 40px 0 14px; }
h3 { font-size: 14px; margin-right: auto; color: var(--ink); overflow-wrap: anywhere; }
p, figcaption, th { color: var(--soft); }
.card { padding: 16px; background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  min-width: 0; overflow-x: auto; }
.tiles, .cards { display: grid; gap: 16px; }
.tiles { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); margin-top: 22px; }
.tiles b { font-size: 27px; line-height: 1.35; }
.cards { grid-template-columns: repeat(auto-fill, minmax(min(360px, 100%), 1fr)); }
figcaption { display: flex; gap: 14px; align-items: baseline; font-size: 13px;
  padding-bottom: 10px; }
i { display: inline-block; width: 10px; height: 3px; margin-right: 5px; vertical-align: middle; }
ul { padding-left: 20px; overflow-wrap: anywhere; }
.warning { color: #b3420f; } @media (prefers-color-scheme: dark) { .warning { color: #f0945f; } }
h2 + p { padding-bottom: 12px; } p span { margin-right: 18px; }
img { display: block; width: 100%; image-rendering: pixelated; border-radius: 4px; }
.strip { display: flex; gap: 10px; padding-top: 14px; }
.strip figure { flex: 1 1 0; max-width: 88px; }
.strip img { image-rendering: auto; }
svg { display: block; width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; padding: 6px 20px 6px 0; border-bottom: 1px solid var(--line); }
th { font-weight: 500; } tr:last-child td { border: 0; }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--card); }
.short { white-space: nowrap; } .warning { margin-top: 10px; }
@media (max-width: 600px) { body { padding: 24px 12px 48px; } .card { padding: 12px; }
  th, td { padding-right: 12px; } }
details { margin-top: 40px; } summary { cursor: pointer; font-weight: 600; }
</style>"""
