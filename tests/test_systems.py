"""The source systems have the layers that their descriptions have: parameters counted by hand."""

import math
from itertools import pairwise

import jax
import jax.numpy as jnp
import pytest

from vaejax.config.load import load_config
from vaejax.core import factory
from vaejax.errors import UserError
from vaejax.types import Example


def dense(*widths, bias=True):
  """The parameters of dense layers from width to width."""
  return sum(a * b + b * bias for a, b in pairwise(widths))


def conv(*channels, bias=True):
  """The same of 3x3 convolutions."""
  return sum(9 * a * b + b * bias for a, b in pairwise(channels))


# dataset, shape, {net: parameters}
SYSTEMS = {
  'conv28': (
    (28, 28, 1),
    {
      'encoder': conv(1, 32, 64) + dense(28 * 28 * 64, 2 * 32),
      'decoder': dense(32, 7 * 7 * 64) + conv(64, 64, 32, 1),
    },
  ),
  'shared_mlp': (
    (28, 28, 1),
    {
      'encoder': dense(784, 256, 256) + dense(256, 2 * 256),
      'decoder': dense(256, 256, 256, 2 * 784),
      'shared': dense(256, 256, bias=False),
      'classifier': dense(256, 10),
    },
  ),
  'conv32': (
    (32, 32, 3),
    {
      'encoder': conv(3, 16, 8) + dense(8 * 8 * 8, 2 * 128),
      'decoder': dense(128, 8 * 8 * 32) + conv(32, 16, bias=False) + 2 * 16 + conv(16, 3),
    },
  ),
  'mlp': (
    (28, 28, 1),
    {'encoder': dense(784, 512, 256, 2 * 20), 'decoder': dense(20, 256, 512, 784)},
  ),
  'gan': (
    (28, 28, 1),
    {'generator': dense(100, 128, 128, 1024, 784), 'critic': dense(784, 128, 128, 1)},
  ),
  'rvae': (
    (15, 32, 32, 1),
    {
      'encoder': dense(1024, 512, 256),
      # Prior, posterior, features of z; three gates from features and state, one bias more.
      'core': dense(256, 256, 2 * 16)
      + dense(256 + 256, 256, 2 * 16)
      + dense(16, 256)
      + 3 * dense(256 + 256, 256)
      + 3 * dense(256, 256, bias=False)
      + 256,
      'decoder': dense(16 + 256, 256, 512, 1024),
    },
  ),
}


@pytest.mark.parametrize('system', SYSTEMS)
def test_parameters_are_those_of_the_description(project, system):
  shape, expected = SYSTEMS[system]
  config = load_config(f'configs/source.py:{system}')
  low = -1.0 if config.data.scale == 'symmetric' else 0.0
  data = 'video' if len(shape) == 4 else 'image'
  example = Example({data: jax.ShapeDtypeStruct(shape, jnp.float32)}, 10, low, data=data)
  state = jax.eval_shape(
    lambda: factory.initial_state(factory.make_method(config, example), config, example)
  )
  found = {
    net: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
    for net, tree in state.variables.params.items()
  }
  assert found == expected


@pytest.mark.parametrize(
  'words, steps',
  [('mlp', 46_875), ('conv28,epochs=3', 703), ('gan,epochs=1', 1875), ('rvae', 12_500)],
)
def test_lengths_are_in_epochs(project, words, steps):
  assert load_config(f'configs/source.py:{words}').steps == steps


@pytest.mark.parametrize(
  'words, said',
  [
    ('conv28,mlp', 'conv28 and mlp exclude each other. Use one of them'),
    ('mlp,epochs=two', 'epochs=two is not a whole number from 1 on'),
    ('mlp,epochs=0', 'epochs=0 is not a whole number from 1 on'),
  ],
)
def test_mistakes(project, words, said):
  with pytest.raises(UserError, match=said):
    load_config(f'configs/source.py:{words}')
