"""A published table as a program: the interface of the files in configs/tables/.

The file configs/tables/NAME.py has get_table(mode) -> Table. Its docstring names the source, how
our protocol differs from it, and the cost. `mode` is 'whole' (for a GPU), 'short' (at most an hour
on two cores) or 'smoke' (seconds, for the tests). `python launch.py reproduce --table=NAME` runs
it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

MODES = ('whole', 'short', 'smoke')

# {(name of a cell, its setting): {value: [a number for each seed]}}. A setting is a text such as
# 'left_out=3', or '' without axes.
Results = Mapping[tuple[str, str], Mapping[str, list[float]]]

# {setting: {value: [(value, standard error over examples or None) for each seed]}} of a cell. The
# value of a seed is NaN if it has no finite one.
Pairs = Mapping[str, Mapping[str, list[tuple[float, float | None]]]]


Measured = Mapping[str, list[float]]  # {value: [a number for each seed]}


class Published(NamedTuple):
  """A published value, its published error, and its source if that is not the table's."""

  value: float
  error: float | None = None
  source: str = ''


class Use(NamedTuple):
  """A task of a trained cell, see vaejax/tasks.

  Attributes:
    command: the words of launch.py without --workdir: 'inpaint --mask=half --n=64'.
    caption: of its picture on the table's page; '' shows none.
    ending: of the file that is shown, '.gif' for one that moves.
  """

  command: str
  caption: str = ''
  ending: str = '.png'


class Cell(NamedTuple):
  """Runs that are trained and evaluated as one sweep. Each setting is a row of the table.

  Attributes:
    name: names the row and the cell's folder, for example 'iwae-5'.
    config: for example 'configs/iwae.py:mnist,samples=5'.
    fields: {field: text} to override. '{NAME}' in a text is the workdir of the earlier cell NAME:
      of its run, or of its sweep if it has axes; it must have one seed.
    axes: the axes of the sweep besides the seed, as for --grid: 'hyper.left_out=0:10'.
    seeds: number of seeds, 0 to seeds - 1; --seeds replaces it.
    evals: names of the evals; (): those of the config.
    published: {setting: {value: Published}}, where a setting is the text '' without axes.
    measure: instead of training, (folder, seeds, data_dir) -> {value: [a number for each seed]}, or
      a pair of that and a line for each part that could not be measured: then it is measured again.
    derive: instead of training, ({name: Pairs} of all earlier cells) -> (Pairs, {value: protocol})
      of this one. It is computed again each time.
    fixed_seeds: whether --seeds is ignored, for example for a judge.
    values: {name: heading} that this cell shows instead of those of the table.
    hidden: whether it is not shown, because it only serves later cells.
    chosen: how its settings were chosen, for tables with a page.
    tasks: {name: Use} of a cell of one run. Their scores are its values NAME.METRIC, and those of
      baselines NAME.METRIC.BASELINE.
  """

  name: str
  config: str = ''
  fields: Mapping[str, str] = {}
  axes: tuple[str, ...] = ()
  seeds: int = 1
  evals: tuple[str, ...] = ()
  published: Mapping[str, Mapping[str, Published]] = {}
  measure: Callable[[Path, int, Any], Measured | tuple[Measured, list[str]]] | None = None
  derive: Callable[[Mapping[str, Pairs]], tuple[Pairs, Mapping[str, dict]]] | None = None
  fixed_seeds: bool = False
  values: Mapping[str, str] = {}
  hidden: bool = False
  chosen: str = ''
  tasks: Mapping[str, Use] = {}


class Claim(NamedTuple):
  """A statement such as 'IWAE-5 is below VAE', and a test whether the results support it."""

  text: str
  holds: Callable[[Results], bool]


class Table(NamedTuple):
  """A table.

  Attributes:
    title: one line.
    source: where the published values are from.
    differences: how our protocol differs from the source's, one line each.
    cells: in order; later ones may use earlier ones.
    values: {name of a value: heading of its column}. Cells without any of them are not shown.
    claims: statements that the results must support.
    cost: measured or estimated, with the hardware.
    committed: a folder, relative to the project, where the record of each cell of the whole table
      is written too, as small JSON files; '' for none.
    pictures: a folder, relative to the project, for the pictures of tasks; '' for none.
    page: a Markdown file, relative to the project, that has the committed results between the lines
      <!-- reproduce --table=NAME --> and <!-- end of the table -->.
  """

  title: str
  source: str
  differences: tuple[str, ...]
  cells: tuple[Cell, ...]
  values: Mapping[str, str]
  claims: tuple[Claim, ...] = ()
  cost: str = ''
  committed: str = ''
  pictures: str = ''
  page: str = ''
