"""The results of accelerator.py as files: JSON with everything, and a Markdown table."""

import json
import os
from pathlib import Path


def write(out: Path, result: dict) -> None:
  """Writes accelerator.json and accelerator.md; a reader never sees half a file."""
  for name, text in (
    ('accelerator.json', json.dumps(result, indent=1) + '\n'),
    ('accelerator.md', markdown(result)),
  ):
    new = out / f'.{name}.tmp'
    new.write_text(text)
    os.replace(new, out / name)


def markdown(result: dict) -> str:
  """What ran, where and when, the figures in a table, and the parts that did not end well."""
  about = result['about']
  versions = ', '.join(f'{name} {version}' for name, version in about['versions'].items())
  cpu = about['platform'] == 'cpu'
  lines = [
    f'`python tests/benchmarks/accelerator.py --minutes={about["minutes"]:g}`, {about["date"]}, '
    f'{about["devices"]} x {about["device"]}, {versions}.',
    *(['', '**This is a CPU: small sizes, to try the program. No accelerator.**'] * cpu),
    '',
    'A value is the median of its repeats, ± half their range. The seed is 0 where none is named. '
    "float32 products have JAX's default precision, on recent GPUs TF32; PyTorch's there too.",
    '',
    '| figure | value | unit | repeats | what ran |',
    '| --- | --- | --- | --- | --- |',
  ]
  for figure in result['figures']:
    seed = figure.get('seed', 0)
    what = figure.get('note') or figure['what'] + (f'; seed {seed}' if seed else '')
    cells = figure['name'], value(figure), figure.get('unit', ''), figure.get('repeats', ''), what
    lines.append('| ' + ' | '.join(str(cell).replace('|', '/') for cell in cells) + ' |')
  bad = {name: part for name, part in result['parts'].items() if part['status'] != 'done'}
  lines += ['', *(f'- {name}: {part["status"]}.' for name, part in bad.items())]
  return '\n'.join(lines).rstrip() + '\n'


def value(figure: dict) -> str:
  """A figure's value and error; nothing where it is open."""
  if 'value' not in figure:
    return ''
  text = f'{figure["value"]:.4g}'
  return text if figure['error'] is None else f'{text} ± {figure["error"]:.2g}'


def line(figure: dict) -> str:
  """A figure in one line, for a terminal."""
  if 'value' not in figure:
    return f'{figure["name"]}: {figure["note"]}'
  return f'{figure["name"]}: {value(figure)} {figure["unit"]} ({figure["what"][:120]})'
