"""The flags of `export` and `explore`."""

import argparse

from vaejax.cli.flag_types import folder, integer, names, path
from vaejax.lookup import files


def add_export_flags(verb: argparse.ArgumentParser) -> None:
  """Adds the flags of `export`."""
  add = verb.add_argument
  about = f'{", ".join(files("export.formats"))}; several with commas (stablehlo)'
  add('--to', metavar='FORMATS', type=names, default=('stablehlo',), help=about)
  about = 'for example decode,encode (all that the run has)'
  add('--functions', metavar='NAMES', type=names, default=(), help=about)
  about = 'also smaller files of onnx and npz: float16 (of weights), int8_weights (with a scale a '
  about += 'channel) or int8 (of activations too); several with commas'
  add('--quantise', metavar='KINDS', type=names, default=(), help=about)
  add('--split', default='train', help='rows that int8 is calibrated on (train)')
  about = 'folder of the npm package onnxruntime-web, for --to=web'
  add('--runtime', metavar='DIR', type=folder, help=about)
  add('--licence', metavar='TEXT', default='', help='licence of the weights, for the card')
  add('--out', metavar='DIR', type=path, help='folder of the files (WORKDIR/export)')


def add_explore_flags(verb: argparse.ArgumentParser) -> None:
  """Adds the flags of `explore`."""
  add = verb.add_argument
  about = 'port of the page (any that is free)'
  add('--port', metavar='N', type=integer(0, 65535), default=0, help=about)
  add('--open', action='store_true', help='open the page in the browser')
