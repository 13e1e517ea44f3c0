"""Weights as float16, which are cast to float32 as the file is loaded. Activations are float32."""

import numpy as np

from vaejax.export.graph.edit import Graph

NEEDS_ROWS = False
OPTIONS: dict[str, str] = {}
ARRAYS = 'weights.float16.npz'
READING = "as float32: arrays[name].astype('float32')"
MIN_SIZE = 64  # elements of an array; smaller ones stay as they are
LARGEST = float(np.finfo(np.float16).max)


def fits(x: np.ndarray) -> bool:
  """Whether an array is kept as float16: one that is too large for it stays float32."""
  return x.dtype == np.float32 and x.size >= MIN_SIZE and np.abs(x).max() <= LARGEST


def model(model, feeds=()):
  """The model with its constants as float16."""
  from onnx import ModelProto, TensorProto, helper

  made = ModelProto()
  made.CopyFrom(model)
  graph, casts = Graph(made), []
  for name, x in list(graph.constants.items()):
    if fits(x):
      small = graph.constant(f'{name}_float16', x.astype(np.float16))
      casts.append(helper.make_node('Cast', [small], [name], f'{name}_cast', to=TensorProto.FLOAT))
      graph.remove_constant(name)
  graph.prepend(casts)
  return made


def arrays(named):
  """Arrays in float32 as float16."""
  return {name: x.astype(np.float16) if fits(x) else x for name, x in named.items()}
