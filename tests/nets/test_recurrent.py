"""The recurrent core: its scan against a loop, what its state depends on, and its cells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from vaejax.config.load import load_config
from vaejax.errors import UserError
from vaejax.nets import recurrent
from vaejax.nets.recurrent import Core
from vaejax.types import Example

pytestmark = pytest.mark.slow  # scans take long to compile

B, T, F, LATENTS, WIDTH = 2, 5, 3, 4, 6


def make(cell, seed=0):
  """A core, its variables, features [B, T, F] and noise [B, T, LATENTS]."""
  core = Core(LATENTS, WIDTH, cell)
  keys = jax.random.split(jax.random.key(seed), 3)
  seen = jax.random.normal(keys[0], (B, T, F))
  noise = jax.random.normal(keys[1], (B, T, LATENTS))
  return core, core.init(keys[2], seen, noise), seen, noise


@pytest.fixture(params=recurrent.CELLS, scope='module')
def built(request):
  return make(request.param)


def test_the_scan_is_a_loop_of_the_parts(built):
  core, variables, seen, noise = built
  apply = lambda method, *args: core.apply(variables, *args, method=method)
  last, (q, prior, z, h) = core.apply(variables, seen, noise)
  carry = core.start(B)
  for t in range(T):
    now, before = apply('posterior', carry, seen[:, t]), apply('prior', carry)
    drawn = now.mean + noise[:, t] * jnp.sqrt(jnp.exp(2 * now.log_scale))
    for found, want in ((q, now), (prior, before)):
      np.testing.assert_allclose(found.mean[:, t], want.mean, atol=1e-6)
      np.testing.assert_allclose(found.log_scale[:, t], want.log_scale, atol=1e-6)
    np.testing.assert_allclose(z[:, t], drawn, atol=1e-6)
    np.testing.assert_allclose(h[:, t], core.state(carry), atol=1e-6)
    carry = apply('advance', carry, seen[:, t], drawn)
  for found, want in zip(jax.tree.leaves(last), jax.tree.leaves(carry), strict=True):
    np.testing.assert_allclose(found, want, atol=1e-6)


@pytest.mark.parametrize('cell', ['gru', 'lstm'])
def test_the_cells_are_those_of_flax(cell):
  core, variables, seen, noise = make(cell)
  apply = lambda method, *args: core.apply(variables, *args, method=method)
  z = noise[:, 0]
  inputs = jnp.concatenate([seen[:, 0], core.bind(variables).code_trunk(z)], axis=-1)
  found = apply('advance', apply('advance', core.start(B), seen[:, 0], z), seen[:, 0], z)
  cell = {'gru': nn.GRUCell, 'lstm': nn.OptimizedLSTMCell}[cell](WIDTH)
  memory = {'params': variables['params']['memory']}
  carry = cell.initialize_carry(jax.random.key(0), inputs.shape)  # zeros
  for _ in range(2):
    carry, h = cell.apply(memory, carry, inputs)
  np.testing.assert_allclose(core.state(found), h, atol=1e-6)


def dependence(cell, of, on):
  """[T, T]: how much the output `of` in frame t changes with the input `on` of frame s."""
  core, variables, *inputs = make(cell)

  def total(value):
    given = [value if i == on else x for i, x in enumerate(inputs)]
    _, (q, prior, z, h) = core.apply(variables, *given)
    return jnp.stack([{'q': q.mean, 'prior': prior.mean, 'z': z, 'h': h}[of].sum((0, 2))])[0]

  slopes = jax.jacobian(total)(inputs[on])
  return np.abs(slopes).sum((1, 3))


PAST, NOW = np.tri(T, k=-1, dtype=bool), np.eye(T, dtype=bool)


@pytest.mark.parametrize('on', [0, 1])
@pytest.mark.parametrize('cell', ['gru', 'lstm'])
def test_state_and_prior_depend_on_all_of_the_past_and_on_it_alone(cell, on):
  for of in ('h', 'prior'):
    np.testing.assert_array_equal(dependence(cell, of, on) > 0, PAST, err_msg=of)


def test_posterior_and_draw_see_the_frame_as_well():
  np.testing.assert_array_equal(dependence('gru', 'q', 0) > 0, PAST | NOW)
  np.testing.assert_array_equal(dependence('gru', 'q', 1) > 0, PAST)
  np.testing.assert_array_equal(dependence('gru', 'z', 1) > 0, PAST | NOW)


def test_without_recurrence_every_frame_is_by_itself():
  assert not dependence('none', 'h', 0).any() and not dependence('none', 'prior', 1).any()
  np.testing.assert_array_equal(dependence('none', 'q', 0) > 0, NOW)
  core, variables, seen, noise = make('none')
  _, (_, prior, _, h) = core.apply(variables, seen, noise)
  assert not h.any() and (prior.mean == prior.mean[:1, :1]).all()


def test_an_unknown_cell_is_refused(project):
  video = jax.ShapeDtypeStruct((3, 16, 16, 1), jnp.float32)
  config = load_config('configs/rvae.py:smoke')
  assert recurrent.make(config.model, Example({'video': video})).keys() == {
    'encoder',
    'core',
    'decoder',
  }
  config.model.cell = 'gro'
  with pytest.raises(UserError, match=r"model\.cell='gro'.*did you mean 'gru'"):
    recurrent.make(config.model, Example({'video': video}))
