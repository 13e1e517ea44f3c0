"""Semi-supervised learning by a deep generative model: M2 of Kingma et al. 2014 (arXiv:1406.5298),
p(y) p(z) p(x|y, z), the class y of most rows unseen and found by q(y|x)."""

import math
from functools import partial

import jax
import jax.numpy as jnp

from vaejax.distributions import per_example, standard
from vaejax.errors import UserError
from vaejax.nets import labelled, lens
from vaejax.nets.heads import discrete
from vaejax.objectives.classification import classification
from vaejax.objectives.elbo import elbo
from vaejax.types import Example, Method, Player


def make(config, example: Example) -> Method:
  """The method that a config asks for. Raises UserError for a value that it cannot take."""
  if not example.classes:
    raise UserError(f'{config.data.name} has no classes: take a dataset that has')
  model = config.model
  if model.likelihood == 'sigma_vae':
    raise UserError(
      'model.likelihood=sigma_vae wants reconstructions, and m2 decodes an image as every class: '
      'set it to gaussian_scalar'
    )
  dims = discrete(model.likelihood, example)
  return m2(labelled.make(model, example), model.latents, example, dims)


def m2(nets, latents, example, dims=0) -> Method:
  """M2 of the nets 'classifier', q(y|x) by its logits; 'encoder', q(z|x, y) of all classes, over
  [B, classes * latents]; and 'decoder', p(x|y, z) of z and label.

  A training batch has 'image', of which no label is looked at, and 'labelled_image' with
  'labelled_label'; its loss is, per row of the former, the bounds of all rows and
  hyper['classification'] times the mean cross-entropy of the labelled.
  """
  apply, classes = partial(lens.apply, nets), example.classes

  def init(key, batch):
    x = batch['image']
    inputs = {'classifier': (x,), 'encoder': (x,)}
    z = jnp.zeros((x.shape[0], latents))
    return lens.init(nets, key, inputs | {'decoder': (z, batch['label'])})

  def posterior(v, x, label=None, train=False):
    """q(z|x, y) of a label [B], over [B, latents]; of None, that of all, [B, classes, latents]."""
    q, v = apply('encoder', v, x, train=train)
    q = jax.tree.map(lambda a: a.reshape(-1, classes, latents), q)
    if label is not None:
      q = jax.tree.map(lambda a: jnp.take_along_axis(a, label[:, None, None], 1)[:, 0], q)
    return q, v

  def terms(v, x, q, label, key, train=False, analytic=True):
    """-log p(x|y, z) and the KL of z for rows x [B, ...], q over [B, latents], label [B]."""
    z = q.sample(key)
    p, v = apply('decoder', v, z, label, target=x, train=train)
    found = elbo(x, p, q, standard(z.shape), z, analytic)
    return found.recon, per_example(found.kl), v

  def of_all(v, x, key, train=False, analytic=True):
    """The same for every class, [B, classes] each."""
    q, v = posterior(v, x, train=train)
    q = jax.tree.map(lambda a: a.reshape(-1, latents), q)
    label = jnp.tile(jnp.arange(classes), x.shape[0])
    recon, kl, v = terms(v, jnp.repeat(x, classes, 0), q, label, key, train, analytic)
    return recon.reshape(-1, classes), kl.reshape(-1, classes), v

  def unlabelled(v, x, key, train=False):
    """The terms of U(x), equation 7, [B] each, and the logits of q(y|x)."""
    recon, kl, v = of_all(v, x, key, train)
    (logits, _), v = apply('classifier', v, x, train=train)
    log_q = jax.nn.log_softmax(logits)
    q = jnp.exp(log_q)
    recon, kl = jnp.sum(q * recon, -1), jnp.sum(q * kl, -1)
    label_kl = jnp.sum(q * log_q, -1) + math.log(classes)  # KL(q(y|x) || p(y))
    values = {'recon': recon, 'kl': kl, 'label_kl': label_kl, 'elbo': -(recon + kl + label_kl)}
    return values, logits, v

  def loss(v, batch, key, hyper):
    key, labelled_key = jax.random.split(key)
    values, _, v = unlabelled(v, batch['image'], key, train=True)
    x, label = batch['labelled_image'], batch['labelled_label']
    q, v = posterior(v, x, label, train=True)
    recon, kl, v = terms(v, x, q, label, labelled_key, train=True)
    (logits, _), v = apply('classifier', v, x, train=True)
    values |= classification(logits, label)
    values = jax.tree.map(jnp.mean, values)
    bound = jnp.mean(recon + kl) + math.log(classes)  # L(x, y), equation 6
    # The rows of both kinds count alike, the mean is over the unlabelled.
    share = x.shape[0] / batch['image'].shape[0]
    total = share * bound - values['elbo'] + hyper['classification'] * values['cross_entropy']
    return total, (values | {'labelled_elbo': -bound}, v.extra)

  def metrics(v, batch, key, hyper):
    values, logits, _ = unlabelled(v, batch['image'], key)
    return values | classification(logits, batch['label'])

  def unit(image):
    """[0, 1] from the range of the data."""
    return jnp.clip((image - example.low) / (example.high - example.low), 0.0, 1.0)

  def sample(v, key, n, given=None, temperature=1.0, draw=False):
    z_key, x_key, label_key = jax.random.split(key, 3)
    label = (given or {}).get('label')
    if label is None:
      label = jax.random.randint(label_key, (n,), 0, classes)
    p, _ = apply('decoder', v, standard((n, latents)).sample(z_key, temperature), label)
    return {'image': unit(p.sample(x_key) if draw else p.mean)}

  def classify(v, batch, key):
    (logits, features), _ = apply('classifier', v, batch['image'])
    return {'logits': logits, 'probability': jax.nn.softmax(logits), 'features': features}

  def encode(v, batch, key):
    """Given the class that it is found to be, which is its 'label'."""
    label = jnp.argmax(classify(v, batch, key)['logits'], axis=-1)
    q, _ = posterior(v, batch['image'], label)
    found = {'latents': q.sample(key), 'mean': q.mean, 'scale': jnp.exp(q.log_scale)}
    return found | {'label': label}

  def decode(v, batch, key):
    p, _ = apply('decoder', v, batch['latents'], batch['label'])
    return {'image': unit(p.mean)}

  def reconstruct(v, batch, key):
    found = encode(v, batch, key)
    return decode(v, {'latents': found['mean'], 'label': found['label']}, key)

  def log_weight(v, batch, key):
    # One z of each class: the mean over them of p(x, z|y) / q(z|x, y) is, on average, p(x).
    recon, kl, _ = of_all(v, batch['image'], key, analytic=False)
    return {'log_weight': jax.nn.logsumexp(-recon - kl, axis=-1) - math.log(classes)}

  return Method(
    init=init,
    players=(Player('m2', loss, tuple(nets)),),
    sample=sample,
    metrics=metrics,
    predict={
      'classify': classify,
      'encode': encode,
      'decode': decode,
      'reconstruct': reconstruct,
      'log_weight': log_weight,
    },
    dims=dims,
    given=('label',),
  )
