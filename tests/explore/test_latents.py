"""The latents of the page: they are those of the run, and ordered by what they change."""

import copy
import json
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from untrained import untrained

from vaejax.core import given_noise
from vaejax.explore.batching import Batcher, Busy
from vaejax.explore.capabilities import about
from vaejax.explore.checks import Body
from vaejax.explore.latents import Latents, activity, latents_of
from vaejax.explore.noise import noise_latents
from vaejax.explore.operations import Operations


@pytest.fixture(scope='module')
def hierarchy():
  return untrained('iwae.py:two,smoke')


def test_several_arrays_are_one_vector(hierarchy):
  latents = latents_of(hierarchy)
  x = hierarchy.sample(5)
  z = latents.encode(x, None)
  expected = hierarchy.encode(x)
  assert latents.parts == tuple((f'z{i}', len(y[0])) for i, y in enumerate(expected, 1))
  assert latents.names[0] == 'z1:0' and latents.names[-1].startswith('z2:')
  assert np.allclose(z, np.concatenate(expected, axis=1), atol=1e-5)
  assert np.allclose(latents.decode(z, None, 8), hierarchy.decode(expected), atol=1e-5)


def test_draws_have_the_centre_and_the_scale(hierarchy):
  latents = latents_of(hierarchy)
  z = latents.draw(256, 7, 1.0, None)
  assert np.abs((z.mean(axis=0) - latents.centre) / latents.scale).max() < 0.4
  assert np.abs(z.std(axis=0) / latents.scale - 1).max() < 0.4


def test_decoding_does_not_trace_the_encoder_again():
  run, traces = copy.copy(untrained('vae.py:smoke')), []
  vars(run).pop('_latents', None)
  encode = run.method.predict['encode']

  def counted(*arguments):
    traces.append(1)
    return encode(*arguments)

  run.method = run.method._replace(predict={**run.method.predict, 'encode': counted})
  latents = latents_of(run)
  z = latents.draw(5, 0, 1.0, None)
  for rows in (1, 8, 1, 8, 1, 8):
    latents.decode(z, None, rows)
  assert len(traces) == 1


def test_codes_have_no_sliders():
  assert latents_of(untrained('m2.py:smoke')) is None


@pytest.mark.parametrize(('frames', 'rows'), [(1, 4), (1, 64), (4096, 8)])
def test_the_activity_of_a_linear_decoder_is_its_weights(frames, rows):
  weights, scale = np.asarray([[1.0, 0, 2], [0.5, 0, 0], [0, 0, 0]]), np.asarray([1.0, 4, 1])
  draw = lambda n, seed, temperature, labels: np.random.default_rng(seed).normal(size=(n, 3))
  decode = lambda z, labels, rows: (z @ weights)[:, None, None]
  latents = Latents(tuple('abc'), (('z', 3),), np.zeros(3), scale, draw, decode, None)
  found = activity(latents, 0, frames, rows)
  assert np.allclose(found, 2 * scale * np.sqrt(np.square(weights).mean(axis=1)))


def test_the_page_is_told_the_most_active_ones_first(run):
  latents = latents_of(run)
  told = about(run, latents, np.asarray([0.1, 0.4, 0.2, 0.3]))['latents']
  assert [one['index'] for one in told['shown']] == [1, 3, 2, 0]
  assert told['shown'][0]['activity'] == 1 and told['size'] == 4
  assert told['centre'] == [0] * 4 and told['scale'] == [1] * 4


def test_requests_share_batches_of_few_sizes():
  sizes, arrived = [], []

  def decode(z, labels, rows):
    sizes.append((len(z), rows))
    return z * 2

  batcher = Batcher(decode, (1, 8, 64))
  futures = [batcher.submit(np.full(3, i), None) for i in range(100)]
  arrived = [future.result(timeout=30) for future in futures]
  batcher.close()
  assert all((z == 2 * i).all() for i, z in enumerate(arrived))
  assert sum(n for n, _ in sizes) == 100
  assert all(n <= rows and rows in (1, 8, 64) for n, rows in sizes)


def test_a_failed_batch_fails_its_requests_alone():
  def decode(z, labels, rows):
    if z.min() < 0:
      raise ValueError('no')
    return z

  batcher = Batcher(decode, (1,))
  bad, good = batcher.submit(-np.ones(2), None), batcher.submit(np.ones(2), None)
  with pytest.raises(ValueError, match='no'):
    bad.result(timeout=30)
  assert (good.result(timeout=30) == 1).all()
  batcher.close()


def test_requests_without_a_label_are_decoded_apart():
  entered, begin = threading.Event(), threading.Event()

  def decode(z, labels, rows):
    entered.set()
    begin.wait(30)
    return z if labels is None else z + labels[:, None]

  batcher = Batcher(decode, (1, 8))
  first = batcher.submit(np.zeros(2), None)
  entered.wait(30)  # so that the others share a batch
  others = [batcher.submit(np.zeros(2), label) for label in (None, 3, None, 5)]
  begin.set()
  values = [future.result(timeout=30)[0] for future in (first, *others)]
  batcher.close()
  assert values == [0, 0, 3, 0, 5]


@pytest.mark.parametrize(
  ('config', 'needed'), [('m2.py:smoke', True), ('gan.py:smoke', False), ('cvae.py:smoke', True)]
)
def test_a_label_is_needed_where_the_latents_take_one(config, needed):
  run = untrained(config)
  latents = latents_of(run) or noise_latents(run)
  zeros = np.zeros(len(latents.names))
  assert about(run, latents, zeros)['needs_label'] is needed
  body = Body(json.dumps({'latents': zeros.tolist()}).encode())
  assert Operations(run, latents).vector(body)[1] == (0 if needed else None)


def test_too_many_requests_are_refused():
  begin = threading.Event()

  def decode(z, labels, rows):
    begin.wait(30)
    return z

  batcher = Batcher(decode, (1,))
  with pytest.raises(Busy):
    for _ in range(2000):
      batcher.submit(np.ones(1), None)
  begin.set()
  batcher.close()


def test_few_rows_are_computed_as_many(run):
  z = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
  assert np.allclose(run.sized(2).decode(z), run.decode(z), atol=1e-6)
  assert jax.tree.leaves(run.sized(1).variables)[0] is jax.tree.leaves(run.variables)[0]


@pytest.mark.parametrize('config', ['gan.py:smoke', 'gan.py:smoke,conditional'])
def test_the_noise_of_a_gan_is_its_latents(config):
  run = untrained(config)
  latents, label = noise_latents(run), np.arange(3) if 'conditional' in config else None
  given = {} if label is None else {'label': jnp.asarray(label)}
  sample = lambda key, n: (run.method.sample(run.variables, key, 3, given)['image'],)
  key = jax.random.fold_in(jax.random.key(7), 0)
  (draw,) = given_noise.make(sample, jnp.zeros(3), key=key).draws
  known = {} if label is None else {'label': label}
  expected = run.sample(3, seed=7, **known)
  np.testing.assert_allclose(latents.decode(draw.sample(), label, 4), expected, atol=1e-6)
  assert np.abs(latents.draw(3, 0, 1.0, label) - latents.draw(3, 1, 1.0, label)).min() > 0


def test_noise_that_all_pictures_share_is_no_latents():
  run = copy.copy(untrained('gan.py:smoke'))
  sample = run.method.sample

  def shifted(v, key, n, given, **settings):
    x = sample(v, key, n, given, **settings)['image']
    shared = jax.random.normal(jax.random.fold_in(key, 1), (x[0].size,))  # 64 numbers
    return {'image': x + shared.reshape(x.shape[1:])}

  run.method = run.method._replace(sample=shifted)
  assert untrained('gan.py:smoke').example.fields['image'].size == 64
  assert noise_latents(run) is None


def test_samples_that_need_more_than_noise_have_no_latents():
  assert noise_latents(untrained('translate.py:smoke')) is None
  assert noise_latents(untrained('judge.py:smoke')) is None
