"""Priors: densities that integrate to one, samples that follow them, gradients that arrive."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from vaejax.config import presets
from vaejax.distributions import Gaussian, per_example
from vaejax.errors import UserError
from vaejax.lookup import lookup, names
from vaejax.nets import autoencoder, lens
from vaejax.types import Example, Variables

SHAPE, CLASSES, COMPONENTS = (3, 2, 1), 2, 3
KINDS = 'standard', 'mixture', 'vampprior'


def example():
  fields = {'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}
  return Example(fields | {'label': jax.ShapeDtypeStruct((), jnp.int32)}, CLASSES, -1.0)


def built(kind, latents, classes=0):
  """The prior's function, its variables, wide, and those of the encoder that it may ask."""
  fields = {'widths': (5,), 'latents': latents, 'components': COMPONENTS}
  model = ConfigDict(presets.AUTOENCODER | fields)
  prior = lookup('nets.priors', kind).make(model, (latents,), example(), classes)
  nets = {'encoder': autoencoder.make(model, example(), classes)['encoder'], **prior.nets}
  x, label = jnp.zeros((1, *SHAPE)), jnp.zeros((1,), jnp.int32)
  inputs = {'encoder': (x, label)} | prior.inputs(1, label)
  v = lens.init(nets, jax.random.key(0), inputs)
  rng = np.random.default_rng(1)
  v = jax.tree.map(lambda x: x + 0.7 * rng.normal(size=x.shape).astype(np.float32), v)

  def posterior(v, batch, train=False):
    return lens.apply(nets, 'encoder', v, batch['image'], batch['label'])

  return prior.of(nets, posterior), v


def given(classes, label, n):
  return {'label': jnp.full(n, label)} if classes else {}


def test_the_priors_that_there_are():
  assert set(KINDS) < set(names('nets.priors', 'make'))


CASES = [(kind, 0, 0) for kind in KINDS]
CASES += [(kind, CLASSES, k) for kind in ('mixture', 'vampprior', 'by_class') for k in (0, 1)]


@pytest.mark.parametrize('kind, classes, label', CASES)
@pytest.mark.parametrize('latents', [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_density_integrates_to_one_and_samples_follow_it(kind, classes, label, latents):
  prior, v = built(kind, latents, classes)
  n = 20_000
  drawn = np.asarray(prior(v, n, given(classes, label, n))[0].sample(jax.random.key(3)))
  assert drawn.shape == (n, latents)
  count = 6001 if latents == 1 else 1201
  ends = zip(drawn.min(0) - 3, drawn.max(0) + 3, strict=True)
  axes = [np.linspace(*end, count, dtype=np.float32) for end in ends]
  cell = np.prod([axis[1] - axis[0] for axis in axes])
  grid = np.stack(np.meshgrid(*axes, indexing='ij'), -1).reshape(-1, latents)
  density = jax.jit(
    lambda z: jnp.exp(
      per_example(prior(v, z.shape[0], given(classes, label, z.shape[0]))[0].log_prob(z))
    )
  )
  weight = np.float64(density(grid)) * cell
  assert weight.sum() == pytest.approx(1, abs=2e-3)
  mean = weight @ grid
  scale = np.sqrt(weight @ (grid - mean) ** 2)
  assert (np.abs(drawn.mean(0) - mean) < 5 * scale / np.sqrt(n)).all()
  np.testing.assert_allclose(drawn.std(0), scale, rtol=0.05)
  # Not the moments alone: the share below the median of the first dimension.
  cumulative = np.cumsum(weight.reshape(count, -1).sum(1))
  median = axes[0][np.searchsorted(cumulative, 0.5)]
  assert np.mean(drawn[:, 0] < median) == pytest.approx(0.5, abs=0.03)


def test_a_vampprior_is_the_mean_of_the_posteriors_of_its_pseudo_inputs():
  prior, v = built('vampprior', 2)
  p, _ = prior(v, 4, {})
  raw = v.params['prior']['image']
  assert raw.shape == (COMPONENTS, *SHAPE)
  image = 2 * jax.nn.sigmoid(raw) - 1
  nets = {'encoder': autoencoder.make(
    ConfigDict(presets.AUTOENCODER | {'widths': (5,), 'latents': 2}), example()
  )['encoder']}  # fmt: skip
  q, _ = lens.apply(nets, 'encoder', v, image)
  z = jax.random.normal(jax.random.key(1), (4, 2))
  each = np.stack([
    np.exp(np.float64(per_example(Gaussian(q.mean[k], q.log_scale[k]).log_prob(z))))
    for k in range(COMPONENTS)
  ])  # fmt: skip
  np.testing.assert_allclose(np.exp(np.float64(p.log_prob(z))), each.mean(0), rtol=1e-4)


@pytest.mark.parametrize('classes', [0, CLASSES])
def test_the_gradient_reaches_every_pseudo_input_and_the_encoder(classes):
  prior, v = built('vampprior', 2, classes)
  z, label = jax.random.normal(jax.random.key(1), (6, 2)), jnp.arange(6) % CLASSES

  def objective(params):
    p, _ = prior(Variables(params, v.extra), 6, {'label': label} if classes else {})
    return jnp.mean(p.log_prob(z))

  slope = jax.grad(objective)(v.params)
  each = np.abs(slope['prior']['image']).reshape(max(1, classes) * COMPONENTS, -1).max(1)
  assert (each > 0).all()
  assert max(np.abs(x).max() for x in jax.tree.leaves(slope['encoder'])) > 1e-4
  # Against a finite difference, along the gradient.
  step = 1e-2 / np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(slope['prior'])))
  move = lambda s: {**v.params, 'prior': jax.tree.map(
    lambda x, g: x + s * step * g, v.params['prior'], slope['prior']
  )}  # fmt: skip
  rise = (objective(move(1.0)) - objective(move(-1.0))) / 2
  want = step * sum(np.sum(np.square(x)) for x in jax.tree.leaves(slope['prior']))
  assert rise == pytest.approx(want, rel=0.05)


def test_by_class_is_of_classes():
  with pytest.raises(UserError, match=r'needs a conditional model.*Set model\.conditional=True'):
    built('by_class', 2)
