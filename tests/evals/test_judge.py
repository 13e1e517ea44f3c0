"""What the judge says of samples, of a judge and methods whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from run_eval import example_of, with_errors

from vaejax.errors import UserError
from vaejax.evals import judge
from vaejax.evaluation.judges import Judge
from vaejax.metrics.frechet import Moments
from vaejax.types import Example, Method

CLASSES, SHAPE = 4, (2, 3, 1)
CONFIG = ConfigDict(
  {
    'method': 'toy',
    'data': {'name': 'mnist', 'binarise': 'dynamic'},
    'eval': {'judge': {'workdir': ''}},
  }
)
EXAMPLE = example_of(SHAPE, label=jnp.int32)


def classify(variables, batch, key):
  """The class is the place of the brightest of the first pixels, the features are all of them."""
  pixels = batch['image'].reshape(-1, 6)
  logits = 10 * pixels[:, :CLASSES]
  return {'logits': logits, 'probability': jax.nn.softmax(logits), 'features': pixels}


@pytest.fixture
def found(monkeypatch):
  """found(**changes) -> the judge that the eval finds."""

  def found(
    low=0.0, high=1.0, shares=(0.25,) * 4, covariance=None, names=(), accuracy: float | None = 0.9
  ):
    image = {'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}
    example = Example(image, CLASSES, low, high, class_names=names)
    method = Method(None, (), None, None, {'classify': classify})
    test = Moments(np.full(6, 0.3), np.eye(6) if covariance is None else covariance)
    train = Moments(np.full(6, 0.5), np.eye(6))
    about = accuracy, 'c' * 64, 'it', train, test, np.array(shares)
    one = Judge('mnist', example, method, None, *about)
    monkeypatch.setattr(judge.judges, 'find', lambda named, data, labelled=True: one)
    return one

  return found


def images_of(label, wrong=None):
  """Images of classes [n]; where `wrong` is 1, of the class after."""
  place = (label + (0 if wrong is None else wrong)) % CLASSES
  return (0.1 + 0.8 * jax.nn.one_hot(place, 6)).reshape(-1, *SHAPE)


def toy(sample, given=('label',)):
  return Method(None, (), sample, None, {}, given=given)


def values(*arguments, **named):
  """{name: value} of `estimates`."""
  return {name: x.value for name, x in estimates(*arguments, **named).items()}


def estimates(method, label, mask=None, config=CONFIG):
  """What the eval finds in two batches: the whole, and the same again masked away."""
  e = judge.make(method, config, EXAMPLE)
  label = jnp.asarray(label, jnp.int32)
  given = {'label': label} if 'label' in method.given else {}
  samples = given | method.sample(None, jax.random.key(0), len(label), given)
  mask = jnp.ones(label.shape[0]) if mask is None else jnp.asarray(mask)
  return with_errors(e, samples=[{**samples, 'mask': mask}, {**samples, 'mask': 0 * mask}])


def test_agreement_is_the_mean_over_classes_and_the_least_of_them(found):
  found()
  label = np.array([0] * 10 + [1] * 4 + [3] * 2)
  wrong = np.array([1] * 2 + [0] * 8 + [1] * 3 + [0] + [0] * 2)
  method = toy(lambda v, key, n, given: {'image': images_of(given['label'], wrong)})
  got = values(method, label)
  assert got['label_agreement'] == pytest.approx((0.8 + 0.25 + 1) / 3)
  assert got['label_agreement_least'] == pytest.approx(0.25)
  # Two of class 0 were found to be of 1, three of 1 to be of 2.
  share = np.array([8, 3, 3, 2]) / 16
  assert got['class_entropy'] == pytest.approx(-np.sum(share * np.log(share)), rel=1e-6)
  # A row without a label asks for nothing, and is message of.
  method = toy(lambda v, key, n, given: {'image': images_of(jnp.maximum(given['label'], 0), wrong)})
  less = values(method, np.where(np.arange(16) < 2, -1, label))
  assert less['label_agreement_least'] == 0.25 and less['judge_unlabelled'] == 2
  assert less['label_agreement'] == pytest.approx((1 + 0.25 + 1) / 3)
  method = toy(lambda v, key, n, given: {'image': images_of(given['label'], wrong)})
  # Padding: without the last two rows class 3 is neither asked for nor found.
  less = values(method, label, mask=[1.0] * 14 + [0.0] * 2)
  assert less['label_agreement'] == pytest.approx((0.8 + 0.25) / 2)
  assert (got['classes_covered'], less['classes_covered']) == (4, 3)


def test_a_method_without_labels_has_no_agreement(found):
  found()
  label = np.repeat(np.arange(2), 8)
  method = toy(lambda v, key, n, given: {'image': images_of(label) if not given else None}, ())
  got = values(method, 0 * label)
  assert 'label_agreement' not in got and got['classes_covered'] == 2
  assert got['class_entropy'] == pytest.approx(np.log(2), rel=1e-6)
  top = jax.nn.softmax(10 * images_of(label).reshape(-1, 6)[:, :CLASSES]).max(-1).mean()
  assert got['confidence'] == pytest.approx(float(top), rel=1e-5)


def test_a_class_is_covered_from_a_tenth_of_its_share_on(found):
  found(shares=(0.5, 0.4, 0.1, 0.0))
  label = np.array([0] * 95 + [1] * 3 + [2] * 2)  # class 1 has less than a tenth of its 40
  method = toy(lambda v, key, n, given: {'image': images_of(label)}, ())
  assert values(method, label)['classes_covered'] == 2


def test_a_class_that_the_test_split_lacks_is_never_covered(found):
  found(shares=(0.5, 0.4, 0.1, 0.0), names=('cat', 'dog', 'owl', 'yak'))
  label = np.repeat(np.arange(4), 10)
  method = toy(lambda v, key, n, given: {'image': images_of(label)}, ())
  got = values(method, label)
  assert got['classes_covered'] == 3 and got['classes_absent'] == 1
  assert judge.make(method, CONFIG, EXAMPLE).protocol['classes_absent'] == 'yak'


def test_a_judge_without_test_labels_has_no_accuracy(found):
  found(accuracy=None)
  method = toy(lambda v, key, n, given: {'image': images_of(np.zeros(4, int))}, ())
  assert 'judge_accuracy' not in values(method, np.zeros(4))
  assert judge.make(method, CONFIG, EXAMPLE).protocol['judge_accuracy'] is None


def test_errors(found):
  """Over samples for means, by the bootstrap for other values."""
  found()
  label = np.repeat([0, 1], [300, 100])
  wrong = np.zeros(400, int)
  wrong[[*range(30), *range(300, 320)]] = 1
  method = toy(lambda v, key, n, given: {'image': images_of(given['label'], wrong)})
  got = estimates(method, label)
  parts = 0.9 * 0.1 / 299, 0.8 * 0.2 / 99
  assert got['label_agreement'].value == pytest.approx(0.85)
  assert got['label_agreement'].error == pytest.approx(np.sqrt(sum(parts)) / 2, rel=1e-6)
  assert got['label_agreement_least'].error == pytest.approx(np.sqrt(parts[1]), rel=0.2)
  shares = np.array([270, 110, 20]) / 400  # the delta method
  variance = np.sum(shares * np.log(shares) ** 2) - np.sum(shares * np.log(shares)) ** 2
  assert got['class_entropy'].error == pytest.approx(np.sqrt(variance / 400), rel=0.2)
  assert got['classes_covered'].value == 3 and got['classes_covered'].error < 0.5
  assert got['classes_covered'].interval is None
  assert not any(name.startswith('frechet') for name in got)


def test_the_accuracy_of_the_judge_has_the_error_of_its_rows(found, monkeypatch):
  one = found()._replace(labelled=101)
  monkeypatch.setattr(judge.judges, 'find', lambda named, data, labelled=True: one)
  method = toy(lambda v, key, n, given: {'image': images_of(np.zeros(4, int))}, ())
  assert estimates(method, np.zeros(4))['judge_accuracy'].error == pytest.approx(0.03)


def test_the_judge_sees_images_in_the_range_that_it_knows(found):
  found(low=-1.0, high=1.0)
  method = toy(lambda v, key, n, given: {'image': images_of(jnp.zeros(n, int))}, ())
  e = judge.make(method, CONFIG, EXAMPLE)
  batch = {'image': images_of(jnp.zeros(8, int)), 'mask': jnp.ones(8)}
  _, rows = e.extract['samples'](None, batch, jax.random.key(0), {})
  np.testing.assert_allclose(
    rows['judge_' + 'c' * 16 + '_features'], 2 * batch['image'].reshape(8, 6) - 1
  )


def test_the_protocol_says_who_judged_what(found):
  found()
  got = judge.make(toy(None.__class__), CONFIG, EXAMPLE).protocol
  assert (got['judge'], got['judge_accuracy'], got['judge_checksum']) == ('mnist', 0.9, 'c' * 16)
  assert 'means of pixels binarised by dynamic' in got['images'] and got['judged'] == 'it'


def test_what_it_cannot_judge_is_refused(found):
  found()
  with pytest.raises(UserError, match="needs samples, but the method 'toy' has none"):
    judge.make(toy(None), CONFIG, EXAMPLE)
  other = ConfigDict(CONFIG.to_dict() | {'data': {'name': 'kmnist', 'binarise': 'none'}})
  with pytest.raises(UserError, match='trained on mnist, which has other labels than kmnist'):
    judge.make(toy(1), other, EXAMPLE)
  for example, message in (
    (example_of((5, 5, 1)), r'needs images of \(2, 3, 1\), but the run has images of \(5, 5, 1\)'),
    (example_of((9, *SHAPE), data='video'), r'has videos of \(9, 2, 3'),
  ):
    with pytest.raises(UserError, match=message):
      judge.make(toy(1, ()), other, example)
