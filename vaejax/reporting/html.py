"""What the pages of runs and of sweeps are made of: one file each, that opens from disk."""

from html import escape


def whole(title: str, body: list[str]) -> bytes:
  """A page of its parts, which are HTML."""
  page = '\n'.join([HEAD, f'<title>{escape(title)}</title>', *body, '</html>'])
  # JSON may hold half a surrogate pair, which UTF-8 has no bytes for.
  return page.encode('utf-8', 'replace')


def table(head, body) -> str:
  """A table of texts, which are escaped."""
  head = ''.join(f'<th>{escape(str(cell))}</th>' for cell in head)
  rows = (''.join(f'<td>{escape(cell)}</td>' for cell in row) for row in body)
  lines = ''.join(f'<tr>{row}</tr>' for row in rows)
  return f'<div class="wide"><table><tr>{head}</tr>{lines}</table></div>'


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
.validation i { background: var(--test); opacity: 0.6; }
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
polyline.validation { stroke: var(--test); stroke-dasharray: 6 3; }
circle.train { fill: var(--train); } circle.test { fill: var(--test); }
circle.validation { fill: var(--test); opacity: 0.6; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; padding: 6px 20px 6px 0; border-bottom: 1px solid var(--line); }
th { font-weight: 500; } tr:last-child td { border: 0; }
details { margin-top: 40px; } summary { cursor: pointer; font-weight: 600; }
details .wide { margin-top: 12px; font-family: ui-monospace, monospace; }
</style>"""
