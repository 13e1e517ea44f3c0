"""Translation between two domains without pairs: two VAEs with shared latents, cycle consistency,
and a critic for each domain (UNIT, Liu et al. 2017, arXiv:1703.00848).

The domains are the fields 'image' and 'source'. A row's two pictures need not belong together.
"""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.distributions import kl, per_example, standard
from vaejax.errors import UserError
from vaejax.methods import gan
from vaejax.nets import lens
from vaejax.nets import unit as nets_of
from vaejax.nets.heads import discrete
from vaejax.nets.unit import DOMAINS
from vaejax.objectives.adversarial import generator_loss
from vaejax.types import Example, Latent, Method, Player


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  gan.check(config)
  if 'source' not in example.fields:
    raise UserError(
      f'the method unit translates between two domains, but {config.data.name} has one. Set '
      'data.source, for example to grey, or to domain:google>twitter for emoji'
    )
  if config.model.likelihood == 'sigma_vae':
    raise UserError(
      'model.likelihood=sigma_vae fits its scale to reconstructions, but half of the decoded '
      'images here are translations. Set it to laplace'
    )
  return unit(
    nets_of.make(config.model, example),
    example,
    loss=config.objective.name,
    penalty=config.objective.penalty,
    turns=config.objective.turns,
    dims=discrete(config.model.likelihood, example),
  )


def other(domain: str) -> str:
  """The other domain."""
  return DOMAINS[1 - DOMAINS.index(domain)]


def alike(params, name: str):
  """The parameters of a net, those of a 'source' as those of its 'image' where shapes are equal."""
  twin = params[name.removesuffix('source') + 'image'] if name.endswith('_source') else params[name]
  return jax.tree.map(lambda x, y: y if x.shape == y.shape else x, params[name], twin)


def unit(nets, example, loss='hinge', penalty='none', turns=1, dims=0) -> Method:
  """Two VAEs with the players 'critic' and 'autoencoder'.

  For pictures x of one domain, with z from q(z|x), the translation y is the mean of p(y|z) of the
  other domain. The autoencoder minimises the sum over both domains of
    recon = -log p(x|z), and kl = KL of q(z|x) from N(0, 1), with the weight hyper['beta'];
    cycle = -log p(x|z') with z' from q(z'|y), and cycle_kl = KL of q(z'|y), with the weight
      hyper['cycle'] together, where cycle_kl also has the weight hyper['beta'];
    hyper['adversarial'] times the loss of a generator, from the logits of the other domain's critic
      of y, averaged over places
  (equations 3 to 5 and 8 of the paper). All terms but the last are in nats per example.

  The latent-variable model of `Method.latent` is that of the domain 'image'. `predict` has
  'to_image', from a 'source', and 'to_source', from an 'image', both with the mean of q.

  Args:
    nets: see nets/unit.py.
    loss, penalty, turns: see methods/gan.py. Penalties are on the sum over places.
    dims: see Method.
  """
  apply = partial(lens.apply, nets)
  shared = 'shared_encoder', 'shared_decoder'
  owned = *shared, *(f'{net}_{domain}' for net in ('encoder', 'decoder') for domain in DOMAINS)
  maps = jax.eval_shape(
    lambda x: nets['encoder_image'].init_with_output(jax.random.key(0), x)[0],
    jnp.zeros((1, *example.fields['image'].shape)),
  )
  latents = *maps.shape[1:3], nets['shared_encoder'].latents

  def init(key, batch):
    h = jnp.zeros((1, *maps.shape[1:]))
    inputs = {f'{net}_{d}': (batch[d],) for net in ('encoder', 'critic') for d in DOMAINS}
    inputs |= {f'decoder_{domain}': (h,) for domain in DOMAINS}
    inputs |= {'shared_encoder': (h,), 'shared_decoder': (jnp.zeros((1, *latents)),)}
    v = lens.init(nets, key, inputs)
    # Both domains begin with the same weights, where shapes allow it, so that their latents mean
    # the same from the start and a translation begins as a reconstruction.
    return v.replace(params={**v.params, **{name: alike(v.params, name) for name in owned}})

  def encode(v, domain, x, train=False):
    """q(z|x), and the updated variables."""
    h, v = apply(f'encoder_{domain}', v, x, train=train)
    return apply('shared_encoder', v, h, train=train)

  def decode(v, domain, z, target=None, train=False):
    """p(x|z), and the updated variables."""
    h, v = apply('shared_decoder', v, z, train=train)
    return apply(f'decoder_{domain}', v, h, target=target, train=train)

  def criticise(v, domain, x, train=False):
    """The logits [B, h, w] of a critic, and the updated variables."""
    (logits, _), v = apply(f'critic_{domain}', v, x, train=train)
    return logits, v

  def critic_turn(v, batch, key, hyper):
    values, metrics = [], []
    for number, domain in enumerate(DOMAINS):
      z_key, mix_key = jax.random.split(jax.random.fold_in(key, number))
      q, _ = encode(v, other(domain), batch[other(domain)], train=True)
      p, _ = decode(v, domain, q.sample(z_key), train=True)

      def flat(name, v, x, label, train=False, domain=domain):
        logits, v = criticise(v, domain, x, train)
        return (logits.reshape(-1), None), v

      real, fake = (batch[domain], None), (jax.lax.stop_gradient(p.mean), None)
      value, shown, v = gan.critic_objective(flat, loss, penalty, v, real, fake, mix_key, hyper)
      values.append(value)
      metrics.append(shown)
    mean = jax.tree.map(lambda *x: sum(x) / 2, *metrics)
    return sum(values), (mean, v.extra)

  def terms(v, batch, key, hyper, train):
    """The autoencoder's loss [B], its named terms [B], the translations {domain: images}, and the
    updated variables."""
    total, values, translations = 0.0, {}, {}
    for number, domain in enumerate(DOMAINS):
      z_key, cycle_key = jax.random.split(jax.random.fold_in(key, number))
      x, to = batch[domain], other(domain)
      q, v = encode(v, domain, x, train)
      z = q.sample(z_key)
      p, v = decode(v, domain, z, x, train)
      y, v = decode(v, to, z, None, train)
      q_y, v = encode(v, to, y.mean, train)
      back, v = decode(v, domain, q_y.sample(cycle_key), x, train)
      logits, _ = criticise(v, to, y.mean, train)
      prior = standard(q.mean.shape)
      part = {
        'recon': -per_example(p.log_prob(x)),
        'kl': per_example(kl(q, prior)),
        'cycle': -per_example(back.log_prob(x)),
        'cycle_kl': per_example(kl(q_y, prior)),
        'adversarial': jnp.mean(generator_loss(loss, logits), axis=(1, 2)),
      }
      total += part['recon'] + hyper['beta'] * part['kl']
      total += hyper['cycle'] * (part['cycle'] + hyper['beta'] * part['cycle_kl'])
      total += hyper['adversarial'] * part['adversarial']
      part['elbo'] = -part['recon'] - part['kl']
      values |= {name + ('' if domain == 'image' else '_source'): x for name, x in part.items()}
      translations[to] = y.mean
    return total, values, translations, v

  def autoencoder_turn(v, batch, key, hyper):
    value, values, _, after = terms(v, batch, key, hyper, train=True)
    return jnp.mean(value), (jax.tree.map(jnp.mean, values), after.extra)

  def metrics(v, batch, key, hyper):
    value, values, translations, _ = terms(v, batch, key, hyper, train=False)
    logits = lambda domain, x: jnp.mean(criticise(v, domain, x)[0], axis=(1, 2))
    real = sum(logits(domain, batch[domain]) for domain in DOMAINS) / 2
    fake = sum(logits(domain, translations[domain]) for domain in DOMAINS) / 2
    # Of the pairs that a test split has.
    error = jnp.mean(jnp.abs(translations['image'] - batch['image']), axis=(1, 2, 3))
    values |= {'logit_real': real, 'logit_fake': fake, 'loss': value}
    return values | {'translation_error': error / (example.high - example.low)}

  def to_image(v, batch, key):
    q, _ = encode(v, 'source', batch['source'])
    return {'image': decode(v, 'image', q.mean)[0].mean}

  def to_source(v, batch, key):
    q, _ = encode(v, 'image', batch['image'])
    return {'source': decode(v, 'source', q.mean)[0].mean}

  def likelihood(v, z, given, target=None, train=False):
    return decode(v, 'image', z, target, train)

  model = Latent(
    prior=lambda v, n, given: (standard((n, *latents)), v),
    posterior=lambda v, batch, train=False: encode(v, 'image', batch['image'], train),
    likelihood=likelihood,
  )
  method = Method(
    init=init,
    players=(
      Player(
        'critic', critic_turn, tuple(f'critic_{d}' for d in DOMAINS), lr='lr_critic', turns=turns
      ),
      Player('autoencoder', autoencoder_turn, owned),
    ),
    sample=None,
    metrics=metrics,
    predict={'to_image': to_image, 'to_source': to_source},
    dims=dims,
    latent=model,
  )
  return latent.complete(method, example)
