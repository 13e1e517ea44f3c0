"""Charts of tasks as pictures."""

from collections.abc import Mapping

import numpy as np

from vaejax.metrics.calibration import Reliability
from vaejax.reporting.page import COLORS

DPI = 150


def reliability_chart(diagrams: Mapping[str, Reliability], title: str = '') -> np.ndarray:
  """A reliability diagram, uint8 [h, w, 3]: the accuracy of the predictions in each bin of
  confidence, and below how many they are (Guo et al. 2017, figure 1).

  Args:
    diagrams: {name: diagram}. The first has bars, the others are lines.
    title: of the picture.
  """
  from matplotlib.backends.backend_agg import FigureCanvasAgg
  from matplotlib.figure import Figure

  figure = Figure(figsize=(5, 5.6), dpi=DPI, layout='constrained')
  canvas = FigureCanvasAgg(figure)
  above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
  for number, ((name, diagram), color) in enumerate(zip(diagrams.items(), COLORS, strict=False)):
    bins, here = len(diagram.count), diagram.count > 0
    centre = (np.arange(bins) + 0.5) / bins
    if number == 0:
      style = {'width': 0.9 / bins, 'color': color}
      above.bar(centre[here], diagram.accuracy[here], alpha=0.7, label=name, **style)
      below.bar(centre[here], diagram.count[here], **style)
    else:
      above.plot(diagram.confidence[here], diagram.accuracy[here], 'o-', color=color, label=name)
  above.plot([0, 1], [0, 1], '--', color='black', linewidth=1, label='calibrated')
  above.set(xlim=(0, 1), ylim=(0, 1), ylabel='accuracy', title=title)
  below.set(xlabel='confidence: probability of the predicted class', ylabel='predictions')
  below.set_yscale('log')
  above.legend(loc='upper left')
  canvas.draw()
  return np.asarray(canvas.buffer_rgba())[..., :3].copy()
