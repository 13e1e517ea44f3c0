"""An ONNX graph whose nodes can be looked up and replaced."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

LAYOUT = 'Transpose', 'Reshape'


class Graph:
  """A graph of an onnx.ModelProto, which is changed in place.

  Attributes:
    constants: {name: array} of its initializers.
    shapes: {name: shape} of values of known rank; 0 stands for a dimension that is not known.
  """

  def __init__(self, model):
    from onnx import numpy_helper, shape_inference

    self.model = model
    inferred = shape_inference.infer_shapes(model).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    self.shapes = {
      value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
      for value in values
      if value.type.tensor_type.HasField('shape')
    }
    self.constants = {x.name: numpy_helper.to_array(x) for x in model.graph.initializer}
    self.refresh()

  def refresh(self) -> None:
    """Finds producers and consumers again, after nodes have changed."""
    nodes = self.model.graph.node
    self.producer = {name: node for node in nodes for name in node.output}
    self.consumer = {name: node for node in nodes for name in node.input}
    self.uses = Counter(name for node in nodes for name in node.input)
    self.uses.update(value.name for value in self.model.graph.output)
    self.uses.update(name for node in nodes for name in taken_inside(node))

  def chain(self, name: str) -> tuple[str, list]:
    """The value that `name` is a rearrangement of, and the nodes between them, first to last, none
    of which has another consumer."""
    nodes = []
    node = self.producer.get(name)
    while node is not None and node.op_type in LAYOUT and self.uses[node.input[0]] == 1:
      if node.op_type == 'Reshape' and node.input[1] not in self.constants:
        break
      nodes.insert(0, node)
      name = node.input[0]
      node = self.producer.get(name)
    return name, nodes

  def after(self, name: str) -> list:
    """The layout nodes that rearrange a value, first to last."""
    nodes = []
    while self.uses[name] == 1 and name in self.consumer:
      node = self.consumer[name]
      fixed = node.op_type == 'Transpose' or node.input[-1] in self.constants
      if node.op_type not in LAYOUT or not fixed:
        break
      nodes.append(node)
      name = node.output[0]
    return nodes

  def rearrange(self, nodes: Sequence, x: np.ndarray) -> np.ndarray:
    """What layout nodes make of x."""
    for node in nodes:
      if node.op_type == 'Transpose':
        x = x.transpose(attribute(node, 'perm'))
      else:
        shape = [x.shape[i] if n == 0 else n for i, n in enumerate(self.constants[node.input[1]])]
        x = x.reshape(shape)
    return x

  def replace(self, old: Sequence, new: Sequence) -> None:
    """Puts new nodes at the place of the last of the old ones."""
    nodes = list(self.model.graph.node)
    place = max(nodes.index(node) for node in old) + 1
    kept = [*nodes[:place], *new, *nodes[place:]]
    del self.model.graph.node[:]
    self.model.graph.node.extend(node for node in kept if node not in old)
    self.refresh()

  def constant(self, name: str, x: np.ndarray) -> str:
    """Adds a constant, and returns its name, which is a new one."""
    from onnx import numpy_helper

    while name in self.constants or name in self.producer:
      name += '_'
    self.constants[name] = x
    self.model.graph.initializer.append(numpy_helper.from_array(x, name))
    return name

  def remove_constant(self, name: str) -> None:
    """Removes a constant, for a node that computes it."""
    del self.constants[name]
    kept = [x for x in self.model.graph.initializer if x.name != name]
    del self.model.graph.initializer[:]
    self.model.graph.initializer.extend(kept)

  def prepend(self, nodes: Sequence) -> None:
    """Puts nodes before all others."""
    rest = list(self.model.graph.node)
    del self.model.graph.node[:]
    self.model.graph.node.extend([*nodes, *rest])
    self.refresh()

  def drop_unused(self) -> None:
    """Removes constants that no node takes."""
    kept = [x for x in self.model.graph.initializer if self.uses[x.name]]
    del self.model.graph.initializer[:]
    self.model.graph.initializer.extend(kept)


def taken_inside(node) -> list[str]:
  """The values that the graphs inside a node take, such as the body of a Loop."""
  inner = [n for x in node.attribute for graph in (x.g, *x.graphs) for n in graph.node]
  return [name for n in inner for name in (*n.input, *taken_inside(n))]


def attribute(node, name: str, default=None):
  """The value of an attribute of a node."""
  from onnx import helper

  for x in node.attribute:
    if x.name == name:
      return helper.get_attribute_value(x)
  return default
