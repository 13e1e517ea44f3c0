"""Constants of a graph computed by onnxruntime's basic optimisation. Nodes are standard ones."""

import tempfile
from pathlib import Path


def fold(model):
  """A copy of an onnx.ModelProto without shapes, transposed weights and so on to compute."""
  import onnx
  import onnxruntime

  with tempfile.TemporaryDirectory() as folder:
    target = Path(folder, 'folded.onnx')
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, ['CPUExecutionProvider'])
    folded = onnx.load(target)
  used = {node.domain for node in folded.graph.node} | {''}
  kept = [x for x in folded.opset_import if x.domain in used]
  del folded.opset_import[:]
  folded.opset_import.extend(kept)
  return folded
