"""The net from a source and a latent: its parts against PIL and against their inverses."""

import jax.numpy as jnp
import numpy as np
from PIL import Image

from vaejax.nets import predictor


def test_an_enlarged_source_is_pils_bicubic():
  small = np.random.default_rng(0).uniform(size=(1, 6, 5, 1)).astype(np.float32)
  want = Image.fromarray(small[0, ..., 0]).resize((20, 24), Image.Resampling.BICUBIC)
  made = predictor.resized(jnp.asarray(small), (24, 20, 3))
  assert made.shape == (1, 24, 20, 3)
  for channel in range(3):
    np.testing.assert_allclose(made[0, ..., channel], want, atol=1e-5)


def test_what_is_missing_is_its_mirror_image_where_that_is_seen():
  picture = np.arange(8, dtype=np.float32).reshape(1, 2, 4, 1) / 8
  seen = np.array([[1, 1, 0, 0], [1, 0, 0, 1]], np.float32).reshape(1, 2, 4, 1)
  source = np.concatenate([seen * picture + (1 - seen) * 0.5, seen], axis=-1)
  made = np.asarray(predictor.mirrored(jnp.asarray(source)))[0, ..., 0]
  # In the second row neither of the inner two is seen, so they stay.
  np.testing.assert_allclose(made, [[0, 1 / 8, 1 / 8, 0], [4 / 8, 0.5, 0.5, 7 / 8]])
