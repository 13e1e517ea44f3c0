"""Weights and activations as int8: static, with scales of activations from training rows.

Weights have one scale a channel, activations one scale each, by onnxruntime's quantisation to
QuantizeLinear and DequantizeLinear, between which a runtime computes in int8.
"""

import tempfile
from pathlib import Path

from vaejax.errors import UserError
from vaejax.export.formats.onnx import quiet
from vaejax.export.graph.edit import Graph
from vaejax.export.quantise import int8_weights

NEEDS_ROWS = True
OPTIONS: dict[str, str] = {}
ARRAYS, READING, arrays = int8_weights.ARRAYS, int8_weights.READING, int8_weights.arrays
LAYERS = 'Conv', 'Gemm', 'MatMul'
BETWEEN = 'Relu', 'DepthToSpace', 'Reshape', 'Transpose'  # of activations that are int8 already


def model(model, feeds):
  """The model with its layers in int8. Raises UserError if it has no layers, or onnxruntime cannot
  quantise."""
  try:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
  except ImportError as error:
    raise UserError(f"int8 needs {error.name}. Install it with pip install -e '.[onnx]'") from None
  import onnx

  if not any(node.op_type in LAYERS for node in model.graph.node):
    raise UserError('it has no layers with weights, or only within a loop')
  with tempfile.TemporaryDirectory() as folder:
    source, target = f'{folder}/float32.onnx', Path(folder, 'int8.onnx')
    onnx.save(model, source)
    with quiet():
      quantize_static(
        source,
        target,
        Rows(feeds),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=[*LAYERS, *BETWEEN],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
      )
    made = onnx.load(target)
  without_zeros(made)
  return made


class Rows:
  """Inputs as onnxruntime reads them for its calibration."""

  def __init__(self, feeds):
    self.feeds = iter(feeds)

  def get_next(self):
    return next(self.feeds, None)


def without_zeros(model) -> None:
  """Leaves out zero points of biases: they are all zero, which is the default. onnxruntime computes
  a Gemm in int8 only with those of its weights."""
  graph = Graph(model)
  for node in model.graph.node:
    if node.op_type == 'DequantizeLinear' and len(node.input) > 2:
      zero = graph.constants.get(node.input[2])
      if zero is not None and zero.dtype == 'int32' and not zero.any():
        del node.input[2]
  graph.refresh()
  graph.drop_unused()
