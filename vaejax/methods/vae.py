"""Variational autoencoders (Kingma & Welling 2014, arXiv:1312.6114), with any prior, and any bound
of methods/bound.py. A conditional one (Sohn et al. 2015) gives the label to every distribution."""

from functools import partial

import jax.numpy as jnp

from vaejax import latent
from vaejax.errors import UserError
from vaejax.lookup import lookup
from vaejax.methods import bound
from vaejax.nets import autoencoder, lens
from vaejax.nets.heads import discrete
from vaejax.types import Example, Latent, Method, Player


def make(config, example: Example) -> Method:
  """The method that a config asks for. Raises UserError for a value that it cannot take."""
  objective = bound.settings(config)
  return vae(**parts(config.model, config.data.name, example), **objective)


def parts(model, name: str, example: Example) -> dict:
  """The arguments of `vae` that a config's `model` asks for; `name`: of its data. UserError."""
  conditional = model.get('conditional', False)
  if conditional and not example.classes:
    raise UserError(f'model.conditional: {name} has no classes; set it to False')
  classes = example.classes if conditional else 0
  # Runs of before there was the field.
  kind = model.get('prior', 'by_class' if conditional else 'standard')
  prior = lookup('nets.priors', kind)
  return {
    'nets': autoencoder.make(model, example, classes),
    'prior': prior.make(model, (model.latents,), example, classes),
    'latents': model.latents,
    'example': example,
    'classes': classes,
    'dims': discrete(model.likelihood, example),
  }


def vae(nets, prior, latents, example, classes=0, dims=0, **objective) -> Method:
  """A VAE.

  Args:
    nets: 'encoder' maps [B, H, W, C] to q(z|x) over [B, latents], 'decoder' z to p(x|z); with
      classes both are given label [B] as well.
    prior: p(z), see nets/priors.
    classes: of the labels that all is conditioned on, 0 for none.
    dims: see Method. objective: see bound.terms.
  """
  nets = nets | prior.nets
  apply = partial(lens.apply, nets)

  def init(key, batch):
    x, label = batch['image'], batch.get('label')
    inputs = {'encoder': (x, label), 'decoder': (jnp.zeros((x.shape[0], latents)), label)}
    return lens.init(nets, key, inputs | prior.inputs(x.shape[0], label))

  def posterior(v, batch, train=False):
    return apply('encoder', v, batch['image'], batch.get('label'), train=train)

  def likelihood(v, z, given, target=None, train=False):
    return apply('decoder', v, z, given.get('label'), target=target, train=train)

  conditions = ('label',) if classes else ()
  model = Latent(prior.of(nets, posterior), posterior, likelihood, conditions=conditions)
  loss, metrics = bound.bound(model, **objective)
  players = (Player('vae', loss, tuple(nets)),)
  method = Method(init, players, None, metrics, {}, dims, latent=model)
  return latent.complete(method, example)
