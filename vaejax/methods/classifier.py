"""A classifier of images. The evals of samples use trained ones as judges."""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets import classifier as nets_of
from vaejax.nets import lens
from vaejax.objectives.classification import classification, weighted
from vaejax.types import Example, Method, Player


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  target = config.objective.get('target', 'label')
  choice('objective.target', target, {'label', 'style'})
  classes = example.classes if target == 'label' else example.styles
  if not classes or 'image' not in example.fields:
    raise UserError(
      f'the classifier needs images with classes, but {config.data.name} has none. Choose another '
      'dataset'
      if target == 'label'
      else f'objective.target=style needs images in styles, but {config.data.name} has none. Set '
      'data.styles'
    )
  if classes == 1:
    raise UserError(
      f'the classifier needs two classes or more, but {config.data.name} has one. Choose another '
      'dataset, or another field with data.label'
    )
  side, shift = min(example.fields['image'].shape[:2]), config.objective.shift
  if shift >= side:
    raise UserError(
      f'objective.shift={shift} is too large for images with a side of {side} pixels. Choose 0 to '
      f'{side - 1}'
    )
  soften = config.objective.get('soften', 0.0)
  return classifier(nets_of.make(config.model, example, classes), shift, target, soften)


def classifier(nets, shift=0, target='label', soften=0.0) -> Method:
  """A classifier that minimises the cross-entropy in nats.

  Args:
    nets: 'classifier' maps [B, H, W, C] to logits and features.
    shift: the largest random shift of training images along each axis, in pixels.
    target: the field of a batch that is predicted, 'label' or 'style'.
    soften: the largest random share of blur in training images, 0 to 1.
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
    terms = classification(logits, batch[target])
    terms, logged = weighted(terms, batch if target == 'label' else {})
    loss, logged = jax.tree.map(jnp.mean, (terms['cross_entropy'], logged))
    return loss, (logged, v.extra)

  def metrics(v, batch, key, hyper):
    if target not in batch:
      return {}
    return classification(classify(v, batch, key)['logits'], batch[target])

  def classify(v, batch, key):
    return prediction(*apply(v, batch['image'])[0])

  return Method(
    init=init,
    players=(Player('classifier', loss, ('classifier',)),),
    sample=None,
    metrics=metrics,
    predict={'classify': classify},
  )


def prediction(logits: jax.Array, features: jax.Array) -> dict[str, jax.Array]:
  """The result of `predict['classify']`, from logits [B, classes] and features [B, F]."""
  return {'logits': logits, 'probability': jax.nn.softmax(logits), 'features': features}


def shifted(image: jax.Array, largest: int, key: jax.Array) -> jax.Array:
  """Images [B, H, W, C], each shifted randomly by up to `largest` pixels along both axes. The edge
  is repeated beyond the image."""
  edge = (largest, largest)
  padded = jnp.pad(image, ((0, 0), edge, edge, (0, 0)), mode='edge')
  corner = jax.random.randint(key, (image.shape[0], 2), 0, 2 * largest + 1)
  crop = lambda x, at: jax.lax.dynamic_slice(x, (at[0], at[1], 0), image.shape[1:])
  return jax.vmap(crop)(padded, corner)


def softened(image: jax.Array, largest: float, key: jax.Array) -> jax.Array:
  """Images [B, H, W, C], each blended with its binomial 5x5 blur by a random share of 0 to
  `largest`."""
  blur = image
  for axis in (1, 2):
    kernel = jnp.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    widths = [(2, 2) if i == axis else (0, 0) for i in range(4)]
    padded, size = jnp.pad(blur, widths, mode='edge'), image.shape[axis]
    slices = (jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(5))
    blur = sum(weight * part for weight, part in zip(kernel, slices, strict=True))
  share = jax.random.uniform(key, (image.shape[0], 1, 1, 1), maxval=largest)
  return (1 - share) * image + share * blur
