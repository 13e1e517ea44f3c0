"""A VAE that is trained jointly with a classifier of its latents. With `model.shared`, its encoder
and decoder share a layer."""

from functools import partial

import jax.numpy as jnp

from vaejax import latent
from vaejax.errors import UserError
from vaejax.methods import bound, limits
from vaejax.methods.classifier import prediction
from vaejax.methods.vae import arguments
from vaejax.nets import lens
from vaejax.nets.classifier import head
from vaejax.objectives.classification import classification, weighted
from vaejax.types import Example, Latent, Method, Player


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  if not example.classes:
    raise UserError(
      f'the classifier needs a dataset with classes, but {config.data.name} has no classes. Choose '
      'another dataset'
    )
  if example.classes == 1:
    raise UserError(
      f'the classifier needs two classes or more, but {config.data.name} has one. Choose another '
      'dataset, or another field with data.label'
    )
  objective = bound.settings(config, example)
  return classified(**arguments(config, example), **objective)


def classified(nets, prior, latents, example, classes=0, dims=0, **objective) -> Method:
  """A VAE with a classifier from z to the label. The arguments are those of `vae`.

  hyper['classification'] is the weight of the cross-entropy in the loss. If there is a net
  'shared', its output is passed to the encoder and the decoder.
  """
  nets = nets | prior.nets | {'classifier': head(example.classes)}
  apply, samples = partial(lens.apply, nets), objective.get('samples', 1)

  def shared(v):
    return apply('shared', v)[0] if 'shared' in nets else None

  def init(key, batch):
    x, label = batch['image'], batch.get('label')
    z = jnp.zeros((x.shape[0], latents))
    kernel = jnp.zeros(nets['shared'].shape) if 'shared' in nets else None
    inputs = {'encoder': (x, label, kernel), 'decoder': (z, label, kernel)}
    inputs |= {'shared': (), 'classifier': (z,)} | prior.inputs(x.shape[0], label)
    return lens.init(nets, key, inputs)

  def posterior(v, batch, train=False):
    return apply('encoder', v, batch['image'], batch.get('label'), shared(v), train=train)

  def likelihood(v, z, given, target=None, train=False):
    return apply('decoder', v, z, given.get('label'), shared(v), target=target, train=train)

  conditions = ('label',) if classes else ()
  model = Latent(prior.of(nets, posterior), posterior, likelihood, conditions=conditions)

  def evaluate(v, batch, key, hyper, train, whole=None):
    vae = bound.terms(model, v, batch, key, hyper, train, whole, **objective)
    # The classifier is trained on draws, like the decoder, and tested on the posterior mean.
    z = vae.z if train else jnp.tile(vae.q.mean, (samples, 1))
    (logits, _), v = apply('classifier', vae.variables, z, train=train)
    if 'label' not in batch:
      return vae.value, vae.values, v
    terms = classification(logits, jnp.tile(batch['label'], samples))
    terms = {name: x.reshape(samples, -1).mean(0) for name, x in terms.items()}
    terms, logged = weighted(terms, batch)
    value = vae.value + hyper['classification'] * terms['cross_entropy']
    return value, vae.values | logged, v

  def classify(v, batch, key):
    return prediction(*apply('classifier', v, posterior(v, batch)[0].mean)[0])

  made = limits.objective(evaluate)

  def metrics(v, batch, key, hyper):
    values = made.metrics(v, batch, key, hyper)
    # Without a label there is no loss.
    partial = ('loss', 'kl_terms') if 'label' not in batch else ()
    return {name: x for name, x in values.items() if name not in partial}

  players = (Player('vae', made.loss, tuple(nets), means=made.means),)
  predict = {'classify': classify}
  method = Method(init, players, None, metrics, predict, dims, latent=model, pooled=made.pooled)
  return latent.complete(method, example)
