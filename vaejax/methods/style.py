"""Style transfer with a VAE that has two latents: z_c for the content of an image, z_s for its
style.

Adaptive instance normalisation (Huang & Belongie 2017, arXiv:1703.06868) sets the statistics of
every layer of the decoder from z_s. No labels are used. Without pairs, the style image of x is
another row of the batch, and the correct transfer is unknown. With pairs (`data.pairs`), which only
procedural styles have, the correct transfer is known: the content of x in the style of another
image.
"""

from functools import partial

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.compound import Joint
from vaejax.distributions import kl, per_example, standard
from vaejax.errors import UserError
from vaejax.methods.bound import fit_target, squared_error
from vaejax.methods.limits import objective
from vaejax.nets import lens
from vaejax.nets import style as nets_of
from vaejax.nets.heads import discrete
from vaejax.previous import PREFIX, rows_before
from vaejax.types import Example, Latent, Method, Player


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  rows = config.batch_size // config.optimizer.accumulate
  if rows < 2:
    raise UserError(
      'the method style transfers the style of one row to another, but a batch has '
      f'{rows} row. Set batch_size to at least 2 * optimizer.accumulate'
    )
  dims = discrete(config.model.likelihood, example)
  fitted_scale = config.model.likelihood == 'sigma_vae'
  return style(nets_of.make(config.model, example), example, dims, fitted_scale)


stop_gradient = jax.lax.stop_gradient


def statistics_distance(statistics: jax.Array, target: jax.Array) -> jax.Array:
  """The mean squared difference of statistics [B, S] from their targets, [B]. Each is divided by
  its variance over the rows of `target`."""
  return scaled_error(jnp.square(statistics - target), target)


def scaled_error(error: jax.Array, target: jax.Array) -> jax.Array:
  """The mean of squared errors [B, S] divided by the variances of `target` over its rows, [B]."""
  return jnp.mean(error / (jnp.var(target, axis=0) + nets_of.EPSILON), axis=-1)


def style(nets, example, dims=0, fitted_scale=False) -> Method:
  """A VAE of the nets 'content', 'style' and 'decoder' of nets/style.py.

  The loss of an image x and a style image s has these terms, in nats per example except for
  `style`. elbo = -recon - kl_content - kl_style.
    recon = -log p(x | z_c, z_s), with z_c from q(z_c|x) and z_s from q(z_s|x).
    kl_content, kl_style: the KL of the two posteriors from N(0, 1), with the weights
      hyper['beta_content'] and hyper['beta_style']. Information that both latents could carry goes
      to the one with the smaller weight. A smaller beta_style is safe, because z_s only sees
      statistics and so cannot carry content.

  The other terms concern the transfer y, the mean of p(. | z_c of x, z_s of s). The weight of each
  is the entry of `hyper` with its name.
    style: the distance of the style encoder's statistics of y from their target (see
      `statistics_distance`).
    code = |E z_s of y - E z_s of s|² / 2.
    Both train y to look like s, and not the encoder.

  Without pairs, s is the previous row of the batch, in a test the previous row of the split, and
  its statistics are the target.
    content = |E z_c of y - E z_c of x|² / 2: y has the content of x.
    transfer = -log p(x | z_c from q(z_c|y), z_s of x): x can be recovered from y.

  With pairs, s is the row's 'style_image'. The row's 'pair' t is x in the style of s, and its
  statistics are the target.
    content = |E z_c of t - E z_c of x|² / 2.
    transfer = -log p(t | z_c of x, z_s of s).

  `code` and `content` are KLs of Gaussians of scale 1 whose second mean has no gradient. With the
  scales of the posteriors they diverge in training.

  dims: see Method. fitted_scale: see bound.terms.
  """
  apply = partial(lens.apply, nets)
  shape = example.fields['image'].shape
  content_shape = jax.eval_shape(
    lambda x: nets['content'].init_with_output(jax.random.key(0), x)[0], jnp.zeros((1, *shape))
  ).mean.shape[1:]
  latents = nets['style'].latents

  def init(key, batch):
    x = batch['image']
    n = x.shape[0]
    z = jnp.zeros((n, *content_shape)), jnp.zeros((n, latents))
    return lens.init(nets, key, {'content': (x,), 'style': (x,), 'decoder': z})

  def posteriors(v, x, train=False):
    """q(z_c|x), q(z_s|x), the statistics of x, and the updated variables."""
    q_c, v = apply('content', v, x, train=train)
    (q_s, statistics), v = apply('style', v, x, train=train)
    return q_c, q_s, statistics, v

  def evaluate(v, batch, key, hyper, train, whole=None):
    # o is the other image, whose style y has.
    x, (c_key, s_key, o_key) = batch['image'], jax.random.split(key, 3)
    q_c, q_s, statistics, v = posteriors(v, x, train)
    z_c, z_s = q_c.sample(c_key), q_s.sample(s_key)
    p, v = apply('decoder', v, z_c, z_s, target=fit_target(x, whole), train=train)
    values = {
      'recon': -per_example(p.log_prob(x)),
      'kl_content': per_example(kl(q_c, standard(q_c.mean.shape))),
      'kl_style': per_example(kl(q_s, standard(q_s.mean.shape))),
    }
    values['elbo'] = -values['recon'] - values['kl_content'] - values['kl_style']
    if fitted_scale:
      values['squared_error'] = squared_error(p, x)
    if 'pair' in batch:
      pair = batch['pair']
      (q_o, _), _ = apply('style', v, batch['style_image'])
      (_, target), _ = apply('style', stop_gradient(v), pair)
      p, _ = apply('decoder', v, z_c, q_o.sample(o_key), target=pair)
      y, (q_c_transfer, _) = p.mean, apply('content', v, pair)
      values['transfer'] = -per_example(p.log_prob(pair))
    else:
      previous = lambda rows: jnp.roll(rows, 1, axis=0)
      q_o, target, z_o = jax.tree.map(previous, (q_s, statistics, z_s))
      if PREFIX + 'image' in batch:
        (q_o, target), _ = apply('style', v, rows_before(batch, 'image', 1)[:, 0])
        z_o = q_o.sample(jax.random.fold_in(o_key, 1))
      y = apply('decoder', v, z_c, z_o, target=x)[0].mean
      q_c_transfer, _ = apply('content', v, y)
      p, _ = apply('decoder', v, q_c_transfer.sample(o_key), z_s, target=x)
      values['transfer'] = -per_example(p.log_prob(x))
    (q_s_transfer, statistics), _ = apply('style', stop_gradient(v), y)
    target = stop_gradient(target)
    if train:
      values['style'] = statistics_distance(statistics, target)
    else:  # for `pooled`, because the variances are those of the split
      values |= {'style_error': jnp.square(statistics - target), 'style_target': target}
    distance = lambda q, target: 0.5 * per_example(jnp.square(q.mean - stop_gradient(target.mean)))
    values['code'] = distance(q_s_transfer, q_o)
    values['content'] = distance(q_c_transfer, q_c)
    weights = {'recon': 1.0, 'kl_content': hyper['beta_content'], 'kl_style': hyper['beta_style']}
    weights |= {name: hyper[name] for name in ('style', 'code', 'content', 'transfer')}
    return sum(weight * values[k] for k, weight in weights.items() if k in values), values, v

  def pooled(values, hyper):
    values = made.pooled(values, hyper)
    style = scaled_error(values.pop('style_error'), values.pop('style_target'))
    return {**values, 'style': style, 'loss': values['loss'] + hyper['style'] * style}

  def prior(v, n, given):
    return Joint((standard((n, *content_shape)), standard((n, latents)))), v

  def posterior(v, batch, train=False):
    q_c, q_s, _, v = posteriors(v, batch['image'], train)
    return Joint((q_c, q_s)), v

  def likelihood(v, z, given, target=None, train=False):
    return apply('decoder', v, *z, target=target, train=train)

  def transfer(v, batch, key):
    """'image' in the style of 'style_image', [B, H, W, C] each in the range of the data."""
    q_c, _ = apply('content', v, batch['image'])
    (q_s, _), _ = apply('style', v, batch['style_image'])
    return {'image': likelihood(v, (q_c.mean, q_s.mean), {})[0].mean}

  made = objective(evaluate)
  method = Method(
    init=init,
    players=(Player('style', made.loss, ('content', 'style', 'decoder'), means=made.means),),
    sample=None,
    metrics=made.metrics,
    predict={'transfer': transfer},
    dims=dims,
    latent=Latent(prior, posterior, likelihood),
    pooled=pooled,
    previous=0 if 'pair' in example.fields else 1,
  )
  return latent.complete(method, example)
