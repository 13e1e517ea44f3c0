"""ONNX graphs as jax2onnx writes them: merged and quantised, they compute the same, or nearly."""

import numpy as np
import pytest

from vaejax.export.quantise import float16, int8, int8_weights

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

LATENTS, C, F, SIZE = 64, 8, 6, 5  # channels in, channels out, and the side of an image


def decoder(seed=0, spoil=''):
  """A dense layer and a transposed convolution, with normalisation and ReLU behind each.

  `spoil`: 'pixels', for a scale of each pixel and not of each channel; 'used' or 'dense', if the
  output of the convolution, or of the dense layer, has a second consumer.
  """
  random = np.random.default_rng(seed)
  draw = lambda *shape: random.normal(size=shape).astype(np.float32)
  constants = {
    'w': draw(LATENTS, SIZE * SIZE * C),
    'none': np.float32(0),
    'shift': draw(1, SIZE * SIZE * C),
    'zero': np.float32(0),
    'square': np.array([-1, SIZE, SIZE, C]),
    'kernel': draw(4 * F, C, 3, 3),
    'six': np.array([-1, SIZE, SIZE, 2, 2, F]),
    'four': np.array([-1, 2 * SIZE, 2 * SIZE, F]),
    'mean': draw(1, 1, 1, F),
    'scale': draw(1, 2 * SIZE, 1, 1) if spoil == 'pixels' else draw(1, 1, 1, F),
    'bias': draw(1, 1, 1, F),
    'last': draw(F, 1),
    'half': np.float32(0.5),
  }
  node = onnx.helper.make_node
  nodes = [
    node('Gemm', ['z', 'w', 'none'], ['a'], alpha=1.0, beta=0.0),
    node('Add', ['a', 'shift'], ['b']),
    node('Reshape', ['b', 'square'], ['c']),
    node('Max', ['c', 'zero'], ['d']),
    node('Transpose', ['d'], ['e'], perm=[0, 3, 1, 2]),
    node('Conv', ['e', 'kernel'], ['f'], pads=[1, 1, 1, 1]),
    node('Transpose', ['f'], ['g'], perm=[0, 2, 3, 1]),
    node('Reshape', ['g', 'six'], ['h']),
    node('Transpose', ['h'], ['i'], perm=[0, 1, 3, 2, 4, 5]),
    node('Reshape', ['i', 'four'], ['j']),
    node('Sub', ['j', 'mean'], ['k']),
    node('Mul', ['k', 'scale'], ['l']),
    node('Add', ['l', 'bias'], ['m']),
    node('Max', ['m', 'zero'], ['n']),
    node('MatMul', ['n', 'last'], ['o']),
    node('Mul', ['half', 'o'], ['image']),
  ]
  value = lambda name, shape: onnx.helper.make_tensor_value_info(name, 1, shape)
  outputs = [value('image', ['batch', 2 * SIZE, 2 * SIZE, 1])]
  outputs += [value('f', ['batch', 4 * F, SIZE, SIZE])] if spoil == 'used' else []
  outputs += [value('a', ['batch', SIZE * SIZE * C])] if spoil == 'dense' else []
  initial = [onnx.numpy_helper.from_array(np.asarray(x), k) for k, x in constants.items()]
  graph = onnx.helper.make_graph(
    nodes, 'decoder', [value('z', ['batch', LATENTS])], outputs, initial
  )
  imports = [onnx.helper.make_opsetid('', 21)]
  model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=10)
  onnx.checker.check_model(model, full_check=True)
  return model


def run(model, z):
  import onnxruntime

  onnx.checker.check_model(model)
  session = onnxruntime.InferenceSession(model.SerializeToString(), None, ['CPUExecutionProvider'])
  return session.run(None, {'z': z})


def simple(model):
  from vaejax.export.graph import simple

  return simple.of(model)


def kinds(model):
  return [node.op_type for node in model.graph.node]


Z = np.random.default_rng(1).normal(size=(16, LATENTS)).astype(np.float32)


def test_normalisation_and_relu_come_into_and_behind_the_layers():
  model = decoder()
  merged = simple(model)
  expected = ['Gemm', 'Relu', 'Reshape', 'Transpose', 'Conv', 'Relu', 'DepthToSpace', 'Transpose']
  assert kinds(merged) == [*expected, 'MatMul', 'Mul']
  (made,), (before,) = run(merged, Z), run(model, Z)
  np.testing.assert_allclose(made, before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(('spoil', 'kept'), [('pixels', 3), ('used', 4), ('dense', 2)])
def test_what_cannot_be_merged_stays(spoil, kept):
  model = decoder(spoil=spoil)
  merged = simple(model)
  affine = [kind for kind in kinds(merged) if kind in ('Add', 'Sub', 'Mul')]
  assert len(affine) == kept and 'Max' not in kinds(merged)
  for made, before in zip(run(merged, Z), run(model, Z), strict=True):
    np.testing.assert_allclose(made, before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(('kind', 'most'), [(float16, 1e-3), (int8_weights, 0.02), (int8, 0.05)])
def test_quantised_graphs_are_smaller_and_near(kind, most):
  merged = simple(decoder())
  calibration = np.random.default_rng(2).normal(size=(200, LATENTS)).astype(np.float32)
  small = kind.model(merged, [{'z': calibration}] if kind.NEEDS_ROWS else [])
  size = lambda model: len(model.SerializeToString())
  assert size(small) < (0.6 if kind is float16 else 0.4) * size(merged)
  (made,), (before,) = run(small, Z), run(merged, Z)
  change = np.sqrt(np.mean(np.square(made - before))) / before.std()
  assert 0 < change < most
  again = kind.model(merged, [{'z': calibration}])
  assert again.SerializeToString() == small.SerializeToString()


def test_weights_of_a_layer_have_one_scale_for_each_output():
  merged = simple(decoder())
  small = int8_weights.model(merged)
  arrays = {x.name: onnx.numpy_helper.to_array(x) for x in small.graph.initializer}
  dequantised = [node for node in small.graph.node if node.op_type == 'DequantizeLinear']
  shapes = sorted(arrays[node.input[1]].shape for node in dequantised)
  assert shapes == [(4 * F,), (SIZE * SIZE * C,)]
  assert all(arrays[node.input[0]].dtype == np.int8 for node in dequantised)


def test_scalars_have_the_rank_of_what_they_scale():
  merged = simple(decoder())
  shapes = {x.name: tuple(x.dims) for x in merged.graph.initializer}
  assert shapes[merged.graph.node[-1].input[0]] == (1, 1, 1, 1)


def test_without_layers_there_is_nothing_to_keep_in_int8():
  from vaejax.errors import UserError

  node = onnx.helper.make_node('Relu', ['z'], ['image'])
  value = lambda name: onnx.helper.make_tensor_value_info(name, 1, ['batch', LATENTS])
  graph = onnx.helper.make_graph([node], 'relu', [value('z')], [value('image')])
  for kind in (int8, int8_weights):
    with pytest.raises(UserError, match='no layers'):
      kind.model(onnx.helper.make_model(graph, ir_version=10), [{'z': Z}])
