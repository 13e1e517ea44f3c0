"""A video that goes on frame by frame is the one that is sampled at once."""

import jax
import numpy as np
import pytest

import vaejax
from vaejax.errors import UserError


@pytest.fixture(scope='module', params=['gru', 'lstm', 'none'])
def run(request, tmp_path_factory):
  folder = tmp_path_factory.mktemp('stream') / 'run'
  vaejax.train(f'configs/rvae.py:smoke,{request.param}', folder)
  return vaejax.load(folder)


def test_frames_are_those_of_a_sample(run):
  video = run.sample(2, seed=1)[:, :3]
  sampled = run.sample(2, temperature=0.0, video=video)
  stream = run.stream(2)
  for t in range(3):
    stream.observe(video[:, t])
  frames = [stream.next(temperature=0.0) for _ in range(sampled.shape[1] - 3)]
  np.testing.assert_allclose(np.stack(frames, axis=1), sampled[:, 3:], atol=1e-6)


def test_noise_depends_on_seed_and_frame(run):
  a, b, c = run.stream(2, seed=1), run.stream(2, seed=1), run.stream(2, seed=2)
  first, second = a.next(), a.next()
  np.testing.assert_array_equal(first, b.next())
  assert not np.array_equal(first, c.next()) and not np.array_equal(first, second)
  assert not np.array_equal(first[0], first[1])


def test_a_carry_can_be_kept(run):
  stream = run.stream(1)
  stream.next()
  carry, count = stream.carry, stream.count
  frame = stream.next()
  stream.carry, stream.count = carry, count
  np.testing.assert_array_equal(frame, stream.next())
  assert all(x.shape[0] == 1 for x in jax.tree.leaves(carry))


def test_wrong_frames_are_refused(run):
  with pytest.raises(UserError, match=r'frames has the shape \[2, 16, 16, 1\]'):
    run.stream(1).observe(np.zeros((2, 16, 16, 1)))


def test_a_run_of_images_has_no_stream(trained):
  with pytest.raises(UserError, match='has no advance'):
    vaejax.load(trained).stream()
