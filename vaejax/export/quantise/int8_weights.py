"""Weights as int8 with one scale a channel. They are multiplied by it where they are used, and
activations are float32."""

import numpy as np

from vaejax.errors import UserError
from vaejax.export.graph.edit import Graph, attribute

NEEDS_ROWS = False
# With it, onnxruntime multiplies by the scales once, as it loads, and not at every call.
OPTIONS = {'session.disable_quant_qdq': '1'}
ARRAYS = 'weights.int8.npz'
READING = (
  "int8 arrays times their scale: arrays[name].astype('float32') * arrays[name + '/scale'], if "
  'there is one'
)
MIN_SIZE = 256  # elements of an array; smaller ones stay as they are
TOP = 127


def fits(x: np.ndarray) -> bool:
  """Whether an array is kept as int8."""
  return x.dtype == np.float32 and x.ndim > 1 and x.size >= MIN_SIZE


def rounded(x: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
  """x as int8, and the scales, [channels] along an axis, that it is multiplied by: the largest
  value of a channel is 127. The error is at most half a scale."""
  others = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
  scale = np.abs(x).max(others).astype(np.float32) / TOP
  scale = np.where(scale == 0, np.float32(1), scale)
  shape = [1] * x.ndim
  shape[axis] = -1
  return np.rint(x / scale.reshape(shape)).astype(np.int8), scale


def model(model, feeds=()):
  """The model with the weights of its layers as int8. Raises UserError if it has none."""
  from onnx import ModelProto, helper

  made = ModelProto()
  made.CopyFrom(model)
  graph, nodes = Graph(made), []
  for name, x in list(graph.constants.items()):
    if fits(x) and (axis := channels(graph, name)) is not None:
      small, scale = rounded(x, axis)
      inputs = [graph.constant(f'{name}_int8', small), graph.constant(f'{name}_scale', scale)]
      axis %= x.ndim
      nodes.append(helper.make_node('DequantizeLinear', inputs, [name], f'{name}_float', axis=axis))
      graph.remove_constant(name)
  if not nodes:
    raise UserError('it has no layers with weights, or only within a loop')
  graph.prepend(nodes)
  return made


def channels(graph: Graph, name: str) -> int | None:
  """The axis of the outputs of a layer's weights; None for another constant."""
  users = [node for node in graph.model.graph.node if name in node.input]
  layers = [node for node in users if list(node.input).index(name) == 1]
  if not users or len(layers) < len(users):
    return None
  kinds = {node.op_type for node in layers}
  if kinds == {'Conv'}:
    return 0
  if kinds == {'Gemm'}:
    return 0 if any(attribute(node, 'transB', 0) for node in layers) else -1
  return -1 if kinds == {'MatMul'} else None


def arrays(named):
  """Arrays of two axes or more as int8, with 'NAME/scale', which has the same number of axes. The
  last axis is that of channels."""
  made = {}
  for name, x in named.items():
    if not fits(x):
      made[name] = x
      continue
    made[name], scale = rounded(x, -1)
    made[f'{name}/scale'] = scale.reshape(*[1] * (x.ndim - 1), -1)
  return made
