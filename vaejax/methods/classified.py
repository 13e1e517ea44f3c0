"""A VAE trained together with a classifier of its latents; with `model.shared` its encoder and its
decoder share a layer."""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.errors import UserError
from vaejax.methods import bound
from vaejax.methods.vae import parts
from vaejax.nets import lens
from vaejax.nets.classifier import head
from vaejax.objectives.classification import classification
from vaejax.types import Example, Latent, Method, Player


def make(config, example: Example) -> Method:
  """The method that a config asks for. Raises UserError for a value that it cannot take."""
  if not example.classes:
    raise UserError(f'{config.data.name} has no classes to find: take a dataset that has')
  objective = bound.settings(config)
  return classified(**parts(config.model, config.data.name, example), **objective)


def classified(nets, prior, latents, example, classes=0, dims=0, **objective) -> Method:
  """The arguments are those of `vae`. The classifier maps z to logits, and
  hyper['classification'] weighs its cross-entropy with the label in the loss. Where there is a net
  'shared', encoder and decoder are given what it gives."""
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

  def terms(v, batch, key, hyper, train):
    """Loss and named terms per example [B], and the variables left behind."""
    found = bound.terms(model, v, batch, key, hyper, train, **objective)
    # In training of what the decoder sees, the draws; a test is of the mean.
    z = found.z if train else jnp.tile(found.q.mean, (samples, 1))
    (logits, _), v = apply('classifier', found.variables, z, train=train)
    read = classification(logits, jnp.tile(batch['label'], samples))
    read = {name: x.reshape(samples, -1).mean(0) for name, x in read.items()}
    value = found.value + hyper['classification'] * read['cross_entropy']
    return value, found.values | read, v

  def loss(v, batch, key, hyper):
    value, values, v = terms(v, batch, key, hyper, train=True)
    return jnp.mean(value), (jax.tree.map(jnp.mean, values), v.extra)

  def metrics(v, batch, key, hyper):
    value, values, _ = terms(v, batch, key, hyper, train=False)
    return {**values, 'loss': value}

  def classify(v, batch, key):
    (logits, features), _ = apply('classifier', v, posterior(v, batch)[0].mean)
    return {'logits': logits, 'probability': jax.nn.softmax(logits), 'features': features}

  players = (Player('vae', loss, tuple(nets)),)
  predict = {'classify': classify}
  method = Method(init, players, None, metrics, predict, dims, latent=model)
  return latent.complete(method, example)
