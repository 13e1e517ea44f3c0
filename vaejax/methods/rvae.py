"""Recurrent VAEs of videos (VRNN, Chung et al. 2015, arXiv:1506.02216): a latent for each frame,
with a learned prior given the previous frames."""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.compound import Path
from vaejax.distributions import Gaussian, per_example, standard
from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.methods import lpips
from vaejax.methods.bound import fit_target, rows, squared_error
from vaejax.methods.limits import objective
from vaejax.nets import lens, recurrent, trunk
from vaejax.nets.heads import discrete
from vaejax.objectives.elbo import elbo
from vaejax.stream_type import Stream
from vaejax.types import Example, Latent, Method, Player

DATA = 'video'


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  choice('objective.kl', config.objective.kl, {'analytic', 'sampled'})
  return rvae(
    recurrent.make(config.model, example),
    config.model.latents,
    example,
    analytic=config.objective.kl == 'analytic',
    dims=discrete(config.model.likelihood, example),
    fitted_scale=config.model.likelihood == 'sigma_vae',
    perceptual=lpips.term(config, example),
  )


def rvae(
  nets, latents, example, analytic=True, dims=0, fitted_scale=False, perceptual=None
) -> Method:
  """A recurrent VAE of the nets 'encoder', 'core' and 'decoder' of nets/recurrent.py.

  The latents of its `latent` are the innovations e of all frames, [B, T, latents]. The latent of a
  frame is z = mean + scale * e, with the mean and scale of p(z|h), so that p(e) is N(0, 1). The
  distributions of `latent` ignore `train`.

  Args:
    latents: the dimension of z of one frame.
    analytic: whether the KL of a frame is computed in closed form, rather than at the draw of z.
    dims: see Method.
    fitted_scale, perceptual: see bound.terms.
  """
  apply, core = partial(lens.apply, nets), nets['core']
  length, *shape = example.fields['video'].shape
  feature_shape = trunk.output_shape(nets['encoder'], shape)

  def frames(tree):
    """Merges the first two axes of every leaf: [B, T, ...] -> [B * T, ...]."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)

  def videos(x, like):
    """Splits the first axis into the first two of `like`: [B * T, ...] -> [B, T, ...]."""
    return x.reshape(*like.shape[:2], *x.shape[1:])

  def init(key, batch):
    x = batch['video']
    features, noise = (jnp.zeros((*x.shape[:2], size)) for size in (*feature_shape, latents))
    z_and_h = jnp.zeros((x.shape[0], (core.width if core.codes else latents) + core.width))
    inputs = {'encoder': (frames(x),), 'core': (features, noise), 'decoder': (z_and_h,)}
    return lens.init(nets, key, inputs)

  def unroll(v, x, noise, train=False, replay=False):
    """The output of `core` along frames [B, T, H, W, C], and the updated variables."""
    features, v = apply('encoder', v, frames(x), train=train)
    return apply('core', v, videos(features, x), noise, train=train, replay=replay)

  def decode(v, z, h, target=None, train=False):
    """p(x|z, h) for z [N, latents] and h [N, width], and the updated variables."""
    inputs, v = apply('core', v, z, h, method='decoder_input', train=train)
    return apply('decoder', v, inputs, target=target, train=train)

  def advance(v, carry, noise, x_key=None):
    """The next frame, as `generate` has it, and the carry after it."""
    prior, _ = apply('core', v, carry, method='prior')
    z = recurrent.reparameterise(prior, noise)
    p, _ = decode(v, z, core.state(carry))
    x = p.mean if x_key is None else p.sample(x_key)
    x = jnp.clip(x, example.low, example.high) if not example.units else x
    return after(v, carry, x, z), x

  def observe(v, carry, x, noise):
    """The carry after a given frame, whose latent is drawn from its posterior."""
    features, _ = apply('encoder', v, x)
    q, _ = apply('core', v, carry, features, method='posterior')
    return after(v, carry, x, recurrent.reparameterise(q, noise))

  def after(v, carry, x, z):
    """The carry after a frame and its latent."""
    features, _ = apply('encoder', v, x)
    return apply('core', v, carry, features, z, method='advance')[0]

  def generate(v, carry, first, noise, x_key):
    """Frames [B, T, H, W, C] that continue a video from `carry`, in the range of the data.

    Args:
      first: the index of the first of these frames in the video.
      noise: [B, T, latents], from which each z is drawn by its prior.
      x_key: key of the draws from p(x|z, h); None takes the means.
    """

    def frame(carry, step):
      index, noise = step
      return advance(v, carry, noise, None if x_key is None else jax.random.fold_in(x_key, index))

    steps = jnp.arange(first, first + noise.shape[1]), jnp.moveaxis(noise, 1, 0)
    return jnp.moveaxis(jax.lax.scan(frame, carry, steps)[1], 0, 1)

  def terms(v, x, key, analytic, train, whole=None):
    """recon [B, T], the KL of every latent [B, T, latents], p(x|z, h), and the updated variables.
    `whole`: see limits.objective."""
    noise = jax.random.normal(key, (*x.shape[:2], latents))
    (_, (q, prior, z, h)), v = unroll(v, x, noise, train)
    p, v = decode(v, frames(z), frames(h), fit_target(frames(x), whole), train)
    result = elbo(frames(x), p, frames(q), frames(prior), frames(z), analytic)
    return videos(result.recon, x), videos(result.kl, x), p, v

  def evaluate(v, batch, key, hyper, train, whole=None):
    x = batch['video']
    recon, kl, p, v = terms(v, x, key, analytic, train, whole)
    recon, total = jnp.sum(recon, axis=1), per_example(kl)
    values = {'recon': recon, 'kl': total, 'elbo': -recon - total}
    values['elbo_per_frame'] = values['elbo'] / length
    values['kl_terms'] = rows(kl)
    if fitted_scale:
      values['squared_error'] = jnp.mean(videos(squared_error(p, frames(x)), x), axis=1)
    value = recon + hyper['beta'] * total
    if perceptual:
      values['lpips'] = perceptual(videos(p.mean, x), x)
      value = value + hyper[lpips.WEIGHT] * values['lpips']
    return value, values, v

  def sample(v, key, n, given=None, temperature=1.0, draw=False):
    """Videos, or continuations of the first frames given['video'] [n, k, H, W, C].

    At temperature 0, z is the mean of its posterior for given frames, and of its prior for others.
    """
    z_key, x_key = jax.random.split(key)
    noise = temperature * jax.random.normal(z_key, (n, length, latents))
    first = (given or {}).get('video', jnp.zeros((n, 0, *example.fields['video'].shape[1:])))
    k, carry = first.shape[1], core.start(n)
    if k > length:
      raise UserError(
        f'{k} given frames are more than the {length} frames of a video. Give at most {length}'
      )
    if k:
      (carry, _), _ = unroll(v, first, noise[:, :k])
    rest = generate(v, carry, k, noise[:, k:], x_key if draw else None)
    return {'video': jnp.concatenate([first, rest], axis=1)}

  def innovations(q, p, z):
    """q(e|x) and e, for latents z = mean + scale * e with the mean and scale of the prior p."""
    whiten = lambda x: (x - p.mean) * jnp.exp(-p.log_scale)
    return Gaussian(whiten(q.mean), q.log_scale - p.log_scale), whiten(z)

  def sample_e(v, x, key, temperature):
    noise = jnp.zeros((*x.shape[:2], latents))
    noise = noise if key is None else temperature * jax.random.normal(key, noise.shape)
    (_, (q, p, z, _)), _ = unroll(v, x, noise)
    return innovations(q, p, z)[1]

  def e_conditionals(v, x, e):
    (_, (q, p, z, _)), _ = unroll(v, x, e, replay=True)
    return innovations(q, p, z)[0]

  def posterior(v, batch, train=False):
    v, x = lens.only(v, 'encoder', 'core'), batch['video']
    run = jax.tree_util.Partial(sample_e, v, x)
    return Path(jax.tree_util.Partial(e_conditionals, v, x), run), v

  def prior(v, n, given):
    return standard((n, length, latents)), v

  def x_conditionals(v, e, x):
    (_, (_, _, z, h)), _ = unroll(v, x, e, replay=True)
    p, _ = decode(v, frames(z), frames(h))
    return jax.tree.map(lambda a: videos(a, x) if a.ndim else a, p)

  def sample_x(v, e, key, temperature):
    return generate(v, core.start(e.shape[0]), 0, e, key)

  def likelihood(v, z, given, target=None, train=False):
    run = jax.tree_util.Partial(sample_x, v, z)
    return Path(jax.tree_util.Partial(x_conditionals, v, z), run), v

  def reconstruct(v, batch, key):
    x = batch['video']
    (_, (_, _, z, h)), _ = unroll(v, x, jnp.zeros((*x.shape[:2], latents)))
    p, _ = decode(v, frames(z), frames(h))
    return {'video': videos(p.mean, x)}

  def log_weight(v, batch, key):
    recon, kl, *_ = terms(v, batch['video'], key, analytic=False, train=False)
    return {'log_weight': -jnp.sum(recon, axis=1) - per_example(kl)}

  made = objective(evaluate)
  method = Method(
    init=init,
    players=(Player('rvae', made.loss, ('encoder', 'core', 'decoder'), means=made.means),),
    sample=sample,
    metrics=made.metrics,
    predict={'reconstruct': reconstruct, 'log_weight': log_weight},
    dims=dims,
    given=('video',),
    latent=Latent(prior, posterior, likelihood, data='video'),
    pooled=made.pooled,
    stream=Stream(core.start, observe, advance, (latents,)),
  )
  return latent.complete(method, example)
