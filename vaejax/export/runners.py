"""Scripts beside ONNX files that make pictures with nothing of ours, in Python and JavaScript."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vaejax.export.artifact import File
from vaejax.inference import space
from vaejax.runs.files import write_atomic
from vaejax.types import Example

TEMPLATES = Path(__file__).parent / 'scripts'
FUNCTIONS = 'decode', 'sample'
# In a template, the line with what is known of the file that it runs.
KNOWN = re.compile(r"^(.*MODEL, CLASSES, LOW, HIGH.* = )(\[?)'.*(\n)", re.MULTILINE)


def functions_of(run) -> tuple[str, ...]:
  """The functions that make a run's pictures from noise: not `decode` if the prior is learned."""
  standard = space.standard(run.method, run.variables, run.example) is not None
  return FUNCTIONS if standard else FUNCTIONS[1:]


def write(
  files: Sequence[File], example: Example, folder: Path, names: Sequence[str] = FUNCTIONS
) -> list[File]:
  """Writes run.py and run.mjs for the first of these functions that takes nothing else than noise,
  labels and a temperature; nothing if there is none."""
  named = {file.function: file for file in files if runs(file)}
  for name in names:
    if name in named:
      return [fill(path, named[name], example, folder) for path in sorted(TEMPLATES.iterdir())]
  return []


def runs(file: File) -> bool:
  """Whether all that a function takes is of N(0, 1), labels or a temperature."""
  plain = lambda port: port.name == 'label' or (port.low is None and port.dtype == 'float32')
  return set(file.noise.values()) <= {'normal'} and all(map(plain, file.inputs))


def fill(template: Path, file: File, example: Example, folder: Path) -> File:
  """Writes a template with what is known of a file."""
  classes = max([int(port.high) + 1 for port in file.inputs if port.name == 'label'], default=1)
  low, high = shown_range(example)
  known = f"'{file.path.name}', {classes}, {low!r}, {high!r}"
  line = lambda match: match[1] + match[2] + known + ('];' if match[2] else '') + match[3]
  path = folder / template.name
  write_atomic(path, KNOWN.sub(line, template.read_text(encoding='utf-8'), count=1))
  return File(path)


def shown_range(example: Example) -> tuple[float, float]:
  """The numbers that pictures show as black and white, the extremes of all channels."""
  if not (units := example.units):
    return 0.0, 1.0
  ends = [(np.asarray(end) - units.shift) / units.scale for end in (units.low, units.high)]
  low, high = (np.asarray(units.inverse(end)) for end in ends)
  return float(low.min()), float(high.max())
