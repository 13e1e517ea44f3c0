"""Terms that are not linear in the batch: the same gradient in microbatches as in one batch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from vaejax.core.step import create_state, turn
from vaejax.distributions import Gaussian, standard
from vaejax.methods import bound
from vaejax.nets import lens
from vaejax.nets.heads import LikelihoodHead
from vaejax.types import Example, Latent, Method, Player

N, L, SHAPE = 12, 3, (4, 3, 1)
EXAMPLE = Example({'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)})


class Encoder(nn.Module):
  """q(z|x) without noise, because a microbatch has other noise than the same rows of the batch. Its
  KL of each dimension is -log scale - 1/2 = 29.5, plus half of the squared mean."""

  @nn.compact
  def __call__(self, x, train=False):
    mean = nn.Dense(L)(x.reshape(x.shape[0], -1))
    return Gaussian(mean, jnp.full_like(mean, -30.0))


class Decoder(nn.Module):
  kind: str

  @nn.compact
  def __call__(self, z, target=None, train=False):
    x = nn.Dense(12)(z).reshape(-1, *SHAPE)
    return LikelihoodHead(self.kind)(x, target, train)


def player(kind='gaussian', **settings):
  """A player at rate 1 and its `init`, of a linear VAE."""
  nets = {'encoder': Encoder(), 'decoder': Decoder(kind)}
  model = Latent(
    prior=lambda v, n, given: (standard((n, L)), v),
    posterior=lambda v, batch, train=False: lens.apply(
      nets, 'encoder', v, batch['image'], train=train
    ),
    likelihood=lambda v, z, given, target=None, train=False: lens.apply(
      nets, 'decoder', v, z, target=target, train=train
    ),
  )
  made = bound.bound(model, fitted_scale=kind == 'sigma_vae', **settings)
  init = lambda key, batch: lens.init(
    nets, key, {'encoder': (batch['image'],), 'decoder': (jnp.zeros((1, L)),)}
  )
  return Player('vae', made.loss, tuple(nets), optax.sgd(1.0), means=made.means), init


def batch():
  """Rows that differ much, so that the means of microbatches are far apart."""
  size = jnp.linspace(0.1, 3.0, N)[:, None, None, None]
  return {'image': size * jax.random.normal(jax.random.key(5), (N, *SHAPE))}


def update(trained, init, batch, microbatches, hyper, example=EXAMPLE):
  """What one update adds to the parameters, the statistics after it, and its metrics."""
  method = Method(init, (trained,), None, None, {})
  state = create_state(method, jax.random.key(0), {'lr': 1.0} | hyper, example)
  take = jax.jit(turn, static_argnums=(0, 5))
  after, metrics = take(trained, state, batch, state.key, state.hyper, microbatches)
  move = jax.tree.map(jnp.subtract, after.variables.params, state.variables.params)
  return move, after.variables.extra, metrics


def assert_close(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5 * float(jnp.abs(y).max()) + 1e-7)


CASES = {
  'plain': ('gaussian', {}, {}),
  'free bits': ('gaussian', {'free_bits': 30.0}, {}),
  'capacity': ('gaussian', {'capacity': 91.0}, {}),
  'both': ('gaussian', {'free_bits': 30.0, 'capacity': 90.5}, {'samples': 3}),
  'sigma': ('sigma_vae', {}, {}),
  'sigma, free bits': ('sigma_vae', {'free_bits': 30.0}, {'samples': 2}),
  'sigma, iwae': ('sigma_vae', {}, {'samples': 2, 'importance': True}),
}


@pytest.mark.parametrize('case', CASES)
def test_microbatches_have_the_gradient_of_the_whole_batch(case):
  kind, hyper, settings = CASES[case]
  trained, init = player(kind, **settings)
  hyper = {'beta': 2.0, 'capacity': 0.0, 'free_bits': 0.0} | hyper
  whole = update(trained, init, batch(), 1, hyper)
  for count in (2, 4):
    assert_close(update(trained, init, batch(), count, hyper), whole)
  # Near the threshold: means of microbatches alone lie on both sides of it.
  if case not in ('plain', 'sigma, iwae'):
    alone = update(trained._replace(means=None), init, batch(), 4, hyper)
    gap = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), alone[0], whole[0])
    assert max(jax.tree.leaves(gap)) > 0.05 * max(
      float(jnp.abs(x).max()) for x in jax.tree.leaves(whole[0])
    )


@pytest.mark.parametrize('hyper', [{}, {'free_bits': 30.0}, {'capacity': 91.0}])
def test_the_loss_is_the_formula(hyper):
  """recon + beta |sum_j max(free_bits, mean KL_j) - capacity|, and its gradient."""
  trained, init = player()
  v, hyper = init(jax.random.key(0), batch()), {'beta': 2.0} | hyper

  def formula(params):
    x, v_of = batch()['image'].reshape(N, -1), params['encoder']['Dense_0']
    mean = x @ v_of['kernel'] + v_of['bias']
    out = mean @ params['decoder']['Dense_0']['kernel'] + params['decoder']['Dense_0']['bias']
    recon = 0.5 * jnp.sum(jnp.square(x - out) + jnp.log(2 * jnp.pi), axis=-1).mean()
    kl = jnp.mean(29.5 + 0.5 * jnp.square(mean), axis=0)
    kl = jnp.sum(jnp.maximum(kl, hyper.get('free_bits', 0.0)))
    return recon + 2.0 * (jnp.abs(kl - hyper['capacity']) if 'capacity' in hyper else kl)

  loss = lambda params: trained.loss(v.replace(params=params), batch(), jax.random.key(1), hyper)[0]
  (found, slope), (want, right) = (jax.value_and_grad(f)(v.params) for f in (loss, formula))
  np.testing.assert_allclose(found, want, rtol=1e-5)
  assert_close(slope, right)


def test_the_fitted_scale_has_the_gradient_of_its_log_likelihood():
  """D/2 log of the mean squared error, although the scale itself has none."""
  trained, init = player('sigma_vae')
  v = init(jax.random.key(0), batch())

  def formula(params):
    v_of, x = params['encoder']['Dense_0'], batch()['image'].reshape(N, -1)
    mean = x @ v_of['kernel'] + v_of['bias']
    out = mean @ params['decoder']['Dense_0']['kernel'] + params['decoder']['Dense_0']['bias']
    recon = 6 * (jnp.log(2 * jnp.pi * jnp.mean(jnp.square(x - out))) + 1)
    return recon + jnp.sum(29.5 + 0.5 * jnp.square(mean), axis=-1).mean()

  loss = lambda params: trained.loss(
    v.replace(params=params), batch(), jax.random.key(1), {'beta': 1.0}
  )[0]
  (found, slope), (want, right) = (jax.value_and_grad(f)(v.params) for f in (loss, formula))
  np.testing.assert_allclose(found, want, rtol=1e-5)
  assert_close(slope, right)


def test_limits_that_are_off_cost_no_pass_of_means():
  trained, init = player()
  v = init(jax.random.key(0), batch())
  off, on = (
    trained.means(v, batch(), jax.random.key(1), {'beta': 1.0, 'free_bits': jnp.float32(bits)})[0]
    for bits in (0.0, 0.5)
  )
  assert not off['kl_terms'].any() and (on['kl_terms'] > 29).all()
