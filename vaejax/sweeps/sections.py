"""The parts of a sweep's report: paired differences, curves with bands over seeds, protocols."""

import math
import statistics
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from vaejax.reporting import page
from vaejax.reporting.page import is_number
from vaejax.reporting.values import details_of
from vaejax.sweeps import paired

NOT_METRICS = ('step', 'split', 'seconds', 'member', 'steps_per_s', 'final')


def mean_and_error(values: list[float]) -> tuple[float | None, float | None]:
  """The mean and its standard error; None if there are too few values."""
  error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
  return statistics.fmean(values) if values else None, error


def protocol_section(protocols: dict[str, dict]) -> str:
  """A line for each protocol, with its values."""
  return page.section('Protocol', details_of(protocols, besides=())) if protocols else ''


def paired_section(settings: Sequence[Any], comparisons: list[paired.Comparison]) -> str:
  """A table of the paired differences of the shown settings from the first one, '' if there are
  none."""
  reference, shown = settings[0].label, {s.label for s in settings}
  rows = [
    paired.in_words(c) for c in comparisons if c.reference == reference and c.setting in shown
  ]
  if not rows:
    return ''
  note = (
    f"Each setting minus {reference}, seed by seed. The interval is Student's t. The sign test "
    'checks whether both signs are equally likely. All pairs are in paired.csv.'
  )
  heading = f'<h2>Paired differences over common seeds</h2><p>{escape(note)}</p>'
  return heading + page.table(['setting', 'value', 'seeds', *paired.COLUMNS], rows)


def curves(settings: Sequence[Any], rows: list[dict]) -> str:
  """A chart for each split and metric, with a curve for each setting: the mean over its members,
  with a band of its standard error."""
  colors = {n: page.COLORS[i] for i, s in enumerate(settings) for n in s.members}
  points = collect((colors[row['member']], row) for row in rows if row['member'] in colors)
  cards = []
  for (split, name), steps_of in sorted(points.items()):
    cards.append(page.chart_card(name, split, *means_and_bands(steps_of)))
  labels = [(color, s.label) for color, s in zip(page.COLORS, settings, strict=False)]
  several = any(len(s.members) > 1 for s in settings)
  heading = 'Curves' + ', mean over seeds ± its standard error' * several
  legend = f'<p>{page.legend(labels)}</p>'
  return f'<h2>{heading}</h2>{legend}<div class="cards">{"".join(cards)}</div>'


def collect(rows: Iterable[tuple[str, dict]], leave_out: Sequence[str] = NOT_METRICS):
  """{(split, metric): {color: {step: [of each member]}}} of (color, row of metrics.jsonl).

  Of several rows of a member at a step the last counts: the last test may be of more examples.
  """
  points = {}
  for color, row in rows:
    for name, value in row.items():
      if name not in leave_out and is_number(value):
        steps = points.setdefault((row['split'], name), {}).setdefault(color, {})
        steps.setdefault(row['step'], {})[row.get('member')] = value
  return {
    key: {
      color: {step: list(values.values()) for step, values in steps.items()}
      for color, steps in of_colors.items()
    }
    for key, of_colors in points.items()
  }


def means_and_bands(steps_of: dict[str, dict[int, list[float]]]) -> tuple[page.Curves, page.Bands]:
  """The curves and the bands of a chart, from {color: {step: values of the seeds}}: means, and
  means ± standard errors."""
  means, bands = {}, {}
  for color, steps in steps_of.items():
    of_step = [(step, *mean_and_error(values)) for step, values in sorted(steps.items())]
    means[color] = [(step, mean) for step, mean, _ in of_step]
    band = [(step, mean - e, mean + e) for step, mean, e in of_step if e is not None]
    bands |= {color: band} if band else {}
  return means, bands
