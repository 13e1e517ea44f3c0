"""Recurrent VAEs of videos (VRNN, Chung et al. 2015, arXiv:1506.02216): a latent for each frame,
whose prior is learned from the frames before it."""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.compound import Path
from vaejax.distributions import Gaussian, per_example, standard
from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets import lens, recurrent, trunk
from vaejax.nets.heads import discrete
from vaejax.objectives.elbo import elbo, rate
from vaejax.types import Example, Latent, Method, Player

DATA = 'video'


def make(config, example: Example) -> Method:
  """The method that a config asks for. Raises UserError for a value that it cannot take."""
  choice('objective.kl', config.objective.kl, {'analytic', 'sampled'})
  return rvae(
    recurrent.make(config.model, example),
    config.model.latents,
    example,
    analytic=config.objective.kl == 'analytic',
    dims=discrete(config.model.likelihood, example),
  )


def rvae(nets, latents, example, analytic=True, dims=0) -> Method:
  """A recurrent VAE of the nets 'encoder', 'core' and 'decoder' of nets.recurrent.

  Its latents are the innovations e of all frames, [B, T, latents]: the latent of a frame is
  z = mean + scale * e of p(z|h), so that p(e) is N(0, 1). The nets of its `latent` are at rest.

  Args:
    latents: of one frame.
    analytic: the KL of each frame in closed form rather than at the draw of z.
    dims: see Method.
  """
  apply, core = partial(lens.apply, nets), nets['core']
  length, *shape = example.fields['video'].shape
  features = trunk.output_shape(nets['encoder'], shape)

  def frames(tree):
    """[B, T, ...] -> [B * T, ...], of every leaf."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)

  def videos(x, like):
    """[B * T, ...] -> [B, T, ...], of the B and T of `like`."""
    return x.reshape(*like.shape[:2], *x.shape[1:])

  def init(key, batch):
    x = batch['video']
    seen, noise = (jnp.zeros((*x.shape[:2], size)) for size in (*features, latents))
    code = jnp.zeros((x.shape[0], latents + core.width))
    inputs = {'encoder': (frames(x),), 'core': (seen, noise), 'decoder': (code,)}
    return lens.init(nets, key, inputs)

  def follow(v, x, noise, train=False, replay=False):
    """Along given frames [B, T, H, W, C]: what `core` gives, and the variables left behind."""
    seen, v = apply('encoder', v, frames(x), train=train)
    return apply('core', v, videos(seen, x), noise, train=train, replay=replay)

  def render(v, z, h, target=None, train=False):
    """p(x|z, h) of z [N, latents] and h [N, width], and the variables left behind."""
    return apply('decoder', v, jnp.concatenate([z, h], axis=-1), target=target, train=train)

  def play(v, carry, steps, choose, show):
    """Goes on from `carry` by the model's own frames, one for each of `steps` [T, ...].

    Args:
      choose: (p(z|h), step) -> z [B, latents].
      show: (p(x|z, h), step) -> x [B, H, W, C].

    Returns:
      [B, T, H, W, C], in the range of the data.
    """

    def frame(carry, step):
      prior, _ = apply('core', v, carry, method='prior')
      z = choose(prior, step)
      p, _ = render(v, z, core.state(carry))
      x = show(p, step)
      x = jnp.clip(x, example.low, example.high) if example.levels else x
      seen, _ = apply('encoder', v, x)
      carry, _ = apply('core', v, carry, seen, z, method='advance')
      return carry, x

    return jnp.moveaxis(jax.lax.scan(frame, carry, steps)[1], 0, 1)

  def terms_of(v, x, key, analytic, train):
    """recon [B, T], the KL of every latent [B, T, latents], and the variables left behind."""
    noise = jax.random.normal(key, (*x.shape[:2], latents))
    (_, (q, prior, z, h)), v = follow(v, x, noise, train)
    p, v = render(v, frames(z), frames(h), frames(x), train)
    terms = elbo(frames(x), p, frames(q), frames(prior), frames(z), analytic)
    return videos(terms.recon, x), videos(terms.kl, x), v

  def bound(v, batch, key, hyper, train):
    """Loss and named terms per sequence [B], and the variables left behind."""
    recon, kl, v = terms_of(v, batch['video'], key, analytic, train)
    recon, total = jnp.sum(recon, axis=1), per_example(kl)
    values = {'recon': recon, 'kl': total, 'elbo': -recon - total}
    values['elbo_per_frame'] = values['elbo'] / length
    # Free bits act on the batch's mean: every sequence carries its share.
    weights = batch.get('mask', jnp.ones(total.size))
    plain = jnp.average(total, weights=weights)
    penalty = rate(kl, free_bits=hyper.get('free_bits', 0.0), weights=weights) - plain
    return recon + hyper['beta'] * (total + penalty), values, v

  def loss(v, batch, key, hyper):
    value, values, v = bound(v, batch, key, hyper, train=True)
    return jnp.mean(value), (jax.tree.map(jnp.mean, values), v.extra)

  def metrics(v, batch, key, hyper):
    value, values, _ = bound(v, batch, key, hyper, train=False)
    return {**values, 'loss': value}

  def sample(v, key, n, given=None, temperature=1.0, draw=False):
    """Videos from nothing, or that go on from the first frames in given['video'] [n, k, H, W, C].

    At temperature 0 every z is the mean of its prior, of given frames that of its posterior.
    """
    z_key, x_key = jax.random.split(key)
    noise = temperature * jax.random.normal(z_key, (n, length, latents))
    first = (given or {}).get('video', jnp.zeros((n, 0, *example.fields['video'].shape[1:])))
    k, carry = first.shape[1], core.start(n)
    if k > length:
      raise UserError(f'{k} given frames are more than the {length} of a video: give fewer')
    if k:
      (carry, _), _ = follow(v, first, noise[:, :k])
    steps = jnp.arange(k, length), jnp.moveaxis(noise[:, k:], 1, 0)
    choose = lambda prior, step: recurrent.draw(prior, step[1])
    shown = lambda p, step: p.sample(jax.random.fold_in(x_key, step[0])) if draw else p.mean
    rest = play(v, carry, steps, choose, shown)
    return {'video': jnp.concatenate([first, rest], axis=1)}

  def innovations(q, p, z):
    """q(e|x), and e, of latents z = mean + scale * e of their prior p."""
    whiten = lambda x: (x - p.mean) * jnp.exp(-p.log_scale)
    return Gaussian(whiten(q.mean), q.log_scale - p.log_scale), whiten(z)

  def drawn(v, x, key, temperature):
    noise = jnp.zeros((*x.shape[:2], latents))
    noise = noise if key is None else temperature * jax.random.normal(key, noise.shape)
    (_, (q, p, z, _)), _ = follow(v, x, noise)
    return innovations(q, p, z)[1]

  def replayed(v, x, e):
    (_, (q, p, z, _)), _ = follow(v, x, e, replay=True)
    return innovations(q, p, z)[0]

  def posterior(v, batch, train=False):
    v, x = lens.only(v, 'encoder', 'core'), batch['video']
    run = jax.tree_util.Partial(drawn, v, x)
    return Path(jax.tree_util.Partial(replayed, v, x), run), v

  def prior(v, n, given):
    return standard((n, length, latents)), v

  def rendered(v, e, x):
    (_, (_, _, z, h)), _ = follow(v, x, e, replay=True)
    p, _ = render(v, frames(z), frames(h))
    return jax.tree.map(lambda a: videos(a, x) if a.ndim else a, p)

  def filmed(v, e, key, temperature):
    steps = jnp.arange(e.shape[1]), jnp.moveaxis(e, 1, 0)
    choose = lambda prior, step: recurrent.draw(prior, step[1])
    show = lambda p, step: p.mean if key is None else p.sample(jax.random.fold_in(key, step[0]))
    return play(v, core.start(e.shape[0]), steps, choose, show)

  def likelihood(v, z, given, target=None, train=False):
    run = jax.tree_util.Partial(filmed, v, z)
    return Path(jax.tree_util.Partial(rendered, v, z), run), v

  def reconstruct(v, batch, key):
    x = batch['video']
    (_, (_, _, z, h)), _ = follow(v, x, jnp.zeros((*x.shape[:2], latents)))
    p, _ = render(v, frames(z), frames(h))
    return {'video': videos(p.mean, x)}

  def log_weight(v, batch, key):
    recon, kl, _ = terms_of(v, batch['video'], key, analytic=False, train=False)
    return {'log_weight': -jnp.sum(recon, axis=1) - per_example(kl)}

  method = Method(
    init=init,
    players=(Player('rvae', loss, ('encoder', 'core', 'decoder')),),
    sample=sample,
    metrics=metrics,
    predict={'reconstruct': reconstruct, 'log_weight': log_weight},
    dims=dims,
    given=('video',),
    latent=Latent(prior, posterior, likelihood, data='video'),
  )
  return latent.complete(method, example)
