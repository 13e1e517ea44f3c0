"""VAE-GAN (Larsen et al. 2016, arXiv:1512.09300): a VAE whose reconstructions are compared in the
features of a critic, which tells them and the VAE's samples from data."""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax.distributions import per_example, standard
from vaejax.errors import UserError
from vaejax.methods import gan
from vaejax.methods.vae import vae
from vaejax.nets import adversarial, autoencoder, lens
from vaejax.nets.heads import discrete
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
  nets = autoencoder.make(config.model, example)
  return vaegan(
    nets | {'critic': adversarial.critic(config.model.critic, example)},
    config.model.latents,
    example,
    loss=config.objective.name,
    penalty=config.objective.penalty,
    turns=config.objective.turns,
    dims=discrete(config.model.likelihood, example),
  )


def vaegan(
  nets, latents, example, loss='non_saturating', penalty='none', turns=1, dims=0
) -> Method:
  """A VAE-GAN of the nets 'encoder', 'decoder' and 'critic', with the players 'critic' and
  'autoencoder'.

  The autoencoder minimises
    hyper['features'] · ½ |f(x) - f(x̂)|² + hyper['pixels'] · recon + beta · kl
      + hyper['adversarial'] · (the generator's loss),
  f being the critic's features, x̂ the mean of p(x|z): equations 7 to 9 and algorithm 1, with the
  weight on the other term. The adversarial loss moves the decoder alone.

  Args:
    nets: as of `vae` and of `gan`.
    loss, penalty, turns: as of `gan`. dims: see Method.
  """
  apply = partial(lens.apply, nets)
  autoencoding = {name: nets[name] for name in ('encoder', 'decoder')}
  plain = vae(autoencoding, latents, example, dims=dims)

  def init(key, batch):
    x = batch['image']
    z = jnp.zeros((x.shape[0], latents))
    return lens.init(nets, key, {'encoder': (x,), 'decoder': (z,), 'critic': (x,)})

  def imagine(v, z, key, train):
    """Images, the first half samples and the rest decoded from z [B, latents], which is not moved
    by what becomes of them."""
    half = z.shape[0] // 2
    z = jnp.concatenate([jax.random.normal(key, z[:half].shape), jax.lax.stop_gradient(z[half:])])
    p, v = apply('decoder', v, z, train=train)
    return p.mean, v

  def critic_turn(v, batch, key, hyper):
    z_key, prior_key, mix_key = jax.random.split(key, 3)
    x = batch['image']
    q, _ = apply('encoder', v, x, train=True)
    fake, _ = imagine(v, q.sample(z_key), prior_key, train=True)
    value, found, after = gan.criticism(apply, loss, penalty, v, x, fake, None, mix_key, hyper)
    return value, (found, gan.kept(v, after, 'critic'))

  def autoencode(v, x, key, train):
    """Per example [B] the VAE's terms and the distance of the critic's features, the draw of z and
    the variables left behind."""
    q, v = apply('encoder', v, x, train=train)
    z = q.sample(key)
    p, v = apply('decoder', v, z, train=train)
    terms = elbo(x, p, q, standard(z.shape), z)
    (_, wanted), _ = apply('critic', v, x, train=train)
    (_, got), _ = apply('critic', v, p.mean, train=train)
    recon, kl = terms.recon, per_example(terms.kl)
    features = 0.5 * per_example(jnp.square(wanted - got))
    return {'recon': recon, 'kl': kl, 'elbo': -(recon + kl), 'features': features}, z, v

  def autoencoder_turn(v, batch, key, hyper):
    z_key, prior_key = jax.random.split(key)
    terms, z, after = autoencode(v, batch['image'], z_key, train=True)
    terms = jax.tree.map(jnp.mean, terms)
    fake, after = imagine(after, z, prior_key, train=True)
    (logit, _), _ = apply('critic', v, fake, train=True)
    value = hyper['features'] * terms['features'] + hyper['pixels'] * terms['recon']
    value = value + hyper['beta'] * terms['kl']
    value = value + hyper['adversarial'] * jnp.mean(generator_loss(loss, logit))
    return value, (terms, gan.kept(v, after, 'encoder', 'decoder'))

  def metrics(v, batch, key, hyper):
    z_key, prior_key = jax.random.split(key)
    terms, z, _ = autoencode(v, batch['image'], z_key, train=False)
    fake, _ = imagine(v, z, prior_key, train=False)
    return terms | gan.verdict(apply, v, batch['image'], fake, None)

  def criticise(v, batch, key):
    return {'logit': apply('critic', v, batch['image'])[0][0]}

  return plain._replace(
    init=init,
    players=(
      Player('critic', critic_turn, ('critic',), lr='lr_critic', turns=turns),
      Player('autoencoder', autoencoder_turn, ('encoder', 'decoder')),
    ),
    metrics=metrics,
    predict={**plain.predict, 'criticise': criticise},
  )
