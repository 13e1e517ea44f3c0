"""Style transfer by a VAE of two latents: z_c, what an image shows, and z_s, how.

Adaptive instance normalisation (Huang & Belongie 2017, arXiv:1703.06868) lets z_s decide the
statistics of every layer of the decoder. No label of contents or of styles is used. Without pairs
the image that gives its style to x is any other row of the batch, and nothing tells which images
show the same. With pairs (`data.pairs`), which only procedural styles can give, the transfer that
is wanted is given too: what x shows, in the style of the other image.
"""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.compound import Joint
from vaejax.distributions import kl, per_example, standard
from vaejax.errors import UserError
from vaejax.nets import lens
from vaejax.nets import style as nets_of
from vaejax.nets.heads import discrete
from vaejax.types import Example, Latent, Method, Player


def make(config, example: Example) -> Method:
  """The method that a config asks for. Raises UserError for a value that it cannot take."""
  if config.batch_size // config.optimizer.accumulate < 2:
    raise UserError('style takes the style of one row for another: batch_size is 2 at least')
  dims = discrete(config.model.likelihood, example)
  return style(nets_of.make(config.model, example), example, dims)


fixed = jax.lax.stop_gradient


def unlikeness(found: jax.Array, wanted: jax.Array, mask: jax.Array | None = None) -> jax.Array:
  """Squared differences of statistics [B, S], each in units of its variance over the rows wanted
  that `mask` [B] counts; their mean, [B]."""
  mean = jnp.average(wanted, axis=0, weights=mask)
  variance = jnp.average(jnp.square(wanted - mean), axis=0, weights=mask)
  return jnp.mean(jnp.square(found - wanted) / (variance + nets_of.EPSILON), axis=-1)


def style(nets, example, dims=0) -> Method:
  """A VAE of the nets 'content', 'style' and 'decoder' of nets.style.

  Of an image x, and of another s that gives its style, the loss is the sum of
    recon = -log p(x | z_c, z_s), z_c from q(z_c|x) and z_s from q(z_s|x);
    kl_content and kl_style, of those two posteriors against N(0, 1), times hyper['beta_content']
      and hyper['beta_style']. What both could tell goes where it is cheaper: with a smaller
      beta_style, to z_s, which is read from statistics alone and so cannot tell more than style;
    and of the transfer y, the mean of p(. | z_c of x, z_s of s), each times the entry of `hyper`
    of its name:
    style, how far the style encoder's statistics of y are from those wanted, see `unlikeness`;
    code = |E z_s of y - E z_s of s|² / 2. For both the encoder is held still: y is to look like s;
    without pairs, s is the row before x in the batch, its statistics are those wanted, and
      content = |E z_c of y - E z_c of x|² / 2: y shows what x shows;
      transfer = -log p(x | z_c from q(z_c|y), z_s of x): there is a way back from y;
    with pairs, s is the row's 'style_image', and x in its style, t, is the row's 'pair', whose
    statistics are those wanted, and
      content = |E z_c of t - E z_c of x|² / 2;
      transfer = -log p(t | z_c of x, z_s of s).
  Both distances are KLs of Gaussians of scale 1, for those of the posteriors' own scales run away;
  the second mean is held still. All are in nats per example, but for `style`, and elbo = -recon -
  kl_content - kl_style.

  dims: see Method.
  """
  apply = partial(lens.apply, nets)
  shape = example.fields['image'].shape
  code = jax.eval_shape(
    lambda x: nets['content'].init_with_output(jax.random.key(0), x)[0], jnp.zeros((1, *shape))
  ).mean.shape[1:]
  latents = nets['style'].latents

  def init(key, batch):
    x = batch['image']
    n = x.shape[0]
    codes = jnp.zeros((n, *code)), jnp.zeros((n, latents))
    return lens.init(nets, key, {'content': (x,), 'style': (x,), 'decoder': codes})

  def posteriors(v, x, train=False):
    """q(z_c|x), q(z_s|x), the statistics of x, and the variables left behind."""
    q_c, v = apply('content', v, x, train=train)
    (q_s, found), v = apply('style', v, x, train=train)
    return q_c, q_s, found, v

  def bound(v, batch, key, hyper, train):
    """Loss and named terms per example [B], and the variables left behind."""
    x, (c_key, s_key, o_key) = batch['image'], jax.random.split(key, 3)
    q_c, q_s, found, v = posteriors(v, x, train)
    z_c, z_s = q_c.sample(c_key), q_s.sample(s_key)
    p, v = apply('decoder', v, z_c, z_s, target=x, train=train)
    values = {
      'recon': -per_example(p.log_prob(x)),
      'kl_content': per_example(kl(q_c, standard(q_c.mean.shape))),
      'kl_style': per_example(kl(q_s, standard(q_s.mean.shape))),
    }
    values['elbo'] = -values['recon'] - values['kl_content'] - values['kl_style']
    if 'pair' in batch:
      pair = batch['pair']
      (q_o, _), _ = apply('style', v, batch['style_image'])
      (_, wanted), _ = apply('style', fixed(v), pair)
      p, _ = apply('decoder', v, z_c, q_o.sample(o_key), target=pair)
      y, (q_y, _) = p.mean, apply('content', v, pair)
      values['transfer'] = -per_example(p.log_prob(pair))
    else:
      before = lambda rows: jnp.roll(rows, 1, axis=0)
      q_o, wanted, z_o = jax.tree.map(before, (q_s, found, z_s))
      y = apply('decoder', v, z_c, z_o, target=x)[0].mean
      q_y, _ = apply('content', v, y)
      p, _ = apply('decoder', v, q_y.sample(o_key), z_s, target=x)
      values['transfer'] = -per_example(p.log_prob(x))
    (q_like, like), _ = apply('style', fixed(v), y)
    values['style'] = unlikeness(like, fixed(wanted), batch.get('mask'))
    values['code'] = 0.5 * per_example(jnp.square(q_like.mean - fixed(q_o.mean)))
    values['content'] = 0.5 * per_example(jnp.square(q_y.mean - fixed(q_c.mean)))
    weights = {'recon': 1.0, 'kl_content': hyper['beta_content'], 'kl_style': hyper['beta_style']}
    weights |= {name: hyper[name] for name in ('style', 'code', 'content', 'transfer')}
    return sum(weight * values[name] for name, weight in weights.items()), values, v

  def loss(v, batch, key, hyper):
    value, values, v = bound(v, batch, key, hyper, train=True)
    return jnp.mean(value), (jax.tree.map(jnp.mean, values), v.extra)

  def metrics(v, batch, key, hyper):
    value, values, _ = bound(v, batch, key, hyper, train=False)
    return {**values, 'loss': value}

  def prior(v, n, given):
    return Joint((standard((n, *code)), standard((n, latents)))), v

  def posterior(v, batch, train=False):
    q_c, q_s, _, v = posteriors(v, batch['image'], train)
    return Joint((q_c, q_s)), v

  def likelihood(v, z, given, target=None, train=False):
    return apply('decoder', v, *z, target=target, train=train)

  def translate(v, batch, key):
    """'image' in the style of 'style_image', both [B, H, W, C] in the range of the data."""
    q_c, _ = apply('content', v, batch['image'])
    (q_s, _), _ = apply('style', v, batch['style_image'])
    return {'image': likelihood(v, (q_c.mean, q_s.mean), {})[0].mean}

  method = Method(
    init=init,
    players=(Player('style', loss, ('content', 'style', 'decoder')),),
    sample=None,
    metrics=metrics,
    predict={'translate': translate},
    dims=dims,
    latent=Latent(prior, posterior, likelihood),
  )
  return latent.complete(method, example)
