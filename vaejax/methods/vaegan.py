"""VAE-GAN (Larsen et al. 2016, arXiv:1512.09300): a VAE whose reconstructions are compared in the
features of a critic, which tells them and the VAE's samples from data."""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.methods import gan
from vaejax.methods.vae import parts, vae
from vaejax.nets import adversarial, lens
from vaejax.objectives.adversarial import generator_loss
from vaejax.objectives.elbo import elbo
from vaejax.types import Example, Method, Player


def make(config, example: Example) -> Method:
  """The method that a config asks for. Raises UserError for a value that it cannot take."""
  gan.check(config)
  if config.model.likelihood == 'sigma_vae':
    raise UserError(
      'model.likelihood=sigma_vae wants reconstructions, and half of what is decoded here are '
      'samples: set it to gaussian_scalar'
    )
  return vaegan(
    **parts(config.model, config.data.name, example),
    critic=adversarial.critic(config.model.critic, example),
    loss=config.objective.name,
    penalty=config.objective.penalty,
    turns=config.objective.turns,
  )


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
  """A VAE-GAN of a VAE and of the net 'critic', with the players 'critic' and 'autoencoder'.

  The autoencoder minimises
    hyper['features'] · ½ |f(x) - f(x̂)|² + hyper['pixels'] · recon + beta · kl
      + hyper['adversarial'] · (the generator's loss),
  f being the critic's features, x̂ the mean of p(x|z): equations 7 to 9 and algorithm 1, with the
  weight on the other term. The adversarial loss moves the decoder alone.

  Args:
    nets, prior, latents, classes, dims: as of `vae`.
    critic: the net; loss, penalty, turns: as of `gan`.
  """
  plain = vae(nets, prior, latents, example, classes, dims)
  model, owned = plain.latent, tuple(nets | prior.nets)
  nets = nets | prior.nets | {'critic': critic}
  apply = partial(lens.apply, nets)

  def init(key, batch):
    x, label = batch['image'], batch.get('label')
    z = jnp.zeros((x.shape[0], latents))
    inputs = {'encoder': (x, label), 'decoder': (z, label), 'critic': (x, label)}
    return lens.init(nets, key, inputs | prior.inputs(x.shape[0], label))

  def imagine(v, z, given, key, train):
    """Images, the first half samples and the rest decoded from z [B, latents]. Neither z nor the
    prior is moved by what becomes of them."""
    half = z.shape[0] // 2
    p_z, _ = model.prior(v, half, {name: x[:half] for name, x in given.items()})
    fixed = jax.lax.stop_gradient(jnp.concatenate([p_z.sample(key), z[half:]]))
    p, v = model.likelihood(v, fixed, given, train=train)
    return p.mean, v

  def critic_turn(v, batch, key, hyper):
    z_key, prior_key, mix_key = jax.random.split(key, 3)
    x, given = batch['image'], latent.conditions(model, batch)
    label = given.get('label')
    q, _ = model.posterior(v, batch, train=True)
    fake, _ = imagine(v, q.sample(z_key), given, prior_key, train=True)
    value, metrics, after = gan.critic_objective(
      apply, loss, penalty, v, x, fake, label, mix_key, hyper
    )
    return value, (metrics, after.extra)

  def autoencode(v, batch, key, train):
    """Per example [B] the VAE's terms and the distance of the critic's features, the draw of z and
    the variables left behind."""
    x, given = batch['image'], latent.conditions(model, batch)
    label = given.get('label')
    q, v = model.posterior(v, batch, train=train)
    z = q.sample(key)
    p, v = model.likelihood(v, z, given, train=train)
    terms = elbo(x, p, q, model.prior(v, x.shape[0], given)[0], z)
    (_, wanted), _ = apply('critic', v, x, label, train=train)
    (_, got), _ = apply('critic', v, p.mean, label, train=train)
    recon, kl = terms.recon, per_example(terms.kl)
    features = 0.5 * per_example(jnp.square(wanted - got))
    return {'recon': recon, 'kl': kl, 'elbo': -(recon + kl), 'features': features}, z, v

  def autoencoder_turn(v, batch, key, hyper):
    z_key, prior_key = jax.random.split(key)
    given = latent.conditions(model, batch)
    terms, z, after = autoencode(v, batch, z_key, train=True)
    terms = jax.tree.map(jnp.mean, terms)
    fake, after = imagine(after, z, given, prior_key, train=True)
    (logit, _), _ = apply('critic', v, fake, given.get('label'), train=True)
    value = hyper['features'] * terms['features'] + hyper['pixels'] * terms['recon']
    value = value + hyper['beta'] * terms['kl']
    value = value + hyper['adversarial'] * jnp.mean(generator_loss(loss, logit))
    return value, (terms, after.extra)

  def metrics(v, batch, key, hyper):
    z_key, prior_key = jax.random.split(key)
    given = latent.conditions(model, batch)
    terms, z, _ = autoencode(v, batch, z_key, train=False)
    fake, _ = imagine(v, z, given, prior_key, train=False)
    return terms | gan.critic_metrics(apply, v, batch['image'], fake, given.get('label'))

  def criticise(v, batch, key):
    label = latent.conditions(model, batch).get('label')
    return {'logit': apply('critic', v, batch['image'], label)[0][0]}

  return plain._replace(
    init=init,
    players=(
      Player('critic', critic_turn, ('critic',), lr='lr_critic', turns=turns),
      Player('autoencoder', autoencoder_turn, owned),
    ),
    metrics=metrics,
    predict={**plain.predict, 'criticise': criticise},
  )
