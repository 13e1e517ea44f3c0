"""What two judges read in transfers, of judges and methods whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from run_eval import example_of
from run_eval import values as run_eval

from vaejax.errors import UserError
from vaejax.evals import style
from vaejax.evaluation.judges import Judge
from vaejax.metrics.frechet import Moments
from vaejax.types import Example, Method

SHAPE, STYLES = (1, 6, 3), 6
DATA = {'name': 'mnist', 'styles': 'digits', 'size': 0, 'channels': 0}
CONFIG = ConfigDict({'method': 'toy', 'data': DATA, 'eval': {}})


def judge(channel, low=0.0, high=1.0):
  """One that reads the place of the brightest pixel of a channel, in its own range."""

  def classify(variables, batch, key):
    unit = (batch['image'] - low) / (high - low)
    assert batch['image'].shape[1:] == SHAPE
    return {'logits': unit[:, 0, :, channel] * (jnp.min(unit) >= 0)}

  example = Example({'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}, 6, low, high)
  method = Method(None, (), None, None, {'classify': classify})
  none = Moments(np.zeros(1), np.eye(1))
  name = f'{channel}' * 64
  return Judge('mnist', example, method, None, 0.9 + channel / 100, name, 'it', none, none, None)


@pytest.fixture(autouse=True)
def found(monkeypatch):
  judges = {'label': judge(0, -1.0, 1.0), 'style': judge(1)}
  monkeypatch.setattr(style.judges, 'find', lambda named, data, target: judges[target])


def images(label, kind):
  """Images [N, *SHAPE] of these classes and styles."""
  marks = [jax.nn.one_hot(index, 6) for index in (label, kind)]
  return jnp.stack([*marks, jnp.zeros_like(marks[0])], axis=-1)[:, None]


def of(image, channel):
  return jnp.argmax(image[:, 0, :, channel], axis=-1)


def toy(label=lambda x: x, kind=lambda x: x, again=lambda x: x):
  """Transfers whose content and style come from the right images, then by these functions."""

  def transfer(variables, batch, key):
    shown, wanted = of(batch['image'], 0), of(batch['style_image'], 1)
    return {'image': images(label(shown), kind(wanted))}

  reconstruct = lambda v, batch, key: {
    'image': images(again(of(batch['image'], 0)), of(batch['image'], 1))
  }
  return Method(None, (), None, None, {'transfer': transfer, 'reconstruct': reconstruct})


LABEL = np.array([0, 1, 2, 3, 4, 5, 0, 1])
STYLE = np.array([0, 1, 1, 2, 3, 4, 2, 0])  # row 2 has the style of the row before it, row 0 too


def values(method, mask=None, config=CONFIG):
  e = style.make(method, config, example_of(SHAPE))
  batch = {'image': images(LABEL, STYLE), 'label': jnp.asarray(LABEL), 'style': jnp.asarray(STYLE)}
  mask = jnp.ones(8) if mask is None else jnp.asarray(mask)
  return run_eval(e, test=[{**batch, 'mask': mask}, {**batch, 'mask': 0 * mask}])


def test_a_right_transfer_is_read_as_content_of_the_one_and_style_of_the_other():
  got = values(toy())
  assert set(got.values()) == {1.0} and 'transfer_style_slanted' in got


def test_shares_are_of_the_pairs_whose_styles_differ():
  # Content 2 is that of row 2, which does not count; contents 3 and 4 are read wrong.
  got = values(toy(label=lambda x: jnp.where((x > 1) & (x < 5), 0, x)))
  assert got['transfer_content'] == pytest.approx(4 / 6) and got['transfer_style'] == 1
  # Style 1 is asked for by rows 2 and 3, style 0 by rows 0 and 1: one of each counts.
  got = values(toy(kind=lambda x: jnp.where(x == 1, 0, x)))
  assert got['transfer_style'] == pytest.approx(5 / 6) and got['transfer_content'] == 1
  assert got['transfer_style_thin'] == 0 and got['transfer_style_thick'] == 1


def test_what_is_kept_is_a_share_of_what_reconstructions_show():
  got = values(toy(label=lambda x: jnp.where(x == 3, 0, x), again=lambda x: jnp.minimum(x, 3)))
  assert got['reconstruction_content'] == pytest.approx(6 / 8)
  assert got['content_kept'] == pytest.approx((5 / 6) / (6 / 8))


def test_padding_does_not_count_and_the_first_row_has_no_pair():
  got = values(toy(label=lambda x: jnp.where(x == 5, 0, x)), mask=[1.0] * 6 + [0.0] * 2)
  # Rows 1, 3, 4 and 5 are left.
  assert got['transfer_content'] == pytest.approx(3 / 4)
  assert got['reconstruction_content'] == 1


def test_a_pair_crosses_batches():
  e = style.make(toy(kind=lambda x: jnp.where(x == 1, 0, x)), CONFIG, example_of(SHAPE))
  batch = {'image': images(LABEL, STYLE), 'label': jnp.asarray(LABEL), 'style': jnp.asarray(STYLE)}
  batch['mask'] = jnp.ones(8)
  parts = [{k: x[i : i + 2] for k, x in batch.items()} for i in range(0, 8, 2)]
  assert run_eval(e, test=batch) == run_eval(e, test=parts)


def test_the_protocol_names_both_judges():
  got = style.make(toy(), CONFIG, example_of(SHAPE)).protocol
  assert got['content_judge_accuracy'] == 0.9 and got['style_judge_accuracy'] == 0.91
  assert got['content_judge_checksum'] == '0' * 16 and got['style_judge_checksum'] == '1' * 16


@pytest.mark.parametrize(
  'method, changes, message',
  [
    (toy()._replace(predict={}), {}, "style eval needs transfers, but the method 'toy' has none"),
    (toy(), {'data': DATA | {'styles': ''}}, r'mnist has none\. Set data\.styles'),
  ],
)
def test_what_it_cannot_judge_is_refused(method, changes, message):
  with pytest.raises(UserError, match=message):
    style.make(method, ConfigDict(CONFIG.to_dict() | changes), example_of(SHAPE))


def test_the_error_of_a_ratio_is_its_spread():
  """Over many draws of 2000 rows, of which three quarters are pairs, and whose two answers agree
  more often than by chance."""
  random, got = np.random.default_rng(0), []
  for _ in range(2000):
    easy = random.random(2000) < 0.6
    b, a = (random.random(2000) < np.where(easy, 0.95, low) for low in (0.6, 0.3))
    pairs = random.random(2000) < 0.75
    got.append(style.ratio((a & pairs).sum(), pairs.sum(), b.sum(), 2000, (a & b & pairs).sum()))
  spread = np.std([estimate.value for estimate in got])
  assert np.mean([estimate.error for estimate in got]) == pytest.approx(spread, rel=0.05)
