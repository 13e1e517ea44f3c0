"""What is derived from three distributions: that it fits together, in the range of the data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from vaejax import latent
from vaejax.config import presets
from vaejax.config.base import base
from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.methods import vae
from vaejax.types import Example
from vaejax.units import Units

N, L, SHAPE, CLASSES = 4, 3, (4, 5, 1), 3
KEY = jax.random.key(7)
SMALL = {'widths': (5,), 'latents': L, 'likelihood': 'gaussian', 'scale': 0.3, 'components': 4}


def built(low=0.0, high=1.0, prior='standard', conditional=False):
  fields = {'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}
  fields |= {'label': jax.ShapeDtypeStruct((), jnp.int32)}
  example = Example(fields, CLASSES, low, high)
  config = base('vae', {'lr': 1e-3, 'beta': 1.0})
  config.objective = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'}
  model = presets.AUTOENCODER | SMALL | {'prior': prior, 'conditional': conditional}
  config.model = ConfigDict(model)
  method = vae.make(config, example)
  rng = np.random.default_rng(0)
  unit = jnp.asarray(rng.uniform(size=(N, *SHAPE)), jnp.float32)
  batch = {'image': example.to_data(unit), 'label': jnp.array([0, 2, 1, 2])}
  v = jax.jit(method.init)(jax.random.key(0), batch)
  return method, example, jax.tree.map(lambda x: 1.5 * x + 0.05, v), batch


@pytest.mark.parametrize('scale', [(0.0, 1.0), (-1.0, 1.0)])
def test_what_is_decoded_can_be_encoded(scale):
  method, _, v, batch = built(*scale)
  z = jax.random.normal(KEY, (N, L))
  x = method.predict['decode'](v, {'latents': z}, KEY)['image']
  q, _ = method.latent.posterior(v, {'image': x})
  np.testing.assert_array_equal(method.predict['encode'](v, {'image': x}, KEY)['mean'], q.mean)
  # Of the data as of what is decoded: reconstructing is decoding the mean that encoding gives.
  code = method.predict['encode'](v, batch, KEY)['mean']
  again = method.predict['decode'](v, {'latents': code}, KEY)['image']
  np.testing.assert_array_equal(method.predict['reconstruct'](v, batch, KEY)['image'], again)


def test_both_scales_are_one_model_at_the_border():
  """The same nets but for an affine map of images: encodings agree, and what is decoded does at the
  border."""
  method, unit, v, batch = built(0.0, 1.0)
  other, symmetric, _, _ = built(-1.0, 1.0)

  first = v.params['encoder']
  names = [jax.tree_util.keystr(p) for p, _ in jax.tree.leaves_with_path(first)]
  kernel = next(i for i, n in enumerate(names) if 'kernel' in n and 'head' not in n)
  bias = next(i for i, n in enumerate(names) if 'bias' in n and 'head' not in n)
  leaves, tree = jax.tree.flatten(first)
  # W x + b for x = (y + 1) / 2.
  leaves[bias] = leaves[bias] + 0.5 * leaves[kernel].sum(0)
  leaves[kernel] = 0.5 * leaves[kernel]
  encoder = jax.tree.unflatten(tree, leaves)
  moved = v.replace(params={**v.params, 'encoder': encoder})
  one = method.predict['encode'](v, batch, KEY)['mean']
  two = other.predict['encode'](
    moved, {'image': symmetric.to_data(unit.to_unit(batch['image']))}, KEY
  )['mean']
  np.testing.assert_allclose(one, two, atol=1e-5)


def test_the_borders():
  _, example, _, _ = built(-1.0, 1.0)
  grey = np.array([[0, 128, 255]], np.uint8)
  np.testing.assert_allclose(example.to_data(grey), [[-1, 2 * 128 / 255 - 1, 1]], atol=1e-6)
  np.testing.assert_allclose(example.to_data(np.float32([0.0, 0.25])), [-1, -0.5])
  np.testing.assert_allclose(example.to_unit(jnp.array([-3.0, -1, 0, 1, 3])), [0, 0, 0.5, 1, 1])
  units = Units(shift=(5.0,), scale=(10.0,), low=(-7.0,), high=(30.0,))
  real = example._replace(levels=0, units=units)
  x = np.array([[-9.5], [0.0], [1000.0]], np.float32)
  np.testing.assert_allclose(real.to_data(x), (x - 5) / 10)
  np.testing.assert_allclose(real.to_unit(real.to_data(x)), x, rtol=1e-6)
  np.testing.assert_allclose(real.to_data(np.array([[3]], np.uint16)), [[-0.2]])
  np.testing.assert_allclose(real.to_picture(real.to_data(x)), [[0], [7 / 37], [1]], rtol=1e-5)


@pytest.mark.parametrize(
  'prior, conditional',
  [
    ('standard', False),
    ('standard', True),
    ('by_class', True),
    ('mixture', False),
    ('mixture', True),
    ('vampprior', False),
    ('vampprior', True),
  ],
)
def test_a_weight_is_the_joint_over_the_posterior(prior, conditional):
  method, _, v, batch = built(prior=prior, conditional=conditional)
  model = method.latent
  q, _ = model.posterior(v, batch)
  z = q.sample(KEY)
  joint = latent.log_joint(model, v, z, batch)
  assert joint.shape == (N,)
  weight = method.predict['log_weight'](v, batch, KEY)['log_weight']
  np.testing.assert_allclose(weight, joint - per_example(q.log_prob(z)), rtol=1e-5)
  given = {'label': batch['label']} if conditional else {}
  p_z, p_x = model.prior(v, N, given)[0], model.likelihood(v, z, given)[0]
  want = per_example(p_z.log_prob(z)) + per_example(p_x.log_prob(batch['image']))
  np.testing.assert_allclose(joint, want, rtol=1e-6)
  # A label matters where all is conditioned on it, and nowhere else.
  other = {**batch, 'label': (batch['label'] + 1) % CLASSES}
  changed = latent.log_joint(model, v, z, other)
  assert (np.abs(changed - joint).min() > 1e-3) == conditional


def test_sample_draws_a_missing_label_and_decode_refuses():
  method, _, v, _ = built(prior='by_class', conditional=True)
  assert method.given == ('label',)
  sample = lambda given: method.sample(v, KEY, 300, given, temperature=0.0)['image']
  cold = [np.asarray(sample({'label': jnp.full(300, k)}))[0] for k in range(CLASSES)]
  drawn = np.asarray(sample({}))
  gaps = np.abs(drawn[:, None] - np.stack(cold)[None]).max((2, 3, 4))
  assert gaps.min(1).max() < 1e-5
  counts = np.bincount(gaps.argmin(1), minlength=CLASSES)
  assert np.abs(counts - 100).max() < 5 * np.sqrt(300 * 2 / 9)
  with pytest.raises(UserError, match='decode needs the label'):
    method.predict['decode'](v, {'latents': jnp.zeros((1, L))}, KEY)
