"""A page that moves latents in the visitor's browser, by onnxruntime-web, from any static server.

  npm install onnxruntime-web
  python launch.py export --workdir=runs/m --to=web --runtime=node_modules/onnxruntime-web --out=DIR

It is the page of `explore`, with another model.js. Nothing is sent anywhere. The weights of what
makes pictures are float32, and those of what reads them float16.
"""

from pathlib import Path
from typing import Any

from vaejax.data.fit import colour
from vaejax.errors import UserError
from vaejax.explore.capabilities import about as describe
from vaejax.explore.latents import activity
from vaejax.export import browser, site
from vaejax.export.artifact import Export, File
from vaejax.export.browser import Moved
from vaejax.export.formats import onnx
from vaejax.export.quantise import float16

ROWS = 64  # pictures decoded at a time to order the latents
load = onnx.load


def write(export: Export, folder: Path) -> list[File]:
  """Writes the page with its models, and the runtime if it is given."""
  runtime = site.runtime(export.settings.get('runtime'))
  moved = browser.moved(export.run, export.functions)
  models, files = {}, {}
  for name, function in moved.functions.items():
    path = folder / 'model' / f'{name}.onnx'
    try:
      model, file = onnx.convert(function, path)
    except UserError as error:
      if name == moved.decoder:
        raise UserError(f'there is no page without {name}: {error}') from None
      export.log(f'the page has no {name}: {error}')
      continue
    if name == 'encode':
      model, file = float16.model(model), file._replace(quantised='float16')
    files[name] = file._replace(computes=function)
    models[f'model/{path.name}'] = model.SerializeToString()
  page = site.page(about(export.run, moved, files))
  site.write({f'runtime/{name}': content for name, content in runtime.items()}, folder)
  site.write(models | page, folder)
  size = sum(map(len, (models | page).values()))
  export.log(f'the page is {in_megabytes(size)}{beside(runtime)}')
  return [*files.values(), File(folder / 'index.html')]


def check(export: Export) -> None:
  """Raises UserError for a run that has nothing to show, for a folder that is not the runtime, and
  without the extra `onnx`."""
  site.runtime(export.settings.get('runtime'))
  browser.moved(export.run, export.functions)
  onnx.check(export)


def about(run, moved: Moved, files: dict[str, File]) -> dict[str, Any]:
  """What the page is told: JSON without a path of this machine."""
  latents, decoder = moved.latents, moved.decoder
  classes = browser.classes_of(run, files, decoder)
  *frames, _, _, _ = run.example.fields[run.example.data].shape
  frames = (frames or [1])[0]
  values = activity(latents, classes, frames, ROWS) if latents else None
  models = browser.models(files, decoder, latents)
  reads = ['read'] if 'encode' in models else []
  return describe(run, latents, values) | {
    'controls': [*models, *reads],
    'needs_label': classes > 0,
    'mask': '',
    'source': None,
    'levels': run.example.levels,
    'background': list(colour(run.config.data.get('background', 'auto'))),
    'models': models,
  }


def beside(runtime: dict[str, bytes]) -> str:
  """What is said of the runtime."""
  if not runtime:
    return '. Without --runtime=DIR it says how to get onnxruntime-web'
  return f', beside {in_megabytes(sum(map(len, runtime.values())))} of onnxruntime-web'


def in_megabytes(size: int) -> str:
  """A number of bytes as text."""
  return f'{size / 1e6:.2f} MB'
