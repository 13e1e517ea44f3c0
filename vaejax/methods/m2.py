"""Semi-supervised learning with a deep generative model: M2 of Kingma et al. 2014
(arXiv:1406.5298), p(y) p(z) p(x|y, z). The class y of most rows is unobserved and inferred by
q(y|x)."""

import math
from functools import partial

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.compound import Chain, Codes, Joint, Point
from vaejax.distributions import per_example, standard
from vaejax.errors import UserError
from vaejax.methods.classifier import prediction
from vaejax.nets import labelled, lens
from vaejax.nets.heads import discrete
from vaejax.objectives.classification import classification
from vaejax.objectives.elbo import elbo
from vaejax.types import Example, Latent, Method, Player

MAX_VALUES = 2**28  # of the decoder's input, 1 GiB


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  if not example.classes:
    raise UserError(
      f'the method m2 needs a dataset with classes, but {config.data.name} has no classes. Choose '
      'another dataset'
    )
  if example.classes == 1:
    raise UserError(
      f'the method m2 needs two classes or more, but {config.data.name} has one. Choose another '
      'dataset, or another field with data.label'
    )
  model = config.model
  if model.likelihood == 'sigma_vae':
    raise UserError(
      'model.likelihood=sigma_vae fits its scale to reconstructions, but m2 decodes each image as '
      'every class. Set it to gaussian_scalar'
    )
  # The decoder takes every image with every class, each a product of one-hot class and latents.
  if (values := config.batch_size * example.classes**2 * (1 + model.latents)) > MAX_VALUES:
    raise UserError(
      f'm2 decodes each of batch_size={config.batch_size} images as each of {example.classes:,} '
      f'classes, which takes {4 * values / 2**30:,.1f} GiB. Use a smaller batch_size, or another '
      'field with data.label'
    )
  dims, rows = discrete(model.likelihood, example), config.get('objective', {}).get('rows', 0)
  if rows and config.data.labels > rows:
    raise UserError(
      f'objective.rows={rows} is the number of training rows, but data.labels={config.data.labels} '
      'of them have a label. Set it to the size of the training split, or to 0'
    )
  weight = config.data.labels / rows if rows else None
  return m2(labelled.make(model, example), model.latents, example, dims, weight)


def m2(nets, latents, example, dims=0, weight=None) -> Method:
  """M2, the model of Kingma et al. 2014.

  A training batch has 'image', whose labels are not used, and 'labelled_image' with
  'labelled_label'. The loss is

    mean U(x) + weight · mean L(x, y) + hyper['classification'] · mean -log q(y|x)

  over the unlabelled, the labelled and the labelled rows of the batch. With the proportion of
  labelled rows in the data as the weight, this is equation 9 of the paper divided by the number of
  rows N, where its alpha = 0.1 N is hyper['classification'] = 0.1. There, labelled rows are not
  among the unlabelled ones too.

  Args:
    nets: 'classifier' gives the logits of q(y|x); 'encoder' gives q(z|x, y) for all classes, over
      [B, classes * latents]; 'decoder' gives p(x|y, z) from z and label.
    latents: the dimension of z.
    dims: see Method.
    weight: of the bound of labelled rows; None: their number in a batch relative to that of
      unlabelled ones, so that each row of a batch has the same weight.
  """
  apply, classes = partial(lens.apply, nets), example.classes

  def init(key, batch):
    x = batch['image']
    inputs = {'classifier': (x,), 'encoder': (x,)}
    z = jnp.zeros((x.shape[0], latents))
    return lens.init(nets, key, inputs | {'decoder': (z, batch['label'])})

  def posterior(v, x, label=None, train=False):
    """q(z|x, y) over [B, latents] for label [B], or over [B, classes, latents] for label None."""
    q, v = apply('encoder', v, x, train=train)
    q = jax.tree.map(lambda a: a.reshape(-1, classes, latents), q)
    if label is not None:
      q = jax.tree.map(lambda a: jnp.take_along_axis(a, label[:, None, None], 1)[:, 0], q)
    return q, v

  def terms(v, x, q, label, key, train=False, analytic=True):
    """-log p(x|y, z) and the KL of z, [B] each, for x [B, ...], q over [B, latents], label [B]."""
    z = q.sample(key)
    p, v = apply('decoder', v, z, label, target=x, train=train)
    result = elbo(x, p, q, standard(z.shape), z, analytic)
    return result.recon, per_example(result.kl), v

  def terms_by_class(v, x, key, train=False, analytic=True):
    """The terms for every class, [B, classes] each."""
    q, v = posterior(v, x, train=train)
    q = jax.tree.map(lambda a: a.reshape(-1, latents), q)
    label = jnp.tile(jnp.arange(classes), x.shape[0])
    recon, kl, v = terms(v, jnp.repeat(x, classes, 0), q, label, key, train, analytic)
    return recon.reshape(-1, classes), kl.reshape(-1, classes), v

  def unlabelled(v, x, key, train=False):
    """The terms of U(x) (equation 7), [B] each, and the logits of q(y|x)."""
    recon, kl, v = terms_by_class(v, x, key, train)
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
    ratio = x.shape[0] / batch['image'].shape[0] if weight is None else weight
    total = ratio * bound - values['elbo'] + hyper['classification'] * values['cross_entropy']
    return total, (values | {'labelled_elbo': -bound}, v.extra)

  def metrics(v, batch, key, hyper):
    values, logits, _ = unlabelled(v, batch['image'], key)
    return values | (classification(logits, batch['label']) if 'label' in batch else {})

  def classify(v, batch, key):
    return prediction(*apply('classifier', v, batch['image'])[0])

  def prior(v, n, given):
    label = given.get('label')
    p_y = Codes(jnp.zeros((n, classes))) if label is None else Point(label)
    return Joint((p_y, standard((n, latents)))), v

  def z_posterior(v, x, values):
    """q(z|x, y) for values (y,)."""
    return posterior(v, x, *values)[0]

  def joint_posterior(v, batch, train=False):
    """q(y|x) q(z|x, y)."""
    (logits, _), after = apply('classifier', v, batch['image'], train=train)
    link = jax.tree_util.Partial(z_posterior, lens.only(v, 'encoder'), batch['image'])
    return Chain(Codes(logits), (link,)), after

  def likelihood(v, z, given, target=None, train=False):
    y, z = z
    return apply('decoder', v, z, y, target=target, train=train)

  def log_weight(v, batch, key):
    # With one z for each class, p(x, z|y) / q(z|x, y) averages to p(x) over classes and draws.
    recon, kl, _ = terms_by_class(v, batch['image'], key, analytic=False)
    return {'log_weight': jax.nn.logsumexp(-recon - kl, axis=-1) - math.log(classes)}

  method = Method(
    init=init,
    players=(Player('m2', loss, tuple(nets)),),
    sample=None,
    metrics=metrics,
    predict={'classify': classify, 'log_weight': log_weight},
    dims=dims,
    given=('label',),
    latent=Latent(prior, joint_posterior, likelihood),
  )
  return latent.complete(method, example)
