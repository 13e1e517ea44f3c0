"""Semi-supervised learning by a deep generative model: M2 of Kingma et al. 2014 (arXiv:1406.5298),
p(y) p(z) p(x|y, z), the class y of most rows unseen and found by q(y|x)."""

import math
from functools import partial

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.compound import Chain, Codes, Joint, Point
from vaejax.distributions import per_example, standard
from vaejax.errors import UserError
from vaejax.nets import labelled, lens
from vaejax.nets.heads import discrete
from vaejax.objectives.classification import classification
from vaejax.objectives.elbo import elbo
from vaejax.types import Example, Latent, Method, Player


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

  def classify(v, batch, key):
    (logits, features), _ = apply('classifier', v, batch['image'])
    return {'logits': logits, 'probability': jax.nn.softmax(logits), 'features': features}

  def prior(v, n, given):
    label = given.get('label')
    first = Codes(jnp.zeros((n, classes))) if label is None else Point(label)
    return Joint((first, standard((n, latents)))), v

  def code_posterior(v, x, values):
    return posterior(v, x, *values)[0]

  def whole_posterior(v, batch, train=False):
    """q(y|x) q(z|x, y)."""
    (logits, _), after = apply('classifier', v, batch['image'], train=train)
    link = jax.tree_util.Partial(code_posterior, lens.only(v, 'encoder'), batch['image'])
    return Chain(Codes(logits), (link,)), after

  def likelihood(v, z, given, target=None, train=False):
    label, code = z
    return apply('decoder', v, code, label, target=target, train=train)

  def log_weight(v, batch, key):
    # One z of each class: the mean over them of p(x, z|y) / q(z|x, y) is, on average, p(x).
    recon, kl, _ = of_all(v, batch['image'], key, analytic=False)
    return {'log_weight': jax.nn.logsumexp(-recon - kl, axis=-1) - math.log(classes)}

  method = Method(
    init=init,
    players=(Player('m2', loss, tuple(nets)),),
    sample=None,
    metrics=metrics,
    predict={'classify': classify, 'log_weight': log_weight},
    dims=dims,
    given=('label',),
    latent=Latent(prior, whole_posterior, likelihood),
  )
  return latent.complete(method, example)
