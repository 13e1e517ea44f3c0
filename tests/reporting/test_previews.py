"""The table of images and their translations into styles."""

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.reporting.previews import style_table
from vaejax.types import Example, Method


def test_contents_are_in_rows_and_styles_in_columns():
  image = jnp.arange(10.0)[:, None, None, None] * jnp.ones((10, 2, 2, 1)) / 10
  batch = {'image': 2 * image - 1, 'style': jnp.array([2, 0, 2, 1, 0, 2, 2, 2, 2, 2])}
  fields = {'image': jax.ShapeDtypeStruct((2, 2, 1), jnp.float32)}
  example = Example(fields, None, -1.0, 1.0, styles=3)
  mix = lambda v, batch, key: {'image': 0.8 * batch['image'] + 0.1 * batch['style_image']}
  method = Method(None, (), None, None, {'translate': mix})
  table = np.asarray(example.to_picture(style_table(method, None, batch, example)))
  assert table.shape == (9 * 4, 2, 2, 1)
  cells = table.reshape(9, 4, -1)[..., 0]
  styles, contents = np.array([1, 3, 0]) / 10, np.arange(8) / 10  # the first row of each style
  assert np.isnan(cells[0, 0])
  assert np.allclose(cells[0, 1:], styles) and np.allclose(cells[1:, 0], contents)
  expected = (0.8 * (2 * contents[:, None] - 1) + 0.1 * (2 * styles - 1) + 1) / 2
  assert np.allclose(cells[1:, 1:], expected, atol=1e-5)
