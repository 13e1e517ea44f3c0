"""Interpolation: pairs and loops, its ends, conditions of both halves, and its scores."""

import json

import numpy as np
import pytest
from given import pictures, small
from PIL import Image

from vaejax.api import tasks
from vaejax.cli.main import main
from vaejax.errors import UserError
from vaejax.tasks import interpolate


def test_pairs_of_a_split_and_chains_of_a_user():
  as_lists = lambda ends: [x.tolist() for x in ends]
  assert as_lists(interpolate.pairs(5, separate=True)) == [[0, 2], [1, 3]]
  assert as_lists(interpolate.pairs(3, separate=False)) == [[0, 1, 2], [1, 2, 0]]
  assert as_lists(interpolate.pairs(2, separate=False)) == [[0], [1]]
  with pytest.raises(UserError, match='two pictures or more'):
    interpolate.pairs(1, separate=True)


def test_a_path_begins_and_ends_with_the_reconstructions():
  run = small('vae')
  x = pictures(run, 4).image
  for kind in ('linear', 'spherical'):
    frames = run.interpolate(x[:2], x[2:], steps=5, path=kind).images
    assert frames.shape == (2, 5, 8, 8, 1)
    assert np.allclose(frames[:, 0], run.reconstruct(x[:2]), atol=1e-5)
    assert np.allclose(frames[:, -1], run.reconstruct(x[2:]), atol=1e-5)
  middle = (run.encode(x[:2]) + run.encode(x[2:])) / 2
  frames = run.interpolate(x[:2], x[2:], steps=5).images
  assert np.allclose(frames[:, 2], run.decode(middle), atol=1e-5)


def test_pictures_are_joined_to_a_loop():
  run = small('vae')
  x = pictures(run, 3).image
  result = run.interpolate(x, steps=5)
  assert result.images.shape[:2] == (3, 5) and len(result.frames) == 3 * 4
  # The last path ends where the first begins, which is the frame that follows.
  assert np.allclose(result.images[2, -1], result.images[0, 0], atol=1e-6)
  there_and_back = run.interpolate(x[:2], steps=5).frames
  assert len(there_and_back) == 8 and (there_and_back[3] == there_and_back[5]).all()


def test_each_half_of_a_path_has_the_conditions_of_its_end():
  start, end, given = np.array([0, 2]), np.array([1, 3]), {'label': np.array([5, 6, 7, 8])}
  labels = interpolate.halves(given, start, end, 4)['label'].reshape(2, 4)
  assert labels.tolist() == [[5, 5, 6, 6], [7, 7, 8, 8]]
  run = small('cvae')
  given = pictures(run, 2)
  label = given.fields['label']
  frames = run.interpolate(given.image, steps=4, label=label).images[0]
  assert np.allclose(frames[3], run.reconstruct(given.image, label=label)[1], atol=1e-5)


def test_pictures_at_the_ends_have_their_own_labels():
  run = small('cvae')
  given = pictures(run, 4)
  x, label = given.image, given.fields['label']
  first, last = (x[:2], x[2:])
  label = np.array([1, 2, 3, 4], np.int32)
  for ends in (label[2:], '3,4'):
    frames = run.interpolate(first, last, steps=3, label=label[:2], to_label=ends).images
    assert np.allclose(frames[:, -1], run.reconstruct(last, label=label[2:]), atol=1e-5)
    assert np.allclose(frames[:, 0], run.reconstruct(first, label=label[:2]), atol=1e-5)
  with pytest.raises(UserError, match='to_label has 0'):
    run.interpolate(first, last, label=label[:2])


def test_levels_of_a_hierarchy_and_content_with_style_are_interpolated():
  for words in ('iwae:two', 'style:model.channels=4,model.style.channels=4'):
    run = small(words)
    x = pictures(run, 2).image
    frames = run.interpolate(x, steps=3, path='spherical').images
    assert frames.shape[1] == 3 and np.allclose(frames[0, 0], run.reconstruct(x)[0], atol=1e-4)


def test_length_and_evenness_of_known_paths():
  steps = np.array([[1.0, 1, 2], [1, 1, 1]])
  assert np.allclose(interpolate.length(steps, np.array([2.0, 3])), [2, 1])
  assert np.allclose(interpolate.unevenness(steps), [1.5, 1])


def test_agreement_counts_inner_frames_of_either_end(monkeypatch):
  classes = np.array([[9, 1, 2, 3, 9], [9, 4, 4, 4, 9]])
  # The frames are their own classes, and the judge reads them.
  read = lambda judge, x: interpolate.judged.Verdicts(x.ravel().astype(int), None)
  monkeypatch.setattr(interpolate.judged, 'verdicts', read)
  frames = classes.reshape(2, 5, 1, 1, 1)
  share = interpolate.agreement(None, frames, np.array([1, 4]), np.array([2, 7]))
  assert np.allclose(share, [2 / 3, 1])


def squared(x, y, names):
  """In place of LPIPS, whose nets take long to compile."""
  return {'lpips_vgg': np.mean(np.square(x - y), axis=(1, 2, 3))}


def test_smoothness_is_of_roots_of_distances(monkeypatch):
  # Distances are squared differences, so their roots add up along a line.
  monkeypatch.setattr(interpolate, 'similarities', squared)
  line = np.linspace(0, 1, 5).reshape(1, 5, 1, 1, 1)
  detour = np.array([0, 1, 0, 0.5, 1]).reshape(1, 5, 1, 1, 1)
  scores = interpolate.smoothness(detour, line)
  assert scores.keys() == {'path_length', 'largest_step'}
  assert np.allclose(scores['path_length'].baselines['pixels'], 1)
  assert np.allclose(scores['largest_step'].baselines['pixels'], 1)
  assert np.allclose(scores['path_length'].ours, 3) and scores['path_length'].better == 'lower'
  assert np.allclose(scores['largest_step'].ours, 4 / 3)


def test_the_verb_writes_scores_of_held_out_pairs(copied, project, monkeypatch):
  monkeypatch.setattr(interpolate, 'similarities', squared)
  assert main(['interpolate', f'--workdir={copied}', '--n=8', '--steps=4']) == 0
  folder = copied / 'tasks'
  assert np.load(folder / 'interpolate.npy').shape == (4, 4, 8, 8, 1)
  assert Image.open(folder / 'interpolate.gif').n_frames == 6
  saved = json.loads((folder / 'interpolate.json').read_text())
  assert saved['protocol']['split'] == 'test'
  score = saved['scores']['path_length']
  assert score['value'] >= 1 and score['baselines']['pixels']['value'] == pytest.approx(1, abs=0.01)
  assert 'no judge' in saved['protocol']['agreement']  # the cache of tests is empty


def test_bad_input_is_one_line():
  run = small('vae')
  x = pictures(run, 3).image
  for call, text in (
    (lambda: run.interpolate(x[:1]), 'two pictures or more'),
    (lambda: run.interpolate(x, x[:2]), 'there are 3 pictures and 2 in to'),
    (lambda: run.interpolate(x, x[:, :4]), 'to has the shape'),
    (lambda: run.interpolate(x, path='curved'), "path='curved' is unknown"),
    (lambda: run.interpolate(x, steps=2), 'steps=2 is out of range'),
    (lambda: run.interpolate(x, 'nowhere.png'), 'there is no file or folder'),
    (lambda: small('gan').interpolate(x), 'interpolate needs latents'),
    (lambda: small('cvae').interpolate(x), 'needs the label of every picture'),
  ):
    with pytest.raises(UserError, match=text):
      call()
  assert tasks.method(run, 'interpolate').__name__ == 'interpolate'
