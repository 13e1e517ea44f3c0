"""Data sets, one a file: what suits a set, and what is peculiar to it.

The name of a set is that of its file, or the dotted name of a module outside of this package
(`data.name=mylab.cells`, or that word after a config's colon). A file has, each where it needs it:

  SUITS: {'model.net': 'conv', ...}, the fields of a config that suit the set: how it is read and
    binarised, and the net and the likelihood of an autoencoder (see vaejax/presets.py).
  DRAWN: True of drawings in black and white; other sets are taken for photographs in colour.
  table(split, size, channels, fit, frames) -> Table: the rows of a set that TFDS does not read; a
    module outside of this package must have it. A setting is None where the set is to decide; one
    that means nothing to it, as `frames` to images, is ignored.
  SPLITS: the splits that `table` gives; ('train', 'test') where the file does not say.
  ARCHIVES, read(split, {archive: path}) -> (names of labels, (image, label) of every row): the
    official files of a set that data/official.py prepares for TFDS, and how they are read.
  WHITE: the value that TFDS has stored for white; 255 where the file does not say.

Any other set of TFDS needs no file. Configs read SUITS and DRAWN before anything else happens, so a
file imports JAX, NumPy and the like inside its functions.
"""

import importlib
import re
from types import ModuleType

from vaejax.lookup import exists, lookup, names

# What suits images whose grey levels are read as the chance of white.
BINARY = {'data.binarise': 'dynamic', 'model.likelihood': 'bernoulli'}


def title(dataset: str) -> str:
  """What a set is called, however it was named: 'mnist' of mnist:3.0.1 or /x/mnist/3.0.1."""
  path = dataset.startswith(('/', '.', '~'))
  parts = [part for part in re.split('[:/]', dataset) if not re.fullmatch(r'[\d.*~]*', part)]
  return (parts[-1] if path else parts[0]) if parts else dataset


def find(dataset: str) -> ModuleType | None:
  """The file of a set, however the set was named; None where it has none.

  Raises UserError for a dotted name of a module that is not there or has no `table`.
  """
  name = title(dataset)
  if '.' in name:
    return lookup('data.sets', name, attribute='table') if name == dataset else None
  known = name.isidentifier() and exists(f'{__name__}.{name}')
  return importlib.import_module(f'{__name__}.{name}') if known else None


def maker(dataset: str) -> ModuleType | None:
  """The file whose `table` gives the rows of exactly this name; None where TFDS reads them."""
  found = find(dataset) if title(dataset) == dataset else None
  return found if hasattr(found, 'table') else None


def known() -> list[str]:
  """The sets that need not be prepared elsewhere: those inside the package, and official ones."""
  return [*names('data.sets', 'table'), *names('data.sets', 'ARCHIVES')]
