"""A function with its noise as an input is the function that draws by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.compound import Mixture
from vaejax.core import given_noise
from vaejax.errors import UserError

X = jax.ShapeDtypeStruct((3,), jnp.float32)


def replay(function, key, *arrays):
  """What a function gives, and its program with the draws that the key makes."""
  forms = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays]
  made = given_noise.make(function, *forms)
  given_noise.check(made)
  noise = [draw.sample() for draw in given_noise.make(function, *forms, key=key).draws]
  return function(key, *arrays), made(noise, *arrays), made


def test_draws_become_inputs():
  def function(key, x):
    a, b = jax.random.split(key)
    return x * jax.random.normal(a, (3,)) + jax.random.uniform(jax.random.fold_in(b, 7), (3,)), x

  expected, got, made = replay(function, jax.random.key(4), jnp.arange(3.0))
  np.testing.assert_array_equal(expected[0], got[0])
  assert [draw.kind for draw in made.draws] == ['normal', 'uniform']
  zero = made([jnp.zeros(3), jnp.full(3, 0.5)], jnp.arange(3.0))
  np.testing.assert_array_equal(zero[0], np.full(3, 0.5))


def test_a_mixture_takes_the_noise_of_its_component_too():
  mixture = Mixture(jnp.zeros((5, 4)), jnp.arange(8.0).reshape(1, 4, 2), jnp.zeros((1, 4, 2)))
  function = lambda key, scale: (mixture.sample(key, scale),)
  expected, got, made = replay(function, jax.random.key(1), jnp.float32(0.5))
  np.testing.assert_allclose(expected[0], got[0], rtol=1e-6)
  assert [draw.kind for draw in made.draws] == ['gumbel', 'normal']


def test_draws_of_a_vmap_have_their_axis():
  def function(key, x):
    keys = jax.random.split(key, 4)
    return (jnp.mean(jax.vmap(lambda key: x + jax.random.normal(key, (3,)))(keys), axis=0),)

  expected, got, made = replay(function, jax.random.key(0), jnp.zeros(3))
  np.testing.assert_allclose(expected[0], got[0], rtol=1e-6)
  assert made.draws[0].form.shape == (4, 3)


def test_unused_draws_and_arguments_are_left_out():
  function = lambda key, x, y: (x + 1, jax.random.normal(key, (3,)) * 0)[:1]
  made = given_noise.make(function, X, X)
  assert not made.draws and made.arguments[0] in made.used and made.arguments[1] not in made.used


def test_constants_are_computed_once():
  table = jnp.arange(12.0).reshape(3, 4)
  made = given_noise.make(lambda key, x: (x @ (jnp.tanh(table) * 2)[:, ::-1],), X)
  assert [o.equation.primitive.name for o in made.operations] == ['dot_general']


@pytest.mark.parametrize(
  'draw',
  [
    lambda key: jax.lax.fori_loop(
      0, 3, lambda i, x: x + jax.random.normal(jax.random.fold_in(key, i), (3,)), jnp.zeros(3)
    ),
    lambda key: jax.random.uniform(key, (3,), minval=2.0, maxval=3.0),
    lambda key: jax.random.bernoulli(key, 0.5, (3,)).astype(jnp.float32),
    lambda key: jax.random.permutation(key, 3).astype(jnp.float32),
  ],
  ids=['in a loop', 'of another range', 'bernoulli', 'permutation'],
)
def test_other_draws_are_refused_or_right(draw):
  function = lambda key, x: (x + draw(key),)
  key = jax.random.key(3)
  try:
    expected, got, _ = replay(function, key, jnp.zeros(3))
  except UserError as error:
    assert 'cannot be given to it as an input' in str(error)
  else:
    np.testing.assert_array_equal(expected[0], got[0])


def test_draws_of_a_fixed_shape_are_no_constants():
  made = given_noise.make(lambda key, x: (x + jax.random.randint(key, (3,), 0, 9),), X)
  with pytest.raises(UserError, match='cannot be given to it as an input'):
    given_noise.check(made)
