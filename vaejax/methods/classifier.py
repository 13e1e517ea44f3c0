"""A classifier of images: the project's own judge of what other methods sample."""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets import classifier as nets_of
from vaejax.nets import lens
from vaejax.objectives.classification import classification
from vaejax.types import Example, Method, Player


def make(config, example: Example) -> Method:
  """The method that a config asks for. Raises UserError for a value that it cannot take."""
  target = config.objective.get('target', 'label')
  choice('objective.target', target, {'label', 'style'})
  classes = example.classes if target == 'label' else example.styles
  if not classes or 'image' not in example.fields:
    raise UserError(
      f'{config.data.name} has no images with classes: take a dataset that has'
      if target == 'label'
      else f'objective.target=style: set data.styles, for {config.data.name} has none'
    )
  side, shift = min(example.fields['image'].shape[:2]), config.objective.shift
  if shift >= side:
    raise UserError(f'objective.shift={shift}: it takes less than the {side} pixels of an image')
  soften = config.objective.get('soften', 0.0)
  return classifier(nets_of.make(config.model, example, classes), shift, target, soften)


def classifier(nets, shift=0, target='label', soften=0.0) -> Method:
  """Cross-entropy in nats, of the net 'classifier': [B, H, W, C] -> logits and features.

  shift: in training every image is moved by up to so many pixels in each direction.
  soften: in training every image is blended with its blur, up to this share of it.
  target: the field of a batch that it reads, 'label' or 'style'.
  """
  apply = partial(lens.apply, nets, 'classifier')

  def init(key, batch):
    return lens.init(nets, key, {'classifier': (batch['image'],)})

  def loss(v, batch, key, hyper):
    image = batch['image']
    if soften:
      key, soft_key = jax.random.split(key)
      image = softened(image, soften, soft_key)
    image = shifted(image, shift, key) if shift else image
    (logits, _), v = apply(v, image, train=True)
    found = jax.tree.map(jnp.mean, classification(logits, batch[target]))
    return found['cross_entropy'], (found, v.extra)

  def metrics(v, batch, key, hyper):
    return classification(classify(v, batch, key)['logits'], batch[target])

  def classify(v, batch, key):
    (logits, features), _ = apply(v, batch['image'])
    return {'logits': logits, 'probability': jax.nn.softmax(logits), 'features': features}

  return Method(
    init=init,
    players=(Player('classifier', loss, ('classifier',)),),
    sample=None,
    metrics=metrics,
    predict={'classify': classify},
  )


def shifted(image: jax.Array, most: int, key: jax.Array) -> jax.Array:
  """Images [B, H, W, C], each moved by up to `most` pixels along both axes; what comes in from
  outside repeats the edge."""
  edge = (most, most)
  padded = jnp.pad(image, ((0, 0), edge, edge, (0, 0)), mode='edge')
  corner = jax.random.randint(key, (image.shape[0], 2), 0, 2 * most + 1)
  crop = lambda x, at: jax.lax.dynamic_slice(x, (at[0], at[1], 0), image.shape[1:])
  return jax.vmap(crop)(padded, corner)


def softened(image: jax.Array, most: float, key: jax.Array) -> jax.Array:
  """Images [B, H, W, C], each blended with its binomial 5x5 blur, by a share of 0 to `most`."""
  blur = image
  for axis in (1, 2):
    kernel = jnp.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    widths = [(2, 2) if i == axis else (0, 0) for i in range(4)]
    padded, size = jnp.pad(blur, widths, mode='edge'), image.shape[axis]
    slices = (jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(5))
    blur = sum(weight * part for weight, part in zip(kernel, slices, strict=True))
  share = jax.random.uniform(key, (image.shape[0], 1, 1, 1), maxval=most)
  return (1 - share) * image + share * blur
