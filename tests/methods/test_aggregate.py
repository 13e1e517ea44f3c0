"""β-TCVAE, DIP-VAE and FactorVAE: their losses by hand, microbatches, the game, and mistakes."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vaejax.config.load import load_config, set_field
from vaejax.core.step import create_state, examples_of, make_step, turn
from vaejax.distributions import Gaussian, standard
from vaejax.errors import UserError
from vaejax.methods import dipvae, factorvae, tcvae
from vaejax.nets.mlp import Mlp
from vaejax.objectives.dip import moments, penalty
from vaejax.objectives.total_correlation import decompose
from vaejax.types import Example, Latent, Method, Player, Variables

ROOT = Path(__file__).parents[2]
EXAMPLE = Example({'image': jax.ShapeDtypeStruct((4, 1, 1), jnp.float32)})
N, SIZE, SCALE = 16, 2, 0.3


def base():
  """A linear VAE whose posteriors have the scale SCALE and the shape [B, 1, SIZE], because latents
  may have any shape; its player trains 'encoder' and 'decoder'."""

  def posterior(v, batch, train=False):
    mean = batch['image'].reshape(-1, 1, 4) @ v.params['encoder']
    return Gaussian(mean, jnp.full_like(mean, np.log(SCALE))), v

  def likelihood(v, z, given, target=None, train=False):
    mean = z.reshape(-1, SIZE) @ v.params['decoder']
    mean = mean.reshape(-1, 4, 1, 1)
    return Gaussian(mean, jnp.zeros_like(mean)), v

  def init(key, batch):
    draw = lambda i, shape: jax.random.normal(jax.random.fold_in(key, i), shape)
    return Variables({'encoder': draw(0, (4, SIZE)), 'decoder': draw(1, (SIZE, 4))}, {})

  prior = lambda v, n, given: (standard((n, 1, SIZE)), v)
  player = Player('vae', None, ('encoder', 'decoder'), optax.sgd(1.0))
  return Method(init, (player,), None, None, {}, latent=Latent(prior, posterior, likelihood))


def batch(n=N):
  return {'image': jax.random.normal(jax.random.key(2), (n, 4, 1, 1))}


@pytest.fixture(scope='module')
def v():
  return base().init(jax.random.key(0), batch())


KEY = jax.random.key(1)


def terms(v, x):
  """recon [B], the posterior and the draw [B, SIZE] of the loss with KEY."""
  q, _ = base().latent.posterior(v, x)
  z = q.sample(KEY)
  p, _ = base().latent.likelihood(v, z, {})
  recon = -jnp.sum(p.log_prob(x['image']).reshape(len(z), -1), axis=-1)
  return recon, Gaussian(q.mean[:, 0], q.log_scale[:, 0]), z[:, 0]


@pytest.mark.parametrize('estimator, rows', [('weighted', 0), ('stratified', 100)])
def test_tcvae_weighs_the_parts(v, estimator, rows):
  method = tcvae.tcvae(base(), estimator, rows, analytic=True)
  hyper = {'alpha': 0.5, 'beta': 6.0, 'gamma': 2.0}

  def by_hand(params):
    recon, q, z = terms(v.replace(params=params), batch())
    log_p = -0.5 * jnp.sum(jnp.square(z), axis=-1) - jnp.log(2 * jnp.pi)
    mi, tc, rest = decompose(z, q, log_p, estimator, rows)
    return jnp.mean(recon + 0.5 * mi + 6 * tc + 2 * rest)

  loss = lambda params: method.players[0].loss(v.replace(params=params), batch(), KEY, hyper)[0]
  (got, found), (want, slope) = (jax.value_and_grad(f)(v.params) for f in (loss, by_hand))
  np.testing.assert_allclose(got, want, rtol=1e-5)
  jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4), found, slope)


def test_tcvae_with_weights_of_one_is_the_elbo_at_its_draw(v):
  method = tcvae.tcvae(base(), analytic=True)
  ones = dict.fromkeys(('alpha', 'beta', 'gamma'), 1.0)
  value, (logged, _) = method.players[0].loss(v, batch(), KEY, ones)
  recon, q, z = terms(v, batch())
  log_p = -0.5 * jnp.square(z) - 0.5 * jnp.log(2 * jnp.pi)
  want = jnp.mean(recon + jnp.sum(q.log_prob(z) - log_p, axis=-1))
  np.testing.assert_allclose(value, want, rtol=1e-5)
  kl = 0.5 * (SCALE**2 + q.mean**2 - 1) - np.log(SCALE)
  np.testing.assert_allclose(logged['kl'], jnp.mean(jnp.sum(kl, axis=-1)), rtol=1e-5)
  # What a batch estimates is no value of a test.
  assert method.metrics(v, batch(), KEY, ones).keys() == {'recon', 'kl', 'elbo'}


HYPER = {'beta': 2.0, 'off_diagonal': 3.0, 'diagonal': 5.0}


@pytest.mark.parametrize('kind', ['i', 'ii'])
def test_dipvae_adds_its_penalty(v, kind):
  method = dipvae.dipvae(base(), kind, analytic=True)

  def by_hand(params):
    recon, q, _ = terms(v.replace(params=params), batch())
    kl = jnp.sum(0.5 * (SCALE**2 + q.mean**2 - 1) - np.log(SCALE), axis=-1)
    return jnp.mean(recon + 2 * kl) + penalty(kind, moments(q.mean, q.scale**2), 3.0, 5.0)

  loss = lambda params: method.players[0].loss(v.replace(params=params), batch(), KEY, HYPER)[0]
  (got, found), (want, slope) = (jax.value_and_grad(f)(v.params) for f in (loss, by_hand))
  np.testing.assert_allclose(got, want, rtol=1e-5)
  jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-3), found, slope)


@pytest.mark.parametrize('limits', [{}, {'capacity': 3.0, 'free_bits': 0.9}])
def test_microbatches_of_dipvae_have_the_gradient_of_the_whole_batch(limits):
  """Without a likelihood, whose draws of z differ between microbatches."""

  def likelihood(v, z, given, target=None, train=False):
    blank = jnp.zeros((z.shape[0], 4, 1, 1))
    return Gaussian(blank, blank), v

  model = base().latent._replace(likelihood=likelihood)
  method = dipvae.dipvae(base()._replace(latent=model), 'ii', analytic=True)
  state = create_state(method, KEY, {'lr': 1.0, **HYPER, **limits}, EXAMPLE)

  def move(player, parts):
    after, _ = turn(player, state, batch(), KEY, state.hyper, parts)
    return jax.tree.map(jnp.subtract, after.variables.params, state.variables.params)['encoder']

  player = method.players[0]
  whole = move(player, 1)
  for parts in (2, 4):
    np.testing.assert_allclose(move(player, parts), whole, rtol=1e-4, atol=1e-4)
  alone = move(player._replace(means=None), 4)
  assert jnp.abs(alone - whole).max() > 0.05 * jnp.abs(whole).max()


def test_the_test_loss_of_dipvae_does_not_depend_on_batches(v):
  method = dipvae.dipvae(base(), 'i', analytic=True)
  rows = [method.metrics(v, {'image': x}, KEY, HYPER) for x in (batch()['image'],)]
  halves = [method.metrics(v, {'image': batch()['image'][i::2]}, KEY, HYPER) for i in (0, 1)]
  join = lambda parts: jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
  one, two = (method.pooled(join(parts), HYPER) for parts in (rows, halves))
  np.testing.assert_allclose(one['dip'].mean(), two['dip'].mean(), rtol=1e-4)
  _, q, _ = terms(v, batch())
  want = penalty('i', moments(q.mean, q.scale**2), 3.0, 5.0)
  np.testing.assert_allclose(one['dip'].mean(), want, rtol=1e-4)
  np.testing.assert_allclose(one['loss'] - one['dip'] - one['recon'], 2 * one['kl'], atol=1e-3)
  assert one.keys() == {'recon', 'kl', 'elbo', 'loss', 'dip'}


def factor():
  return factorvae.factorvae(base(), factorvae.CodeCritic(Mlp((32, 32), 'leaky_relu')))


def test_factorvae_adds_the_critics_logit():
  method = factor()
  v = method.init(jax.random.key(0), batch())
  hyper = {'beta': 2.0, 'gamma': 7.0}
  recon, q, z = terms(v, batch())
  logit, _ = factorvae.lens.apply(
    {'critic': factorvae.CodeCritic(Mlp((32, 32), 'leaky_relu'))}, 'critic', v, z
  )
  kl = jnp.sum(0.5 * (SCALE**2 + q.mean**2 - 1) - np.log(SCALE), axis=-1)
  value, (logged, _) = method.players[0].loss(v, batch(), KEY, hyper)
  np.testing.assert_allclose(value, jnp.mean(recon + 2 * kl + 7 * logit), rtol=1e-5)
  np.testing.assert_allclose(logged['tc'], jnp.mean(logit), rtol=1e-5)
  found = method.metrics(v, batch(), KEY, hyper)
  np.testing.assert_allclose(found['tc'], logit, rtol=1e-5)
  assert method.batches == 2


def test_the_critic_permutes_the_second_batch():
  """Codes of its first batch alone are data, those of its second alone are permuted."""
  method = factor()
  v = method.init(jax.random.key(0), batch())
  value = lambda x: method.players[1].loss(v, {'image': x}, KEY, {})[1][0]
  x = batch()['image']
  before = value(x)
  first, second = x.at[0::2].add(1.0), x.at[1::2].add(1.0)
  assert value(first)['logit_fake'] == before['logit_fake'] != value(second)['logit_fake']
  assert value(second)['logit_real'] == before['logit_real'] != value(first)['logit_real']


def test_a_step_draws_the_batches_of_the_critic():
  """The model's update sees the first batch, the critic's both, whose rows alternate."""
  x = {'image': jnp.arange(12)}
  one, two = Player('a', None, ()), Player('b', None, (), batches=2)
  np.testing.assert_array_equal(examples_of(one, x, 0, 2)['image'], np.arange(0, 12, 2))
  np.testing.assert_array_equal(examples_of(two, x, 0, 2)['image'], np.arange(12))
  np.testing.assert_array_equal(examples_of(one, x, 2, 4)['image'], [2, 6, 10])
  np.testing.assert_array_equal(examples_of(two, x, 1, 4)['image'], [2, 3, 6, 7, 10, 11])
  assert Method(None, (one._replace(turns=3), two), None, None, {}).batches == 3


@pytest.mark.slow
def test_a_trained_critic_estimates_the_total_correlation():
  """Of codes with the correlation ρ: -1/2 log(1 - ρ²), here 0.51 nats."""
  method = factor()
  rho = 0.8
  critic = method.players[1]._replace(tx=optax.adam(1.0))
  method = method._replace(players=(method.players[0], critic))
  encoder = jnp.array([[1, rho], [0, np.sqrt(1 - rho**2)], [0, 0], [0, 0]]) * np.sqrt(1 - SCALE**2)
  state = create_state(method, KEY, {'lr_critic': 5e-3, 'gamma': 1.0, 'beta': 1.0}, EXAMPLE)
  params = {**state.variables.params, 'encoder': encoder}
  state = state.replace(variables=state.variables.replace(params=params))
  step = make_step(method._replace(players=(critic,)))

  def body(state, i):
    x = jax.random.normal(jax.random.fold_in(KEY, i), (256, 4, 1, 1))
    return step(state, {'image': x})[0], None

  state, _ = jax.jit(lambda s: jax.lax.scan(body, s, jnp.arange(1000)))(state)
  x = jax.random.normal(jax.random.key(9), (20_000, 4, 1, 1))
  q, _ = method.latent.posterior(state.variables, {'image': x})
  z = q.sample(jax.random.key(3))[:, 0]
  r = np.corrcoef(np.asarray(z).T)[0, 1]
  tc = method.metrics(state.variables, {'image': x}, KEY, state.hyper)['tc']
  assert float(tc.mean()) == pytest.approx(-0.5 * np.log(1 - r**2), abs=0.08)
  assert r > 0.7


def config(word, **fields):
  found = load_config(f'{ROOT}/configs/beta_vae.py:smoke,{word}')
  for name, value in fields.items():
    set_field(found, name.replace('__', '.'), value)
  return found


IMAGES = Example({'image': jax.ShapeDtypeStruct((8, 8, 1), jnp.float32)})


@pytest.mark.parametrize(
  'word, module, fields, message',
  [
    (
      'tcvae',
      tcvae,
      {'accumulate': '2'},
      'accumulate=2 does not fit .* tcvae.*Set it to 1',
    ),
    ('factor', factorvae, {'accumulate': '2'}, 'accumulate=2 does not fit the method factorvae'),
    ('tcvae', tcvae, {'estimator': 'mean'}, "estimator='mean' is unknown.*stratified, weighted"),
    ('tcvae', tcvae, {'rows': '3'}, 'rows=3, the number of training images, is less than'),
    ('tcvae', tcvae, {'batch_size': '1'}, 'batch_size=1 is too small'),
    ('tcvae', tcvae, {'objective__name': 'iwae'}, 'one draw of z.*objective.name=elbo'),
    ('dip_i', dipvae, {'samples': '3'}, 'one draw of z.*objective.samples=1'),
    ('dip_i', dipvae, {'kind': 'iii'}, "kind='iii' is unknown"),
    ('factor', factorvae, {'model__critic__norm': 'batch'}, 'norm=batch does not fit the critic'),
  ],
)
def test_mistakes(word, module, fields, message):
  with pytest.raises(UserError, match=message):
    module.make(config(word, **fields), IMAGES)


def test_a_base_that_does_not_fit():
  found = load_config(f'{ROOT}/configs/gan.py:smoke')
  with found.unlocked():
    found.objective.base, found.objective.kind = 'gan', 'i'
    found.objective.kl, found.objective.samples = 'analytic', 1
    found.model.likelihood = 'bernoulli'
  with pytest.raises(UserError, match=r'name=.* is unknown|objective.base=gan does not fit'):
    dipvae.make(found, IMAGES)
  with pytest.raises(UserError, match=r'objective\.base=gan does not fit'):
    dipvae.aggregate.base(found, IMAGES)
  with pytest.raises(UserError, match='diagonal Gaussian, but this one is a tuple'):
    dipvae.aggregate.flat((), None)


@pytest.mark.parametrize('word', ['tcvae', 'factor', 'dip_i', 'dip_ii'])
def test_conditional_and_learned_priors(word):
  """Any base of one player: a conditional VAE, and one whose prior is learned."""
  example = Example({**IMAGES.fields, 'label': jax.ShapeDtypeStruct((), jnp.int32)}, classes=3)
  rows = {'image': jnp.zeros((4, 8, 8, 1)), 'label': jnp.arange(4) % 3}
  for fields in ({'conditional': True}, {'prior': 'mixture', 'components': 5}):
    made = config(word)
    with made.unlocked():
      made.model.update(fields)
    module = {'tcvae': tcvae, 'factor': factorvae}.get(word, dipvae)
    method = module.make(made, example)
    v = jax.eval_shape(method.init, KEY, rows)
    hyper = {name: jnp.float32(x) for name, x in made.hyper.items()}
    for player in method.players:
      value, _ = jax.eval_shape(player.loss, v, rows, KEY, hyper)
      assert value.shape == ()
    assert ('prior' in method.players[0].owns) == ('prior' in fields)
