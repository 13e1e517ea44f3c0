"""Milliseconds of one picture: a decoder and an encoder at batch 1, by JAX and by onnxruntime.

  python tests/benchmarks/deploy.py [--small] [--families=vae_conv,rvae] [--sizes=28,64,128]

Of nets that are not trained, which takes as long. The recurrent VAE makes one frame, and is given
one, with its state. `Run` is the method of Run, but for one row at a time instead of 256, or for a
video one step of Run.stream; `jit` is the function alone, compiled for one row with its weights as
constants. Both runtimes use all cores.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import figures
import jax
import numpy as np

from vaejax.api.run import Run
from vaejax.config.load import load_config
from vaejax.core.factory import initial_state, make_method
from vaejax.data import sources, splits
from vaejax.export import feeds, functions, latency
from vaejax.export.artifact import examples
from vaejax.export.formats import onnx
from vaejax.export.quantise import int8
from vaejax.runs.files import write_atomic
from vaejax.runs.trained import TrainedRun

ROOT = Path(__file__).parents[2]
SIZES = 28, 64, 128
WAYS = 'Run', 'jit', 'onnxruntime', 'onnxruntime int8'


class Family(NamedTuple):
  """A config, the functions of a run that are measured, and the smallest size of its data."""

  config: str
  functions: tuple[str, ...] = ('decode', 'encode')
  smallest: int = 28


FAMILIES = {
  'vae_mlp': Family('vae.py:digits,widths=500'),
  'vae_conv': Family('vae.py:digits,net=conv,widths=(),norm=batch'),
  'vae_resnet': Family('vae.py:digits,net=resnet,widths=(),norm=group'),
  'cvae': Family('cvae.py:digits,net=conv,widths=()'),
  'gan': Family('gan.py:digits,net=conv,widths=()', ('sample',)),
  'vaegan': Family('vaegan.py:digits,net=conv,widths=()'),
  'rvae': Family('rvae.py:moving,net=conv,widths=256,data.frames=6', ('advance', 'observe'), 32),
  'style': Family('style.py:digits', ('transfer',)),
}
# Each doubling of the size has one more convolution.
CHANNELS = {28: '32,64', 32: '32,64', 64: '32,64,64', 128: '32,64,64,64'}


def untrained(family: str, size: int) -> Run:
  """A run of a family whose nets are at their first values."""
  words = f'{FAMILIES[family].config},data.size={size}'
  words += f',model.channels={CHANNELS[size]}' if 'net=' in words else ''
  config = load_config(f'{ROOT}/configs/{words}')
  example = sources.test(config.data, splits.table(config.data, 'test', None)).example
  method = make_method(config, example)
  state = jax.jit(lambda: initial_state(method, config, example))()
  run = Run(TrainedRun(Path('none'), config, example, None, method, state, {}), 'raw')
  run._at_once = 1
  return run


def as_method(run: Run, name: str, arrays: list[np.ndarray]):
  """One call of a function as a user of Run makes it."""
  if name == 'advance':
    return run.stream(1).next
  if name == 'observe':
    frame, stream = arrays[-2], run.stream(1)
    return lambda: stream.observe(frame)
  function = functions.choose(run, (name,))[name]
  return lambda: function.reference(0, *arrays)


def measure(family: str, size: int, folder: Path, seconds: float) -> None:
  """Reports milliseconds of the functions of a family by each way."""
  run = untrained(family, size)
  rows = feeds.read_rows(run, 'test', 64)
  for name in FAMILIES[family].functions:
    function = functions.choose(run, (name,))[name]
    arrays = examples(function, 1)
    model, file = onnx.convert(function, folder / f'{family}{size}{name}.onnx')
    write_atomic(file.path, model.SerializeToString())
    small = int8.model(model, feeds.make(run, file, rows, 0))
    write_atomic(file.path.with_suffix('.int8.onnx'), small.SerializeToString())
    named = dict(zip((port.name for port in function.inputs), arrays, strict=True))
    named |= feeds.noise(file, 1, 0)
    given = {port.name: named[port.name] for port in file.inputs}
    jitted = jax.jit(lambda *arrays, call=function.call: call(jax.random.key(0), *arrays))
    calls = {
      'Run': as_method(run, name, arrays),
      'jit': lambda f=jitted, x=arrays: jax.block_until_ready(f(*x)),
    }
    for way, suffix in (('onnxruntime', '.onnx'), ('onnxruntime int8', '.int8.onnx')):
      session = latency.session(file.path.with_suffix(suffix))
      calls[way] = lambda s=session, x=given: s.run(None, x)
    for way, times in latency.rounds(calls, seconds=seconds).items():
      figures.report(f'{family} {size} {name}, {way}', times, 'ms', 'one row')
      MEASURED.setdefault((family, size, name), {})[way] = times


MEASURED: dict[tuple[str, int, str], dict[str, list[float]]] = {}


def table() -> str:
  """The medians as Markdown."""
  line = lambda cells: '| ' + ' | '.join(map(str, cells)) + ' |'
  lines = [line(['family', 'pixels', 'function', *WAYS]), line(['---'] * (3 + len(WAYS)))]
  order = list(FAMILIES)
  for key in sorted(MEASURED, key=lambda key: (order.index(key[0]), key[1])):
    (family, size, name), ways = key, MEASURED[key]
    values = (f'{np.median(ways[way]):.3g}' for way in WAYS)
    lines.append(line([family.replace('_', ' '), size, name, *values]))
  return '\n'.join(lines)


def main():
  parser = figures.parser(__doc__)
  parser.add_argument('--families', default=','.join(FAMILIES))
  parser.add_argument('--sizes', default=','.join(map(str, SIZES)))
  flags = parser.parse_args()
  sizes = [int(size) for size in flags.sizes.split(',')]
  if flags.small:
    sizes = sizes[:1]
  with tempfile.TemporaryDirectory() as folder:
    for size in sizes:
      for family in flags.families.split(','):
        measure(
          family, max(size, FAMILIES[family].smallest), Path(folder), 0.02 if flags.small else 0.15
        )
  print(table())


if __name__ == '__main__':
  main()
