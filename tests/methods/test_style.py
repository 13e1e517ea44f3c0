"""The terms of the loss against formulas, and what each of them moves."""

from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vaejax.config.load import load_config
from vaejax.errors import UserError
from vaejax.methods import style
from vaejax.nets import lens
from vaejax.nets import style as nets_of
from vaejax.types import Example

CONFIGS = Path(__file__).parents[2] / 'configs'
SHAPE, N = (8, 8, 3), 6
KEY = jax.random.key(3)
TERMS = 'recon', 'kl_content', 'kl_style', 'style', 'code', 'content', 'transfer'
WEIGHTS = 'beta_content', 'beta_style', 'style', 'code', 'content', 'transfer'


@cache
def config():
  return load_config(f'{CONFIGS}/style.py:smoke,model.channels=8,model.style.channels=8')


@cache
def example():
  return Example({'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}, 10, styles=6)


@cache
def data():
  image = np.random.default_rng(0).uniform(size=(N, *SHAPE)).astype(np.float32)
  return {'image': jnp.asarray(image)}


@cache
def made():
  return style.make(config(), example())


@cache
def variables():
  v = jax.jit(made().init)(jax.random.key(0), data())
  leaves, tree = jax.tree.flatten(v)
  noise = lambda i, x: 0.1 * jax.random.normal(jax.random.key(i), x.shape)
  return jax.tree.unflatten(tree, [x + noise(i, x) for i, x in enumerate(leaves)])


@cache
def measure():
  """Compiled: (batch, key, hyper) -> metrics."""
  metrics = partial(made().metrics, variables())
  return jax.jit(lambda batch, key, hyper: made().pooled(metrics(batch, key, hyper), hyper))


@cache
def gradient():
  """Compiled: (hyper, batch) -> the gradient of the loss, {net: tree}."""

  def of(params, hyper, batch):
    return made().players[0].loss(whole.replace(params=params), batch, KEY, hyper)[0]

  whole = variables()
  found = jax.jit(jax.grad(of))
  return lambda batch=None, **hyper: found(
    variables().params, {name: hyper.get(name, 0.0) for name in WEIGHTS}, batch or data()
  )


def flat(tree):
  return np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])


def moved(less, more, net):
  """How much the gradients of a net differ."""
  return np.abs(flat(less[net]) - flat(more[net])).max()


@cache
def posteriors():
  apply = partial(lens.apply, nets_of.make(config().model, example()))
  q_c, _ = apply('content', variables(), data()['image'])
  (q_s, found), _ = apply('style', variables(), data()['image'])
  return apply, q_c, q_s, found


def nats(q):
  """KL from the standard normal of [N, L], by the closed form in float64."""
  mean, log = np.float64(q.mean), np.float64(q.log_scale)
  return (0.5 * (mean**2 + np.exp(2 * log) - 1) - log).reshape(N, -1).sum(-1)


def apart(q, p):
  """Half the squared distance of the means of [N, L]."""
  return 0.5 * np.square(np.float64(q.mean) - p.mean).reshape(N, -1).sum(-1)


@pytest.mark.slow
def test_terms_are_their_formulas():
  hyper = dict(zip(WEIGHTS, (3.0, 0.2, 5.0, 0.7, 0.9, 0.4), strict=True))
  got = jax.tree.map(np.float64, measure()(data(), KEY, hyper))
  apply, q_c, q_s, found = posteriors()
  assert np.allclose(got['kl_content'], nats(q_c), rtol=1e-4)
  assert np.allclose(got['kl_style'], nats(q_s), rtol=1e-4)
  c_key, s_key, _ = jax.random.split(KEY, 3)
  z_c, z_s = q_c.sample(c_key), q_s.sample(s_key)
  p, _ = apply('decoder', variables(), z_c, z_s)
  want = -stats.norm(p.mean, config().model.scale).logpdf(data()['image']).sum((1, 2, 3))
  assert np.allclose(got['recon'], want, rtol=1e-4)
  assert np.allclose(got['elbo'], -want - nats(q_c) - nats(q_s), rtol=1e-4)
  # Of the transfer: each row in the style of the one before it.
  other = np.arange(N) - 1
  y = apply('decoder', variables(), z_c, z_s[other])[0].mean
  (_, like), _ = apply('style', variables(), y)
  found = np.float64(found)
  want = ((np.float64(like) - found[other]) ** 2 / (found.var(0) + 1e-4)).mean(-1)
  assert np.allclose(got['style'], want, rtol=1e-3)
  weights = dict(zip(TERMS, (1.0, *hyper.values()), strict=True))
  total = sum(weight * got[name] for name, weight in weights.items())
  assert np.allclose(got['loss'], total, rtol=1e-4)


@pytest.mark.slow
def test_without_pairs_the_transfer_shows_what_x_shows_and_leads_back():
  apply, q_c, q_s, _ = posteriors()
  c_key, s_key, o_key = jax.random.split(KEY, 3)
  z_c, z_s = q_c.sample(c_key), q_s.sample(s_key)
  y = apply('decoder', variables(), z_c, z_s[np.arange(N) - 1])[0].mean
  q_y, _ = apply('content', variables(), y)
  p, _ = apply('decoder', variables(), q_y.sample(o_key), z_s)
  want = -stats.norm(p.mean, config().model.scale).logpdf(data()['image']).sum((1, 2, 3))
  got = measure()(data(), KEY, dict.fromkeys(WEIGHTS, 1.0))
  assert np.allclose(got['transfer'], want, rtol=1e-4)
  assert np.allclose(got['content'], apart(q_y, q_c), rtol=1e-3)


@pytest.mark.slow
def test_with_pairs_the_transfer_is_the_pair():
  apply, q_c, _, _ = posteriors()
  c_key, _, o_key = jax.random.split(KEY, 3)
  x = data()['image']
  pair, other = x[::-1], 1 - x
  (q_o, _), _ = apply('style', variables(), other)
  (_, found), _ = apply('style', variables(), pair)
  p, _ = apply('decoder', variables(), q_c.sample(c_key), q_o.sample(o_key))
  want = -stats.norm(p.mean, config().model.scale).logpdf(pair).sum((1, 2, 3))
  got = measure()({**data(), 'pair': pair, 'style_image': other}, KEY, dict.fromkeys(WEIGHTS, 1.0))
  assert np.allclose(got['transfer'], want, rtol=1e-4)
  (q_like, like), _ = apply('style', variables(), p.mean)
  assert np.allclose(got['code'], apart(q_like, q_o), rtol=1e-3)
  assert np.allclose(got['style'], style.statistics_distance(like, found), rtol=1e-3)
  q_y, _ = apply('content', variables(), pair)
  assert np.allclose(got['content'], apart(q_y, q_c), rtol=1e-3)


def test_a_draw_is_decided_by_its_key():
  hyper = dict.fromkeys(WEIGHTS, 1.0)
  one, same = (measure()(data(), KEY, hyper) for _ in range(2))
  other = measure()(data(), jax.random.key(4), hyper)
  assert all(np.array_equal(one[name], same[name]) for name in one)
  assert all((one[name] != other[name]).any() for name in ('recon', 'style', 'transfer'))
  assert all(np.array_equal(one[name], other[name]) for name in ('kl_content', 'kl_style'))


@pytest.mark.slow
def test_each_weight_of_a_kl_acts_on_its_own_latents():
  none = gradient()()
  for name, own, others in (
    ('beta_content', 'content', ('style', 'decoder')),
    ('beta_style', 'style', ('content', 'decoder')),
  ):
    more = gradient()(**{name: 2.0})
    assert moved(none, more, own) > 1e-3
    assert all(moved(none, more, net) == 0 for net in others)


@pytest.mark.slow
def test_the_style_term_reaches_all_that_makes_the_transfer_and_nothing_that_measures_it():
  apply = partial(lens.apply, nets_of.make(config().model, example()))
  x, other = data()['image'], np.arange(N) - 1
  (c_key, s_key, _), whole = jax.random.split(KEY, 3), variables()

  def term(params, still):
    """The term, of nets with `params`, as the style encoder of `still` measures it."""
    v = whole.replace(params=params)
    q_c, q_s = apply('content', v, x)[0], apply('style', v, x)[0][0]
    y = apply('decoder', v, q_c.sample(c_key), q_s.sample(s_key)[other])[0].mean
    measured = lambda x: apply('style', whole.replace(params=still), x)[0][1]
    return jnp.mean(style.statistics_distance(measured(y), measured(x)[other]))

  want = jax.jit(jax.grad(term))(variables().params, variables().params)
  none, more = gradient()(), gradient()(style=1.0)
  for net in ('content', 'style', 'decoder'):
    assert np.allclose(flat(more[net]) - flat(none[net]), flat(want[net]), atol=2e-3)
    assert np.abs(flat(want[net])).max() > 0.02


def test_statistics_are_measured_in_their_variance():
  wanted = np.random.default_rng(1).normal(size=(5, 4)) * [1, 10, 100, 0.1]
  off = wanted + wanted.std(0)
  assert np.allclose(style.statistics_distance(jnp.asarray(off), jnp.asarray(wanted)), 1, rtol=0.01)


def test_predictions_fit_together():
  predict = {name: jax.jit(partial(f, variables())) for name, f in made().predict.items()}
  code = predict['encode'](data(), KEY)
  image = predict['reconstruct'](data(), KEY)['image']
  assert np.allclose(predict['decode']({'latents': code['mean']}, KEY)['image'], image, atol=1e-5)
  x, other = data()['image'], data()['image'][::-1]
  own = predict['transfer']({'image': x, 'style_image': x}, KEY)['image']
  assert np.allclose(own, image, atol=1e-5)
  found = predict['transfer']({'image': x, 'style_image': other}, KEY)['image']
  content, manner = code['mean']
  mixed = content, manner[::-1]
  assert np.allclose(found, predict['decode']({'latents': mixed}, KEY)['image'], atol=1e-5)
  assert np.abs(found - own).max() > 0.01


@pytest.mark.slow
def test_a_weight_is_of_the_joint():
  got = jax.jit(partial(made().predict['log_weight'], variables()))(data(), KEY)['log_weight']
  apply, q_c, q_s, _ = posteriors()
  c_key, s_key = jax.random.split(KEY)
  z_c, z_s = q_c.sample(c_key), q_s.sample(s_key)
  p, _ = apply('decoder', variables(), z_c, z_s)
  want = stats.norm(p.mean, config().model.scale).logpdf(data()['image']).sum((1, 2, 3))
  for q, z in ((q_c, z_c), (q_s, z_s)):
    want += (stats.norm.logpdf(z) - stats.norm(q.mean, np.exp(q.log_scale)).logpdf(z)).sum(-1)
  assert np.allclose(got, want, rtol=1e-4)


def test_samples_at_temperature_nothing_are_one_image():
  v = variables()
  sample = jax.jit(lambda t: made().sample(v, KEY, 5, temperature=t)['image'])
  cold, warm = sample(0.0), sample(1.0)
  assert np.allclose(cold, cold[:1], atol=1e-6) and np.abs(warm - warm[:1]).max() > 0.01
  assert warm.shape == (5, *SHAPE)


def test_one_row_has_no_other_to_take_a_style_from(project):
  lonely = load_config('configs/style.py:smoke,batch_size=1')
  with pytest.raises(UserError, match=r'Set batch_size to at least 2 \*'):
    style.make(lonely, example())


@pytest.mark.parametrize(
  'words, message',
  [
    ('model.tones=1', 'model.tones=1 is not a curve. Give at least 2 knots, or 0'),
    ('model.tones=5,likelihood=bernoulli', 'Set model.likelihood to laplace or gaussian'),
  ],
)
def test_a_curve_of_tones_has_two_ends_and_is_of_images(project, words, message):
  asked = load_config(f'configs/style.py:smoke,{words}')
  with pytest.raises(UserError, match=message):
    style.make(asked, example())
