"""Nets of a model with an unobserved class y: q(y|x), q(z|x, y) and p(x|y, z), with any trunk."""

from flax import linen as nn

from vaejax.nets import autoencoder, trunk
from vaejax.nets.classifier import Classifier
from vaejax.types import Example


def make(model, example: Example) -> dict[str, nn.Module]:
  """The nets of a config's `model`, each with a separate trunk. Raises UserError.

    classifier: images -> logits of their classes.
    encoder: images -> the posteriors of all classes, concatenated to [B, classes * latents].
    decoder: z [B, latents] and label [B] -> p(x|y, z).

  The encoder has a separate head for every class. This equals an encoder of the label and image
  (see autoencoder.one_hot_outer), but its trunk runs once per image rather than once per class.
  """
  shape, classes = example.fields['image'].shape, example.classes
  return {
    'classifier': Classifier(trunk.to_vector(model, shape), classes),
    'encoder': autoencoder.Encoder(trunk.to_vector(model, shape), classes * model.latents),
    'decoder': autoencoder.decoder(model, example, shape, classes),
  }
