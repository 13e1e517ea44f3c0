"""The table of images and their translations into styles."""

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data import source
from vaejax.data.table import of_arrays
from vaejax.reporting import images, previews
from vaejax.reporting.previews import style_table
from vaejax.types import Example, Latent, Method


def test_contents_are_in_rows_and_styles_in_columns():
  image = jnp.arange(10.0)[:, None, None, None] * jnp.ones((10, 2, 2, 1)) / 10
  batch = {'image': 2 * image - 1, 'style': jnp.array([2, 0, 2, 1, 0, 2, 2, 2, 2, 2])}
  fields = {'image': jax.ShapeDtypeStruct((2, 2, 1), jnp.float32)}
  example = Example(fields, None, -1.0, 1.0, styles=3)
  mix = lambda v, batch, key: {'image': 0.8 * batch['image'] + 0.1 * batch['style_image']}
  method = Method(None, (), None, None, {'transfer': mix})
  table = np.asarray(example.to_picture(style_table(method, None, batch, example)))
  assert table.shape == (9 * 4, 2, 2, 1)
  cells = table.reshape(9, 4, -1)[..., 0]
  styles, contents = np.array([1, 3, 0]) / 10, np.arange(8) / 10  # the first row of each style
  assert np.isnan(cells[0, 0])
  assert np.allclose(cells[0, 1:], styles) and np.allclose(cells[1:, 0], contents)
  expected = (0.8 * (2 * contents[:, None] - 1) + 0.1 * (2 * styles - 1) + 1) / 2
  assert np.allclose(cells[1:, 1:], expected, atol=1e-5)


class Pictures:
  """A log that keeps what is written."""

  def __init__(self):
    self.written = {}

  def write_image(self, step, name, picture):
    self.written[name] = picture


def drawn(label, classes, conditional=True):
  """The previews of rows with these labels, and the pictures that are written."""
  fields = {'image': np.full((len(label), 2, 2, 1), 255, np.uint8), 'label': np.int32(label)}
  split = source.make(of_arrays(fields, classes, 'toy'), 1)
  grey = lambda x: jnp.broadcast_to(x[:, None, None, None], (len(x), 2, 2, 1))
  method = Method(
    None,
    (),
    lambda v, key, n, given: {'image': grey(given['label'] / max(1, classes))},
    None,
    {'reconstruct': lambda v, batch, key: {'image': batch['image']}},
    given=('label',),
    latent=Latent(None, None, None, conditions=('label',) if conditional else ()),
  )
  found = previews.make(method, split, len(label))({}, jax.random.key(0))
  log = Pictures()
  previews.write(log, 1, found, method, split.example)
  return jax.device_get(found), log.written


def test_a_row_without_the_label_that_a_method_needs_is_blank():
  found, written = drawn([0, -1, 1, -1], 2)
  blank = np.isnan(found['reconstructions']).all((1, 2, 3))
  assert blank.tolist() == [False, True, False, True] and 'reconstructions' in written
  assert not np.isnan(drawn([0, -1], 2, conditional=False)[0]['reconstructions']).any()
  _, written = drawn([-1, -1], 2)
  assert set(written) == {'samples'}


def test_one_class_and_many_classes_fill_a_grid_as_if_there_were_none():
  for classes in (1, 10_000):
    found, written = drawn([0] * 16, classes)
    assert np.array_equal(written['samples'], images.grid(found['samples']))
