"""The files of a page that any static server serves, and of the runtime that it computes with."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaejax import explore
from vaejax.errors import UserError
from vaejax.runs.files import plain, write_atomic

PAGE = Path(explore.__file__).parent / 'page'
OWN = Path(__file__).parent / 'web'
PACKAGE = 'onnxruntime-web'
ENTRIES = 'ort.wasm.min.mjs', 'ort.webgpu.min.mjs'
# What an entry loads: a module, and the file of WebAssembly of the same name.
LOADED = re.compile(rb'ort-wasm[\w.-]*\.mjs')
POLICY = (
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' "
  "blob: data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'"
)
LINES = {
  '<meta name="viewport"': f'  <meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
  '  <meta name="referrer" content="no-referrer">\n',
}
WAITS = '<p id="status" role="status" aria-live="polite">'
LOADING = 'Loading… A page that is opened as a file shows nothing: it needs a server.'


def runtime(folder: str | Path | None) -> dict[str, bytes]:
  """{name: content} of the files of the runtime, from its npm package. Raises UserError if it is
  another folder."""
  if folder is None:
    return {}
  folder = Path(folder)
  try:
    about = json.loads((folder / 'package.json').read_bytes())
  except (OSError, ValueError):
    about = {}
  name = about.get('name') if isinstance(about, dict) else None
  if name != PACKAGE:
    raise UserError(
      f'--runtime={folder} is not the npm package {PACKAGE}. Get it with npm install {PACKAGE}, '
      f'and use --runtime=node_modules/{PACKAGE}'
    )
  files = {'package.json': folder / 'package.json'}
  for entry in ENTRIES:
    paths = [folder / 'dist' / entry]
    if paths[0].is_file():
      for loaded in sorted(set(LOADED.findall(paths[0].read_bytes()))):
        path = folder / 'dist' / loaded.decode()
        paths += [path, path.with_suffix('.wasm')]
    if missing := [path.name for path in paths if not path.is_file()]:
      raise UserError(
        f'--runtime={folder}, version {about.get("version")}, has no dist/{missing[0]}. Use '
        f'{PACKAGE} 1.30 or a newer version'
      )
    files |= {path.name: path for path in paths}
  return {name: path.read_bytes() for name, path in files.items()}


def page(about: Mapping[str, Any]) -> dict[str, bytes]:
  """{name: content} of the files of the page, index.html the last one."""
  files = {path.name: path for path in (*sorted(PAGE.iterdir()), *sorted(OWN.iterdir()))}
  content = {name: path.read_bytes() for name, path in files.items() if path.is_file()}
  text = content.pop('index.html').decode()
  for place, line in LINES.items():
    text = text.replace(f'  {place}', f'{line}  {place}', 1)
  text = text.replace(WAITS, WAITS + LOADING, 1)
  told = json.dumps(plain(about), ensure_ascii=False, allow_nan=False)
  return content | {'about.json': told.encode(), 'index.html': text.encode()}


def write(files: Mapping[str, bytes], folder: Path) -> None:
  """Writes files in order, each as a whole."""
  for name, content in files.items():
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / name, content)
