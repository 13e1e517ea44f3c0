"""report.html: a run on one page, which needs no other file."""

import datetime
from html import escape
from pathlib import Path

from vaejax.reporting import page, values
from vaejax.reporting.page import format_number, is_number
from vaejax.runs.files import read_json, read_rows, write_atomic
from vaejax.runs.workdir import read_config

COLORS = dict(zip(('train', 'test', 'validation'), page.COLORS, strict=False))
NOT_METRICS = ('step', 'split', 'seconds')
LAST = ('lr', 'steps_per_s')  # charts at the end


def write_report(workdir) -> Path:
  """Writes workdir/report.html from what the workdir contains, atomically, and returns its path.

  It shows config.json and, if they exist, metrics.jsonl, evaluation.json and images/. All texts are
  escaped.

  Raises:
    UserError: config.json is missing or malformed.
    RunError: the disk is full.
  """
  workdir = Path(workdir)
  config = read_config(workdir).config
  rows = read_rows(workdir / 'metrics.jsonl')
  path = workdir / 'evaluation.json'
  results = read_json(path) if path.is_file() else {}
  results = {name: r for name, r in results.items() if isinstance(r, dict) and 'value' in r}
  subtitle = [workdir.resolve().name]
  if rows:
    clock = datetime.timedelta(seconds=round(rows[-1]['seconds']))
    subtitle += [f'{rows[-1]["step"]:,} steps', f'{clock} of training']
  parts = [
    _tiles(results),
    page.pictures(workdir / 'images'),
    f'<h2>Training</h2><div class="cards">{_charts(rows) or "No rows yet."}</div>',
    f'<h2>Evaluation</h2>{page.table(*values.table_of(results)) if results else "None yet."}',
    page.section('Protocol', values.details_of(results)) if results else '',
    page.config_table(config),
  ]
  title = f'{config.method} on {config.data.name}'
  write_atomic(workdir / 'report.html', page.render(title, ' · '.join(subtitle), parts))
  return workdir / 'report.html'


def _charts(rows) -> str:
  """A chart for each metric, with a curve for each split."""
  curves = {}
  for row in rows:
    for name, value in row.items():
      if name not in NOT_METRICS and row['split'] in COLORS and is_number(value):
        curves.setdefault(name, {}).setdefault(row['split'], []).append((row['step'], value))
  cards = []
  for name in sorted(curves, key=lambda name: name in LAST):
    last = {split: format_number(curve[-1][1]) for split, curve in curves[name].items()}
    note = page.legend((COLORS[split], f'{split} {value}') for split, value in last.items())
    colored = {COLORS[split]: curve for split, curve in curves[name].items()}
    cards.append(page.chart_card(name, note, colored))
  return ''.join(cards)


def _tiles(results) -> str:
  """The first results, large, with their errors."""
  tiles = ''.join(
    f'<div class="card"><p>{escape(name)}</p><b>{format_number(result["value"])}</b>'
    f'<p>{_error(result)}{escape(str(result.get("split")))} · step {result.get("step")}</p></div>'
    for name, result in list(results.items())[:6]
    if is_number(result['value'])
  )
  return f'<div class="tiles">{tiles}</div>'


def _error(result) -> str:
  """The standard error of a result, '' if it is unknown."""
  return f'± {result["error"]:.2g} · ' if is_number(result.get('error')) else ''
