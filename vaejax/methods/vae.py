"""Variational autoencoders (Kingma & Welling 2014, arXiv:1312.6114) with any prior and any bound of
methods/bound.py. In a conditional VAE (Sohn et al. 2015) all distributions are given the label."""

from functools import partial

import jax.numpy as jnp

from vaejax import latent
from vaejax.errors import UserError
from vaejax.lookup import lookup
from vaejax.methods import bound
from vaejax.nets import autoencoder, lens
from vaejax.nets.heads import centred, discrete
from vaejax.types import Example, Latent, Method, Player


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  objective = bound.settings(config, example)
  return vae(**arguments(config, example), **objective)


def arguments(config, example: Example) -> dict:
  """The arguments of `vae` from a config's `model`. Raises UserError."""
  model = config.model
  conditional = model.get('conditional', False)
  if conditional and not example.classes:
    raise UserError(
      f'model.conditional=True needs classes, but the dataset {config.data.name} has no classes. '
      'Set it to False'
    )
  classes = example.classes if conditional else 0
  # The default is for configs of runs from before the field existed.
  kind = model.get('prior', 'by_class' if conditional else 'standard')
  prior = lookup('nets.priors', kind)
  return {
    'nets': autoencoder.make(model, example, classes),
    'prior': prior.make(model, (model.latents,), example, classes),
    'latents': model.latents,
    'example': example,
    'classes': classes,
    'dims': discrete(model.likelihood, example),
    'centred': centred(model),
  }


def vae(nets, prior, latents, example, classes=0, dims=0, centred=False, **objective) -> Method:
  """A VAE.

  Args:
    nets: 'encoder' maps [B, H, W, C] to q(z|x) over [B, latents]; 'decoder' maps z to p(x|z). With
      classes, both are also given label [B].
    prior: p(z), see nets/priors.
    latents: the dimension of z.
    classes: the number of classes of the label that the model is conditioned on; 0 for none.
    dims, centred: see Method.
    objective: see bound.terms.
  """
  nets = nets | prior.nets
  apply = partial(lens.apply, nets)

  def init(key, batch):
    x, label = batch['image'], batch.get('label')
    z = jnp.zeros((x.shape[0], latents))
    inputs = {'encoder': (x, label), 'decoder': (z, label, None, x)}
    return lens.init(nets, key, inputs | prior.inputs(x.shape[0], label))

  def posterior(v, batch, train=False):
    return apply('encoder', v, batch['image'], batch.get('label'), train=train)

  def likelihood(v, z, given, target=None, train=False):
    return apply('decoder', v, z, given.get('label'), target=target, train=train)

  conditions = ('label',) if classes else ()
  model = Latent(prior.of(nets, posterior), posterior, likelihood, conditions=conditions)
  made = bound.bound(model, **objective)
  players = (Player('vae', made.loss, tuple(nets), means=made.means),)
  method = Method(init, players, None, made.metrics, {}, dims, latent=model, pooled=made.pooled)
  method = method._replace(centred=centred)
  return latent.complete(method, example)
