"""A classifier: any trunk, and a dense layer from its features to a logit per class."""

import jax.numpy as jnp
from flax import linen as nn

from vaejax.nets import trunk
from vaejax.nets.mlp import Mlp
from vaejax.types import Example


class Classifier(nn.Module):
  """[B, H, W, C] -> logits [B, classes] and features [B, F], the inputs of the last layer."""

  trunk: nn.Module
  classes: int

  @nn.compact
  def __call__(self, x, train=False):
    features = self.trunk(x, train).astype(jnp.float32)
    return nn.Dense(self.classes, name='head')(features), features


def head(classes: int) -> Classifier:
  """A linear classifier of vectors [B, F], such as latents."""
  return Classifier(Mlp(()), classes)


def make(model, example: Example, classes: int) -> dict[str, nn.Module]:
  """The net 'classifier' of a config's `model`. Raises UserError."""
  shape = example.fields['image'].shape
  return {'classifier': Classifier(trunk.to_vector(model, shape), classes)}
