"""Scales and shifts of channels (as of batch normalisation) merged into the layer before them.

jax2onnx writes a convolution as Transpose, Conv, Transpose, a transposed one also with reshapes,
and a normalisation, a bias or a ReLU behind them as operations of their own. Here they come into
the layer, or right behind it, where a quantised runtime computes them together.
"""

import numpy as np

from vaejax.export.graph.edit import Graph, attribute

ELEMENTWISE = 'Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Pow'
LAYERS = 'Conv', 'Gemm'
AFFINE = 'Add', 'Sub', 'Mul', 'Div'


def merge(model) -> None:
  """Merges what can be merged in an onnx.ModelProto."""
  graph = Graph(model)
  for step in (relu, plain_gemm, affine, forward, depth_to_space, full_rank):
    for name in [node.output[0] for node in model.graph.node]:
      if name in graph.producer:
        step(graph, graph.producer[name])
  graph.drop_unused()


def relu(graph: Graph, node) -> None:
  """Max(x, 0) becomes Relu(x)."""
  from onnx import helper

  zero = [x for x in node.input if x in graph.constants and not graph.constants[x].any()]
  if node.op_type == 'Max' and len(node.input) == 2 and zero:
    (x,) = (x for x in node.input if x != zero[0])
    graph.replace([node], [helper.make_node('Relu', [x], list(node.output), node.name)])


def plain_gemm(graph: Graph, node) -> None:
  """A Gemm of constant weights gets a bias of its own, without factors."""
  from onnx import helper

  if node.op_type != 'Gemm' or node.input[1] not in graph.constants or attribute(node, 'transA', 0):
    return
  if len(node.input) > 2 and graph.constants.get(node.input[2], np.zeros((2, 2))).ndim > 1:
    return
  weight = graph.constants[node.input[1]] * np.float32(attribute(node, 'alpha', 1.0))
  weight = np.ascontiguousarray(weight.T if attribute(node, 'transB', 0) else weight)
  bias = graph.constants[node.input[2]] if len(node.input) > 2 else np.float32(0)
  bias = np.broadcast_to(bias * np.float32(attribute(node, 'beta', 1.0)), weight.shape[1:])
  names = with_weights(graph, node, weight, bias)
  graph.replace([node], [helper.make_node('Gemm', names, list(node.output), node.name)])


def with_weights(graph: Graph, layer, weight, bias) -> list[str]:
  """The inputs of a layer with new weights."""
  names = (f'{layer.output[0]}_{name}' for name in ('weight', 'bias'))
  arrays = (np.float32(weight), np.float32(bias))
  return [layer.input[0], *map(graph.constant, names, arrays)]


def affine(graph: Graph, node) -> None:
  """Merges an addition or multiplication of a constant into the layer before it, if there is one,
  and each of its channels has one constant."""
  constant = [x for x in node.input if x in graph.constants]
  if node.op_type not in AFFINE or len(node.input) != 2:
    return
  if len(constant) != 1 or (node.op_type in ('Sub', 'Div') and node.input[0] == constant[0]):
    return
  (x,) = (x for x in node.input if x != constant[0])
  source, chain = graph.chain(x)
  layer = graph.producer.get(source)
  if layer is None or not can_change(graph, layer) or graph.uses[x] != 1:
    return
  values = by_channel(graph, source, chain, layer, graph.constants[constant[0]])
  if values is None:
    return
  change(graph, layer, node.op_type, values)
  rename(graph, node, x)


def can_change(graph: Graph, layer) -> bool:
  """Whether a node is a layer with constant weights, and without factors."""
  fits = layer.op_type in LAYERS and layer.input[1] in graph.constants
  fits = fits and all(x in graph.constants for x in layer.input[2:])
  factors = {x.name for x in layer.attribute} & {'alpha', 'beta', 'transA', 'transB'}
  return fits and not factors


def by_channel(graph: Graph, source: str, chain, layer, constant) -> np.ndarray | None:
  """The constant of each channel of a layer, [channels], or None if a channel has several."""
  shape = graph.shapes.get(source, ())
  if len(shape) < 2 or 0 in shape[1:]:
    return None
  count = shape[1]
  form = [1] * len(shape)
  form[1] = count
  index = np.broadcast_to(np.arange(count).reshape(form), (1, *shape[1:]))
  index = graph.rearrange(chain, index)
  try:
    values = np.broadcast_to(constant, index.shape)
  except ValueError:
    return None
  found = np.zeros(count, np.float32)
  found[index.ravel()] = values.ravel()
  return found if np.array_equal(found[index], values) else None


def change(graph: Graph, layer, kind: str, values: np.ndarray) -> None:
  """Gives a layer the weights and bias that compute its outputs with an operation on each."""
  from onnx import helper

  weight = graph.constants[layer.input[1]]
  bias = graph.constants[layer.input[2]] if len(layer.input) > 2 else np.float32(0)
  if kind in ('Mul', 'Div'):
    scale = values if kind == 'Mul' else 1 / values
    shape = (-1, *[1] * (weight.ndim - 1)) if layer.op_type == 'Conv' else (1, -1)
    weight, bias = weight * scale.reshape(shape), bias * scale
  else:
    bias = bias + (values if kind == 'Add' else -values)
  names = with_weights(graph, layer, weight, np.broadcast_to(bias, values.shape))
  made = helper.make_node(layer.op_type, names, list(layer.output), layer.name)
  made.attribute.extend(layer.attribute)
  graph.replace([layer], [made])


def rename(graph: Graph, node, x: str) -> None:
  """Removes a node, whose consumers take x instead. If it is an output, x becomes its name."""
  name = node.output[0]
  graph.model.graph.node.remove(node)
  ends = {value.name for value in graph.model.graph.output}
  for other in graph.model.graph.node:
    if name in ends:
      other.output[:] = [name if o == x else o for o in other.output]
      other.input[:] = [name if i == x else i for i in other.input]
    else:
      other.input[:] = [x if i == name else i for i in other.input]
  graph.refresh()


def forward(graph: Graph, node) -> None:
  """Puts a Relu right behind the layer whose outputs, rearranged, it takes."""
  from onnx import helper

  if node.op_type != 'Relu':
    return
  source, chain = graph.chain(node.input[0])
  layer = graph.producer.get(source)
  if not chain or layer is None or layer.op_type not in LAYERS or graph.uses[node.input[0]] != 1:
    return
  middle = source + '_relu'
  relu = helper.make_node('Relu', [source], [middle], node.name)
  chain[0].input[0] = middle
  graph.shapes[middle] = graph.shapes.get(source, ())
  nodes = graph.model.graph.node
  nodes.insert(list(nodes).index(chain[0]), relu)
  rename(graph, node, node.input[0])


def depth_to_space(graph: Graph, node) -> None:
  """Replaces the layout nodes behind a node that spread channels over pixels by DepthToSpace."""
  from onnx import helper

  if node.op_type not in ('Conv', 'Relu'):
    return
  source, shape = node.output[0], graph.shapes.get(node.output[0], ())
  chain = graph.after(source)
  if len(shape) != 4 or 0 in shape[1:]:
    return
  index = np.arange(2 * np.prod(shape[1:])).reshape(2, *shape[1:])
  for count in range(len(chain), 0, -1):
    made, end = graph.rearrange(chain[:count], index), chain[count - 1].output[0]
    for perm in ((0, 1, 2, 3), (0, 2, 3, 1)):
      size = spread(index, made, perm)
      if not size:
        continue
      middle = end if perm[1] == 1 else f'{end}_nchw'
      new = [helper.make_node('DepthToSpace', [source], [middle], mode='DCR', blocksize=size)]
      if middle != end:
        new.append(helper.make_node('Transpose', [middle], [end], perm=perm))
      graph.replace(chain[:count], new)
      return


def spread(x: np.ndarray, made: np.ndarray, perm) -> int:
  """The block size of the DepthToSpace that makes `made` of x [N, C, H, W], transposed by `perm`; 0
  if there is none."""
  if made.ndim != 4:
    return 0
  n, c, h, w = x.shape
  size = made.shape[2 if perm[1] == 1 else 1] // h
  if size < 2 or c % size**2:
    return 0
  y = x.reshape(n, size, size, c // size**2, h, w).transpose(0, 3, 4, 1, 5, 2)
  return size if np.array_equal(y.reshape(n, -1, h * size, w * size).transpose(perm), made) else 0


def full_rank(graph: Graph, node) -> None:
  """Gives a scalar as many axes as what it is combined with: where that has one channel,
  onnxruntime is 40 times as fast with [1, 1, 1, 1] as with []."""
  if node.op_type not in ELEMENTWISE or len(node.input) != 2:
    return
  for i, name in enumerate(node.input):
    scalar, rank = graph.constants.get(name), len(graph.shapes.get(node.input[1 - i], ()))
    if scalar is not None and scalar.size == 1 and scalar.ndim < rank:
      full = f'{name}_of_{rank}'
      if full not in graph.constants:
        graph.constant(full, scalar.reshape([1] * rank))
      node.input[i] = full
      graph.refresh()
