"""Generative adversarial networks: every loss of objectives/adversarial.py, conditional or not,
with gradient penalty, R1, spectral norm, packing, and several turns of the critic."""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets import adversarial as nets_of
from vaejax.nets import lens
from vaejax.objectives.adversarial import (
  LOSSES,
  fake_loss,
  generator_loss,
  gradient_penalty,
  real_loss,
  squared_gradient_norm,
)
from vaejax.previous import rows_before
from vaejax.types import Example, Method, Player

PENALTIES = ('none', 'gradient', 'r1')


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  check(config)
  if config.model.conditional and not example.classes:
    raise UserError(
      f'model.conditional=True needs classes, but the dataset {config.data.name} has no classes. '
      'Set it to False'
    )
  packing = packing_of(config)
  return gan(
    nets_of.make(config.model, example, packing),
    config.model.latents,
    loss=config.objective.name,
    penalty=config.objective.penalty,
    turns=config.objective.turns,
    classes=example.classes if config.model.conditional else 0,
    packing=packing,
    generator_turns=config.objective.get('generator_turns', 1),
  )


def packing_of(config) -> int:
  """The number of images in a pack. Raises UserError if it does not divide a microbatch."""
  packing, parts = config.objective.get('packing', 1), config.optimizer.accumulate
  if (rows := config.batch_size // parts) % packing:
    name = 'batch_size' if parts == 1 else 'batch_size / optimizer.accumulate'
    raise UserError(
      f'objective.packing={packing} does not divide {name}={rows}. Use a batch_size that is a '
      f'multiple of {parts * packing}'
    )
  return packing


def check(config) -> None:
  """Raises UserError for a loss or penalty that does not exist or does not fit the critic."""
  choice('objective.name', config.objective.name, LOSSES)
  choice('objective.penalty', config.objective.penalty, PENALTIES)
  if config.objective.penalty != 'none' and config.model.critic.norm == 'batch':
    raise UserError(
      f'objective.penalty={config.objective.penalty} needs a critic that treats each example '
      'independently, but model.critic.norm=batch does not. Set it to none, group or spectral'
    )


def critic_objective(apply, loss, penalty, v, real, fake, key, hyper, weight=1.0):
  """The critic's loss, its metrics, and the updated variables.

  Args:
    real: data: images [B, H, W, C], and their classes [B] or None.
    fake: the same of samples, whose number is a multiple of B.
    weight: weight of the mean over samples, relative to that over data.
  """
  (real_logit, _), after = apply('critic', v, *real, train=True)
  (fake_logit, _), after = apply('critic', after, *fake, train=True)
  of_real, of_fake = real_loss(loss, real_logit), fake_loss(loss, fake_logit)
  # In a sum for each row, devices that share a batch also share its samples.
  value = jnp.mean(of_real + weight * jnp.mean(of_fake.reshape(-1, len(of_real)), axis=0))
  metrics = {'logit_real': jnp.mean(real_logit), 'logit_fake': jnp.mean(fake_logit)}
  if penalty != 'none':
    images, label = real if penalty == 'r1' else fake
    logits = lambda x: apply('critic', v, x, label)[0][0]
    if penalty == 'r1':
      term = jnp.mean(0.5 * squared_gradient_norm(logits, images))
    else:
      x = jnp.concatenate([real[0]] * (len(images) // len(real[0])))
      term = jnp.mean(gradient_penalty(logits, x, images, key))
    value, metrics = value + hyper['penalty'] * term, {**metrics, 'slope_penalty': term}
  return value, metrics, after


def critic_metrics(apply, v, x, fake, label):
  """The critic's metrics of data and samples without training, [B] each."""
  (real_logit, _), _ = apply('critic', v, x, label)
  (fake_logit, _), _ = apply('critic', v, fake, label)
  # Pairs are compared, because the logit that separates real from fake depends on the loss.
  correct = (real_logit > fake_logit).astype(jnp.float32)
  return {'logit_real': real_logit, 'logit_fake': fake_logit, 'critic_accuracy': correct}


def pack(x: jax.Array, packing: int) -> jax.Array:
  """Images [B, H, W, C], with each `packing` consecutive ones stacked along channels:
  [B / packing, H, W, packing * C]."""
  if packing == 1:
    return x
  x = jnp.moveaxis(x.reshape(-1, packing, *x.shape[1:]), 1, -2)  # [B / packing, H, W, packing, C]
  return x.reshape(*x.shape[:3], -1)


def gan(
  nets,
  latents,
  loss='non_saturating',
  penalty='none',
  turns=1,
  classes=0,
  packing=1,
  generator_turns=1,
) -> Method:
  """A GAN with the players 'critic' and 'generator'.

  Args:
    nets: 'generator' maps z [B, latents] and label [B] to images; 'critic' maps images and label to
      logits [B] and features.
    latents: the dimension of z.
    loss: one of LOSSES.
    penalty: on the gradient of the critic, with the weight hyper['penalty']: 'gradient' between
      data and samples, 'r1' at the data, or 'none'.
    turns, generator_turns: updates of the critic and of the generator in a step.
    classes: the number of classes of the label that both nets are given; 0 for none.
    packing: number of images that the critic is given at once, all data or all samples, stacked
      along channels, with their labels [B, packing] (PacGAN, Lin et al. 2018, arXiv:1712.04086,
      section 2). Penalties are on packs. Training divides a batch into packs. A test packs each row
      with the rows before it.
  """
  apply = partial(lens.apply, nets)

  def label_of(batch):
    return batch['label'] if classes else None

  def pack_labels(label):
    return label if label is None or packing == 1 else label.reshape(-1, packing)

  def init(key, batch):
    x, label = batch['image'], label_of(batch)
    z = jnp.zeros((x.shape[0], latents))
    packs = pack(jnp.repeat(x, packing, axis=0), packing)
    labels = pack_labels(label if label is None else jnp.repeat(label, packing))
    return lens.init(nets, key, {'generator': (z, label), 'critic': (packs, labels)})

  def generate(v, key, label, n, train, temperature=1.0):
    z = temperature * jax.random.normal(key, (n, latents))
    return apply('generator', v, z, label, train=train)

  def critic_turn(v, batch, key, hyper):
    z_key, mix_key = jax.random.split(key)
    x, label = batch['image'], label_of(batch)
    fake, _ = generate(v, z_key, label, x.shape[0], train=True)
    labels = pack_labels(label)
    real, fake = ((pack(images, packing), labels) for images in (x, fake))
    value, metrics, after = critic_objective(apply, loss, penalty, v, real, fake, mix_key, hyper)
    return value, (metrics, after.extra)

  def generator_turn(v, batch, key, hyper):
    label = label_of(batch)
    samples, after = generate(v, key, label, batch['image'].shape[0], train=True)
    (logit, _), _ = apply('critic', v, pack(samples, packing), pack_labels(label), train=True)
    return jnp.mean(generator_loss(loss, logit)), ({}, after.extra)

  def with_previous(batch, name):
    """The field of each row and of the rows before it, [B * packing, ...]."""
    x = batch[name]
    if packing == 1:
      return x
    before = rows_before(batch, name, packing - 1)
    return jnp.concatenate([before, x[:, None]], axis=1).reshape(-1, *x.shape[1:])

  def metrics(v, batch, key, hyper):
    x, label = with_previous(batch, 'image'), with_previous(batch, 'label') if classes else None
    fake, _ = generate(v, key, label, x.shape[0], train=False)
    x, fake = pack(x, packing), pack(fake, packing)
    return critic_metrics(apply, v, x, fake, pack_labels(label))

  def sample(v, key, n, given=None, temperature=1.0, draw=False):
    z_key, label_key = jax.random.split(key)
    label = (given or {}).get('label') if classes else None
    if classes and label is None:
      label = jax.random.randint(label_key, (n,), 0, classes)
    image, _ = generate(v, z_key, label, n, False, temperature)
    return {'image': image}

  def criticise(v, batch, key):
    return {'logit': apply('critic', v, batch['image'], label_of(batch))[0][0]}

  return Method(
    init=init,
    players=(
      Player('critic', critic_turn, ('critic',), lr='lr_critic', turns=turns),
      Player('generator', generator_turn, ('generator',), turns=generator_turns),
    ),
    sample=sample,
    metrics=metrics,
    predict={'criticise': criticise} if packing == 1 else {},  # a pack has one logit for all images
    given=('label',) if classes else (),
    previous=packing - 1,
  )
