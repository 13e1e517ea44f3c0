"""Nets of a class that may be unknown (M2)."""

from flax import linen as nn

from vaejax.lookup import lookup
from vaejax.nets import autoencoder
from vaejax.nets.classifier import Classifier
from vaejax.types import Example


def make(model, example: Example) -> dict[str, nn.Module]:
  """The nets 'classifier', q(y|x), 'encoder' and 'decoder' that a config's `model` asks for. Raises
  UserError."""
  shape, classes = example.fields['image'].shape, example.classes
  trunk = lambda: lookup('nets', model.net, having='encoder').encoder(model, shape)
  return {
    'classifier': Classifier(trunk(), classes),
    'encoder': autoencoder.Encoder(trunk(), classes * model.latents),
    'decoder': autoencoder.decoder(model, example, shape, classes),
  }
