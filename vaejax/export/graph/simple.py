"""Equal graphs with fewer nodes."""

from vaejax.export.graph.fold import fold
from vaejax.export.graph.merge import merge


def of(model):
  """A copy of an onnx.ModelProto with constants computed and scales of channels merged."""
  made = fold(model)
  merge(made)
  return made
