"""VAE-GAN (Larsen et al. 2016, arXiv:1512.09300): a VAE and a critic that discriminates its
reconstructions and samples from data, one of each for every row of data. Reconstructions are also
compared in the critic's features.
"""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.methods import gan
from vaejax.methods.vae import arguments, vae
from vaejax.nets import adversarial, lens
from vaejax.nets.heads import centred
from vaejax.objectives.adversarial import generator_loss
from vaejax.objectives.elbo import elbo
from vaejax.types import Example, Method, Player


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  gan.check(config)
  if config.model.likelihood == 'sigma_vae':
    raise UserError(
      'model.likelihood=sigma_vae fits its scale to reconstructions, but half of the decoded '
      'images here are samples. Set it to gaussian_scalar'
    )
  method = vaegan(
    **arguments(config, example),
    critic=adversarial.critic(config.model.critic, example),
    loss=config.objective.name,
    penalty=config.objective.penalty,
    turns=config.objective.turns,
  )
  return method._replace(centred=centred(config.model))


def vaegan(
  nets,
  prior,
  latents,
  example,
  critic,
  classes=0,
  dims=0,
  loss='non_saturating',
  penalty='none',
  turns=1,
) -> Method:
  """A VAE-GAN with the players 'critic' and 'autoencoder'.

  The autoencoder minimises
    hyper['features'] · ½ |f(x) - f(x̂)|² + hyper['pixels'] · recon + beta · kl
      + hyper['adversarial'] · (the generator's loss),
  where f are the critic's features and x̂ is the mean of p(x|z) (equations 7 to 9 and algorithm 1,
  except that the paper weights the other term). The critic's and the generator's loss have a term
  for each image, each reconstruction and each sample: -log D(x) - log(1 - D(x̂)) - log(1 - D(x_p))
  in the paper. With the loss wasserstein, those of reconstructions and samples have half the
  weight: the critic's loss would not be bounded otherwise. The adversarial loss updates the decoder
  only.

  Args:
    nets, prior, latents, classes, dims: see `vae`.
    critic: the net of the critic.
    loss, penalty, turns: see `gan`.
  """
  base = vae(nets, prior, latents, example, classes, dims)
  model, nets = base.latent, nets | prior.nets
  autoencoder_nets = tuple(nets)
  nets = nets | {'critic': critic}
  apply = partial(lens.apply, nets)

  def init(key, batch):
    x, label = batch['image'], batch.get('label')
    z = jnp.zeros((x.shape[0], latents))
    inputs = {'encoder': (x, label), 'decoder': (z, label, None, x), 'critic': (x, label)}
    return lens.init(nets, key, inputs | prior.inputs(x.shape[0], label))

  weight = 1.0 if loss == 'wasserstein' else 2.0  # of the mean over reconstructions and samples

  def twice(given):
    return {name: jnp.concatenate([x, x]) for name, x in given.items()}

  def generate(v, z, given, key, train):
    """Images [2B, ...]: those decoded from z [B, latents], then B samples. No gradient reaches z or
    the prior."""
    p_z, _ = model.prior(v, z.shape[0], given)
    z = jax.lax.stop_gradient(jnp.concatenate([z, p_z.sample(key)]))
    p, v = model.likelihood(v, z, twice(given), train=train)
    return p.mean, v

  def critic_turn(v, batch, key, hyper):
    z_key, prior_key, mix_key = jax.random.split(key, 3)
    x, given = batch['image'], latent.conditions(model, batch)
    q, _ = model.posterior(v, batch, train=True)
    fake, _ = generate(v, q.sample(z_key), given, prior_key, train=True)
    real, fake = (x, given.get('label')), (fake, twice(given).get('label'))
    value, metrics, after = gan.critic_objective(
      apply, loss, penalty, v, real, fake, mix_key, hyper, weight
    )
    return value, (metrics, after.extra)

  def autoencode(v, batch, key, train):
    """The VAE's terms and the distance of the critic's features, [B] each, the draw of z, and the
    updated variables."""
    x, given = batch['image'], latent.conditions(model, batch)
    label = given.get('label')
    q, v = model.posterior(v, batch, train=train)
    z = q.sample(key)
    p, v = model.likelihood(v, z, given, train=train)
    terms = elbo(x, p, q, model.prior(v, x.shape[0], given)[0], z)
    (_, data_features), _ = apply('critic', v, x, label, train=train)
    (_, features), _ = apply('critic', v, p.mean, label, train=train)
    recon, kl = terms.recon, per_example(terms.kl)
    error = 0.5 * per_example(jnp.square(data_features - features))
    return {'recon': recon, 'kl': kl, 'elbo': -(recon + kl), 'features': error}, z, v

  def autoencoder_turn(v, batch, key, hyper):
    z_key, prior_key = jax.random.split(key)
    given = latent.conditions(model, batch)
    terms, z, after = autoencode(v, batch, z_key, train=True)
    terms = jax.tree.map(jnp.mean, terms)
    fake, after = generate(after, z, given, prior_key, train=True)
    (logit, _), _ = apply('critic', v, fake, twice(given).get('label'), train=True)
    value = hyper['features'] * terms['features'] + hyper['pixels'] * terms['recon']
    value = value + hyper['beta'] * terms['kl']
    value = value + hyper['adversarial'] * weight * jnp.mean(generator_loss(loss, logit))
    return value, (terms, after.extra)

  def metrics(v, batch, key, hyper):
    z_key, prior_key = jax.random.split(key)
    given = latent.conditions(model, batch)
    terms, z, _ = autoencode(v, batch, z_key, train=False)
    fake, _ = generate(v, z, given, prior_key, train=False)
    x, label = batch['image'], given.get('label')
    parts = [gan.critic_metrics(apply, v, x, images, label) for images in jnp.split(fake, 2)]
    return terms | jax.tree.map(lambda *values: sum(values) / 2, *parts)

  def criticise(v, batch, key):
    label = latent.conditions(model, batch).get('label')
    return {'logit': apply('critic', v, batch['image'], label)[0][0]}

  return base._replace(
    init=init,
    players=(
      Player('critic', critic_turn, ('critic',), lr='lr_critic', turns=turns),
      Player('autoencoder', autoencoder_turn, autoencoder_nets),
    ),
    metrics=metrics,
    predict={**base.predict, 'criticise': criticise},
  )
