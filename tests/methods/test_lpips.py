"""LPIPS as a term of the loss: weighted, averaged over draws, and absent without its weight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import rvae as rvae_config
from configs import vae as vae_config
from vaejax.errors import UserError
from vaejax.lookup import lookup
from vaejax.perceptual import weights
from vaejax.perceptual.lpips import distance
from vaejax.types import Example

pytestmark = pytest.mark.skipif(not weights.is_installed(), reason='needs the extra perceptual')

IMAGE = Example({'image': jax.ShapeDtypeStruct((8, 8, 1), jnp.float32)}, None, -1.0, 1.0)
VIDEO = Example({'video': jax.ShapeDtypeStruct((3, 16, 16, 1), jnp.float32)}, data='video')


def make(config, example):
  """A method, its variables and a batch."""
  method = lookup('methods', config.method).make(config, example)
  shape = example.fields[example.data].shape
  x = jax.random.uniform(jax.random.key(1), (4, *shape), minval=example.low, maxval=example.high)
  batch = {example.data: x}
  return method, jax.jit(method.init)(jax.random.key(0), batch), batch


def losses(config, example, weights_of_lpips):
  """{weight: (loss, metrics)} of the first player."""
  method, v, batch = make(config, example)
  hyper = {k: jnp.asarray(x) for k, x in config.hyper.items()}
  loss = jax.jit(method.players[0].loss)
  found = {}
  for w in weights_of_lpips:
    given = hyper if w is None else hyper | {'lpips': jnp.asarray(w)}
    value, (metrics, _) = loss(v, batch, jax.random.key(2), given)
    found[w] = float(value), metrics
  return found


@pytest.mark.parametrize('words', ['', ',samples=3', ',objective.name=iwae,samples=3'])
def test_it_is_added_with_its_weight(words):
  config = vae_config.get_config(f'digits,lpips,smoke,norm=none{words}')
  found = losses(config, IMAGE, (0.0, 2.0))
  plain = losses(vae_config.get_config(f'digits,smoke{words}'), IMAGE, (None,))[None]
  assert found[0.0][0] == pytest.approx(plain[0], rel=1e-6) and 'lpips' not in plain[1]
  term = float(found[2.0][1]['lpips'])
  assert term > 0 and found[2.0][0] - found[0.0][0] == pytest.approx(2 * term, rel=1e-3)


def test_it_compares_the_mean_of_the_decoder_with_the_image():
  """At test time, where the posterior has almost no width."""
  config = vae_config.get_config('digits,lpips,smoke')
  method, v, batch = make(config, IMAGE)
  q, _ = method.latent.posterior(v, batch)
  z = q.sample(jax.random.key(3))
  p, _ = method.latent.likelihood(v, z, {})
  want = distance('alex')((p.mean + 1) / 2, (batch['image'] + 1) / 2)
  hyper = {k: jnp.asarray(x) for k, x in config.hyper.items()}
  values = method.metrics(v, batch, jax.random.key(3), hyper)
  np.testing.assert_allclose(values['lpips'], want, atol=1e-5)


def test_of_videos_it_is_the_mean_over_frames():
  config = rvae_config.get_config('moving,lpips,smoke,net=mlp')
  found = losses(config, VIDEO, (0.0, 2.0))
  term = float(found[2.0][1]['lpips'])
  assert 0 < term < 1 and found[2.0][0] - found[0.0][0] == pytest.approx(2 * term, rel=1e-3)


def test_what_it_cannot_compare_is_refused():
  config = vae_config.get_config('digits,lpips,smoke')
  five = Example({'image': jax.ShapeDtypeStruct((8, 8, 5), jnp.float32)})
  with pytest.raises(UserError, match=r'hyper.lpips needs images of 1, 3 or 4 channels'):
    make(config, five)
  config = vae_config.get_config('digits,lpips,smoke,objective.lpips=resnet')
  with pytest.raises(UserError, match=r"'resnet'"):
    make(config, IMAGE)
