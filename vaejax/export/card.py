"""The model card: what was exported, as card.json for programs and card.md for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaejax.export import measured
from vaejax.export.artifact import Export, File
from vaejax.export.markdown import table
from vaejax.export.ports import Function, Port
from vaejax.reporting import values
from vaejax.runs.files import read_json, write_atomic, write_json
from vaejax.version import code_version

NAMES = 'card.json', 'card.md'
NO_LICENCE = 'not stated'


def write(
  export: Export,
  files: list[tuple[str, File]],
  errors: Mapping[Path, float],
  licence: str,
  out: Path,
  quantised: Mapping[str, Any],
) -> list[Path]:
  """Writes card.json and card.md, and returns their paths.

  Args:
    files: (format, file) of all that was written.
    errors: the difference of each file from the run.
    licence: of the weights; '' for not stated.
    quantised: what values of quantised files depend on, {} if there are none.
  """
  made = describe(export, files, errors, licence, out)
  made |= {'quantised': dict(quantised)} if quantised else {}
  paths = [out / name for name in NAMES]
  write_json(paths[0], made)
  write_atomic(paths[1], text(made))
  return paths


def describe(export: Export, files, errors, licence: str, out: Path) -> dict[str, Any]:
  """The card as a tree of JSON."""
  run, config = export.run, export.run.config
  recorded = run.folder / 'evaluation.json'
  recorded = read_json(recorded) if recorded.is_file() else {}
  of_these = {'step': run.step, 'weights': run.weights}
  recorded = {k: v for k, v in recorded.items() if of_these.items() <= v.items()}
  train = run.data.get('train', {})
  return {
    'model': 'conditional ' * run.method.conditional + config.method,
    'code': f'vaejax {code_version()}',
    **of_these,
    'seed': config.seed,
    'licence': licence or NO_LICENCE,
    'data': {'name': Path(config.data.name).name, 'rows': train.get('rows')},
    'values': recorded,
    'functions': {
      name: {
        'about': function.about,
        'inputs': list(map(port, function.inputs)),
        'outputs': list(map(port, function.outputs)),
      }
      for name, function in described(export, files).items()
    },
    'classes': list(run.example.class_names),
    'files': [of_file(format, file, errors, out) for format, file in files],
  }


def described(export: Export, files) -> dict[str, Function]:
  """The functions that files are of, all that are exported if there are none."""
  of_files = {
    file.function: file.computes or export.functions[file.function]
    for _, file in files
    if file.function
  }
  return of_files or dict(export.functions)


def port(port: Port) -> dict[str, Any]:
  """A port as JSON."""
  about = {'name': port.name, 'dtype': port.dtype, 'shape': list(port.shape)}
  limits = {'low': port.low, 'high': port.high}
  about |= {name: value for name, value in limits.items() if value is not None}
  return {**about, 'about': port.about}


def of_file(format: str, file: File, errors: Mapping[Path, float], out: Path) -> dict[str, Any]:
  """A file as JSON."""
  about = {'path': str(file.path.relative_to(out)), 'format': format}
  about['bytes'] = file.path.stat().st_size
  about |= {'quantised': file.quantised} if file.quantised else {}
  if not file.function:
    return about | dict(file.measured)
  about |= {'function': file.function, 'inputs': list(map(port, file.inputs))}
  about['rows'] = file.batch or 'any number'
  if file.path in errors:
    about['difference'] = errors[file.path]
  return about | dict(file.measured)


def text(card: Mapping[str, Any]) -> str:
  """The card as Markdown."""
  rows = card['data']['rows']
  lines = [
    f'# {card["model"]} of {card["data"]["name"]}',
    '',
    f'- Trained for {card["step"]:,} steps with seed {card["seed"]}, by {card["code"]}; the '
    + ('averaged weights.' if card['weights'] == 'ema' else 'weights of the last step.'),
    f'- Data: {card["data"]["name"]}' + (f', {rows:,} training rows.' if rows else '.'),
    f'- Licence of the weights: {card["licence"]}.',
    *([f'- Classes: {", ".join(card["classes"])}.'] if card['classes'] else []),
    '',
    '## Functions',
    '',
    *table(
      ['function', 'what it gives', 'inputs', 'outputs'],
      [
        [name, f['about'], *('<br>'.join(map(in_words, f[k])) for k in ('inputs', 'outputs'))]
        for name, f in card['functions'].items()
      ],
    ),
    '',
    '## Files',
    '',
    'The difference is the largest one from the run, relative to the largest value or 1, where '
    'weights are float32.',
    '',
    *table(
      ['file', 'takes', 'weights', 'kB', 'difference'],
      [
        [
          f['path'],
          '<br>'.join(map(in_words, f.get('inputs', ()))),
          f.get('quantised', 'float32' if 'function' in f or f['format'] == 'npz' else ''),
          f'{f["bytes"] / 1000:.1f}',
          f'{f["difference"]:.1e}' if 'difference' in f else '',
        ]
        for f in card['files']
      ],
    ),
  ]
  lines += measured.section(card.get('quantised', {}), card['files'])
  if card['values']:
    head, body = values.table_of(card['values'])
    lines += ['', '## Test values', '', *table(head, body)]
    lines += ['', *(f'- {line}' for line in values.details_of(card['values']))]
  return '\n'.join(lines) + '\n'


def in_words(port: Mapping[str, Any]) -> str:
  """A port as text: 'image float32 [batch, 28, 28, 1], 0 to 1: what is encoded'."""
  shape = f'[{", ".join(map(str, port["shape"]))}]'
  limits = f', {port["low"]:g} to {port["high"]:g}' if 'low' in port else ''
  return f'`{port["name"]}` {port["dtype"]} {shape}{limits}: {port["about"]}'
