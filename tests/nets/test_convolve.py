"""Both lowerings of a convolution are the same function, to every order of derivative."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from vaejax.lowering import for_export
from vaejax.nets.convolve import conv, conv_transpose

OPS = {'conv': conv, 'conv_transpose': conv_transpose}
# kernel height and width, stride, image height and width, channels in and out
CASES = [
  (3, 3, 1, 7, 6, 3, 4),
  (3, 3, 2, 7, 8, 3, 1),
  (4, 4, 2, 8, 5, 1, 3),
  (1, 1, 1, 4, 5, 3, 2),
]
ODD = [
  (4, 4, 1, 6, 5, 2, 3),
  (5, 5, 2, 9, 6, 2, 1),
  (5, 5, 1, 3, 4, 1, 2),
  (7, 2, 3, 8, 7, 1, 2),
  (2, 1, 3, 7, 4, 2, 2),
]
CASES += [pytest.param(case, marks=pytest.mark.slow) for case in ODD]


def draw(seed, *shape, dtype=jnp.float32):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def alike(got, want, tolerance=1e-5):
  """Equal shapes and dtypes, and values equal relative to the largest one."""
  assert got.shape == want.shape and got.dtype == want.dtype
  got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
  np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * np.abs(want).max())


@pytest.mark.parametrize('name', OPS)
@pytest.mark.parametrize('case', CASES, ids=lambda c: '-'.join(map(str, c)))
def test_lowerings_agree_to_second_order(name, case):
  kh, kw, stride, H, W, C, F = case
  x, kernel = draw(0, 2, H, W, C), draw(1, kh, kw, C, F)

  @partial(jax.jit, static_argnums=2)
  def derivatives(x, kernel, lowering):
    def run(x, kernel):
      return jnp.sin(OPS[name](x, kernel, stride, lowering))  # the sine: a second derivative

    def penalty(x, kernel):  # the gradient penalty of a critic
      return jnp.linalg.norm(jax.grad(lambda x: jnp.sum(run(x, kernel)))(x))

    first = jax.grad(lambda *a: jnp.sum(run(*a) ** 2), (0, 1))(x, kernel)
    return run(x, kernel), *first, *jax.grad(penalty, (0, 1))(x, kernel)

  both = (derivatives(x, kernel, lowering) for lowering in ('matmul', 'lax'))
  for got, want in zip(*both, strict=True):
    alike(got, want, 2e-5)
  alike(OPS[name](x, kernel, stride, 'spread'), OPS[name](x, kernel, stride, 'lax'), 2e-5)


def test_an_export_has_convolutions_alone():
  x, kernel = draw(0, 2, 6, 7, 3), draw(1, 4, 4, 3, 2)
  with for_export():
    traced = str(jax.make_jaxpr(lambda x: conv_transpose(x, kernel, 2))(x))
  assert traced.count('conv_general_dilated') == 1 and 'lhs_dilation=(1, 1)' in traced
  assert 'conv_general_dilated' not in str(jax.make_jaxpr(lambda x: conv(x, kernel))(x))


@pytest.mark.parametrize('name', OPS)
@pytest.mark.parametrize('stride', [1, 2])
def test_is_what_lax_computes(name, stride):
  """Against `lax` called from here, so that an error in both branches is seen."""
  x, kernel = draw(0, 2, 6, 7, 3), draw(1, 4, 4, 3, 2)
  settings = ((stride, stride), 'SAME')
  layout = {'dimension_numbers': ('NHWC', 'HWIO', 'NHWC')}
  peer = {'conv': lax.conv_general_dilated, 'conv_transpose': lax.conv_transpose}[name]
  for lowering in ('matmul', 'lax', None):
    alike(OPS[name](x, kernel, stride, lowering), peer(x, kernel, *settings, **layout))


@pytest.mark.parametrize('name', OPS)
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('shared', [True, False], ids=['one-x', 'an-x-a-member'])
def test_members_with_their_own_kernels(name, stride, shared):
  """vmap over kernels equals one call a member, holds no convolution, and has gradients."""
  x = draw(0, 2, 6, 5, 3) if shared else draw(0, 4, 2, 6, 5, 3)
  kernels = draw(1, 4, 3, 3, 3, 2)

  def loss(x, kernel, lowering='matmul'):
    y = OPS[name](x, kernel, stride, lowering)
    return jnp.sum(y**2), y

  gradient = jax.jit(jax.grad(loss, 1, has_aux=True), static_argnums=2)
  members = jax.jit(jax.vmap(gradient, in_axes=(None if shared else 0, 0)))
  dk, y = members(x, kernels)
  assert 'convolution' not in members.lower(x, kernels).as_text()
  for i in range(4):
    want = gradient(x if shared else x[i], kernels[i], 'lax')
    alike(dk[i], want[0])
    alike(y[i], want[1])


@pytest.mark.parametrize('name', OPS)
@pytest.mark.parametrize('stride', [1, 2])
def test_bfloat16_stays_bfloat16(name, stride):
  x, kernel = draw(0, 2, 7, 6, 8), draw(1, 3, 3, 8, 4)

  @partial(jax.jit, static_argnums=2)
  def run(x, kernel, lowering):
    y, pull = jax.vjp(lambda *a: OPS[name](*a, stride, lowering), x, kernel)
    return y, *pull(y)

  half = run(x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16), 'matmul')
  for got, want in zip(half, run(x, kernel, 'lax'), strict=True):
    alike(got, want.astype(jnp.bfloat16), 2e-2)


@pytest.mark.parametrize('op', OPS.values(), ids=OPS)
def test_an_empty_batch_and_a_single_pixel(op):
  kernel = draw(1, 3, 3, 2, 4)
  for x in (draw(0, 0, 4, 4, 2), draw(0, 1, 1, 1, 2)):
    got, want = (jax.jit(op, static_argnums=(2, 3))(x, kernel, 2, how) for how in ('matmul', 'lax'))
    np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize('op', OPS.values(), ids=OPS)
@pytest.mark.parametrize('lowering', ['matmul', 'lax', None])
def test_bad_input_is_refused(op, lowering):
  x, kernel = jnp.zeros((2, 6, 6, 3)), jnp.zeros((3, 3, 3, 4))
  for stride in (0, -1, 1.5, (2, 2)):
    with pytest.raises(ValueError, match='whole number, 1 or more'):
      op(x, kernel, stride, lowering)
  for image, weights in (
    (x, jnp.zeros((3, 3, 4, 4))),
    (x[0], kernel),
    (x, kernel[0]),
  ):
    with pytest.raises(ValueError, match='does not fit'):
      op(image, weights, 1, lowering)
  with pytest.raises(ValueError, match="lowering 'fft': give 'matmul', 'lax', 'spread' or None"):
    op(x, kernel, 1, 'fft')
