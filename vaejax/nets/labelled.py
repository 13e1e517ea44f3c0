"""Nets of a class that may be unknown: q(y|x), q(z|x, y) and p(x|y, z), with trunks of any kind."""

from flax import linen as nn

from vaejax.nets import autoencoder, trunk
from vaejax.nets.classifier import Classifier
from vaejax.types import Example


def make(model, example: Example) -> dict[str, nn.Module]:
  """The nets that a config's `model` asks for, with a trunk of its own each: 'classifier', from
  images to the logits of their classes; 'encoder', to the posteriors of all classes side by side,
  over [B, classes * latents]; 'decoder', from z [B, latents] and label [B] to p(x|y, z). Raises
  UserError.

  A head of its own for every class is what the label crossed with the features would give, but the
  trunk sees each image once, whatever the number of classes.
  """
  shape, classes = example.fields['image'].shape, example.classes
  return {
    'classifier': Classifier(trunk.to_vector(model, shape), classes),
    'encoder': autoencoder.Encoder(trunk.to_vector(model, shape), classes * model.latents),
    'decoder': autoencoder.decoder(model, example, shape, classes),
  }
