"""Variational autoencoders: VAE, β-VAE, capacity, free bits and the importance-weighted bound;
conditional ones (Sohn et al. 2015), whose every distribution is given the label; and ones that are
trained together with a classifier of their latents."""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax.distributions import per_example, standard
from vaejax.errors import UserError
from vaejax.nets import autoencoder, lens
from vaejax.nets.classifier import head
from vaejax.nets.heads import discrete
from vaejax.objectives.classification import classification
from vaejax.objectives.elbo import elbo, log_mean_exp, rate
from vaejax.types import Example, Method, Player


def make(config, example: Example) -> Method:
  """The method that a config asks for. Raises UserError for a value that it cannot take."""
  objective = config.objective
  if objective.name not in ('elbo', 'iwae'):
    raise UserError(f'objective.name={objective.name!r} is unknown: it takes elbo or iwae')
  if objective.kl not in ('analytic', 'sampled'):
    raise UserError(f'objective.kl={objective.kl!r} is unknown: it takes analytic or sampled')
  unused = [name for name in ('capacity', 'free_bits') if config.hyper.get(name, 0)]
  if objective.name == 'iwae' and unused:
    raise UserError(f'hyper.{unused[0]} means nothing to objective.name=iwae: set it to 0')
  conditional = config.model.get('conditional', False)
  if conditional and not example.classes:
    raise UserError(f'model.conditional: {config.data.name} has no classes; set it to False')
  classes = example.classes if conditional else 0
  nets = autoencoder.make(config.model, example, classes)
  if 'classification' in config.hyper:
    if not example.classes:
      raise UserError(f'{config.data.name} has no classes to find: take a dataset that has')
    nets['classifier'] = head(example.classes)
  return vae(
    nets,
    config.model.latents,
    example,
    samples=objective.samples,
    importance=objective.name == 'iwae',
    analytic=objective.kl == 'analytic' and objective.name == 'elbo',
    dims=discrete(config.model.likelihood, example),
    classes=classes,
  )


def vae(
  nets, latents, example, samples=1, importance=False, analytic=True, dims=0, classes=0
) -> Method:
  """A VAE of the nets 'encoder' and 'decoder'; with classes, also 'prior', and then every density
  and bound below is that of x given its label y.

  Args:
    nets: 'encoder' maps [B, H, W, C] to q(z|x) over [B, latents], 'decoder' z to p(x|z). With
      classes both are given label [B] as well, and 'prior' maps it to p(z|y). Where there is a net
      'shared', both are given what it gives. Where there is a 'classifier', it maps z to logits,
      and hyper['classification'] weighs its cross-entropy with the label in the loss.
    samples: K draws of z per example: their mean, or with `importance` their bound IWAE-K.
    analytic: the KL in closed form rather than at the draws of z.
    dims: see Method.
    classes: of the labels that all nets are given, 0 for none.
  """
  apply = partial(lens.apply, nets)

  def label_of(batch):
    return batch['label'] if classes else None

  def prior(v, label, n):
    return apply('prior', v, label)[0] if classes else standard((n, latents))

  def shared(v):
    return apply('shared', v)[0] if 'shared' in nets else None

  def posterior(v, x, label, train=False):
    """q(z|x), and the variables left behind."""
    return apply('encoder', v, x, label, shared(v), train=train)

  def likelihood(v, z, label, target=None, train=False):
    """p(x|z), and the variables left behind."""
    return apply('decoder', v, z, label, shared(v), target=target, train=train)

  def unit(image):
    """[0, 1] from the range of the data."""
    return jnp.clip((image - example.low) / (example.high - example.low), 0.0, 1.0)

  def init(key, batch):
    x, label = batch['image'], label_of(batch)
    z = jnp.zeros((x.shape[0], latents))
    kernel = jnp.zeros(nets['shared'].shape) if 'shared' in nets else None
    inputs = {'encoder': (x, label, kernel), 'decoder': (z, label, kernel)}
    return lens.init(nets, key, inputs | {'prior': (label,), 'shared': (), 'classifier': (z,)})

  def bound(v, batch, key, hyper, train):
    """Loss and named terms per example [B], and the variables left behind."""
    x, label = batch['image'], label_of(batch)
    q, v = posterior(v, x, label, train)
    if samples > 1:
      q, x, label = jax.tree.map(
        lambda a: jnp.repeat(a[None], samples, 0).reshape(-1, *a.shape[1:]), (q, x, label)
      )
    z = q.sample(key)
    p, v = likelihood(v, z, label, x, train)
    terms = elbo(x, p, q, prior(v, label, z.shape[0]), z, analytic)
    recon, kl = terms.recon.reshape(samples, -1), per_example(terms.kl).reshape(samples, -1)
    values = {'recon': recon.mean(0), 'kl': kl.mean(0), 'elbo': -(recon + kl).mean(0)}
    if importance:
      values['iwae'] = log_mean_exp(-(recon + kl))
      value = -log_mean_exp(-(recon + hyper['beta'] * kl))
    else:
      # Capacity and free bits act on the batch's mean: every example carries its share.
      limits = hyper.get('capacity', 0.0), hyper.get('free_bits', 0.0)
      weights = jnp.tile(batch['mask'], samples) if 'mask' in batch else jnp.ones(kl.size)
      plain = jnp.average(kl.ravel(), weights=weights)
      penalty = rate(terms.kl, *limits, weights) - plain
      value = values['recon'] + hyper['beta'] * (values['kl'] + penalty)
    if 'classifier' in nets:
      # In training of what the decoder sees, the draw; a test is of the mean.
      (logits, _), v = apply('classifier', v, z if train else q.mean, train=train)
      found = classification(logits, jnp.tile(batch['label'], samples))
      values |= {name: x.reshape(samples, -1).mean(0) for name, x in found.items()}
      value = value + hyper['classification'] * values['cross_entropy']
    return value, values, v

  def loss(v, batch, key, hyper):
    value, values, v = bound(v, batch, key, hyper, train=True)
    return jnp.mean(value), (jax.tree.map(jnp.mean, values), v.extra)

  def metrics(v, batch, key, hyper):
    value, values, _ = bound(v, batch, key, hyper, train=False)
    return {**values, 'loss': value}

  def sample(v, key, n, given=None, temperature=1.0, draw=False):
    z_key, x_key, label_key = jax.random.split(key, 3)
    label = (given or {}).get('label') if classes else None
    if classes and label is None:
      label = jax.random.randint(label_key, (n,), 0, classes)
    z = prior(v, label, n).sample(z_key, temperature)
    p, _ = likelihood(v, z, label)
    return {'image': unit(p.sample(x_key) if draw else p.mean)}

  def encode(v, batch, key):
    q, _ = posterior(v, batch['image'], label_of(batch))
    return {'latents': q.sample(key), 'mean': q.mean, 'scale': jnp.exp(q.log_scale)}

  def decode(v, batch, key):
    p, _ = likelihood(v, batch['latents'], label_of(batch))
    return {'image': unit(p.mean)}

  def reconstruct(v, batch, key):
    return decode(v, {**batch, 'latents': encode(v, batch, key)['mean']}, key)

  def log_weight(v, batch, key):
    label = label_of(batch)
    q, _ = posterior(v, batch['image'], label)
    z = q.sample(key)
    p, _ = likelihood(v, z, label)
    p_z = prior(v, label, z.shape[0])
    terms = elbo(batch['image'], p, q, p_z, z, analytic=False)
    return {'log_weight': -terms.recon - per_example(terms.kl)}

  def classify(v, batch, key):
    (logits, features), _ = apply('classifier', v, encode(v, batch, key)['mean'])
    return {'logits': logits, 'probability': jax.nn.softmax(logits), 'features': features}

  predict = {
    'encode': encode,
    'decode': decode,
    'reconstruct': reconstruct,
    'log_weight': log_weight,
  }
  return Method(
    init=init,
    players=(Player('vae', loss, tuple(nets)),),
    sample=sample,
    metrics=metrics,
    predict=predict | ({'classify': classify} if 'classifier' in nets else {}),
    dims=dims,
    given=('label',) if classes else (),
  )
