"""Morphs: loops through draws or pictures, classes of walks, and files with their command."""

import numpy as np
import pytest
from given import pictures, small
from PIL import Image

from vaejax.cli.main import main
from vaejax.errors import UserError
from vaejax.inference import paths

SMALL = {'points': 3, 'walks': 2, 'steps': 4}


def test_walks_are_seeded_loops_of_small_steps():
  run = small('vae')
  frames = run.morph(**SMALL).images
  assert frames.shape == (2, 12, 8, 8, 1)
  assert (frames == run.morph(**SMALL).images).all()
  assert not (frames == run.morph(seed=1, **SMALL).images).all()
  steps = np.abs(np.roll(frames, -1, axis=1) - frames).mean((2, 3, 4))
  # From the last frame to the first is a step like the others.
  assert steps[:, -1].max() < 1.5 * steps.max() and steps.min() > 0
  still = run.morph(temperature=0.0, **SMALL).images
  assert np.allclose(still, run.decode(np.zeros((1, 4), np.float32))[0], atol=1e-6)


def test_a_walk_passes_through_the_pictures_and_slows_down_there():
  run = small('vae')
  x = pictures(run, 3).image
  frames = run.morph(x, steps=8, path='linear').images[0]
  assert frames.shape[0] == 24 and np.allclose(frames[::8], run.reconstruct(x), atol=1e-5)
  steps = np.abs(np.diff(frames, axis=0)).mean((1, 2, 3))
  assert steps[0] < steps[3] / 2


def test_each_walk_of_a_conditional_model_has_a_class():
  run = small('cvae')
  alone = run.morph(label='3', **SMALL).images
  prior = run.morph(**SMALL).images  # classes 0 and 1
  assert alone.shape == prior.shape and not np.allclose(alone[0], prior[0])
  assert run.morph(points=2, walks=1, steps=2, label='0').images == pytest.approx(
    run.morph(points=2, walks=1, steps=2).images
  )


def test_a_walk_through_pictures_has_their_labels():
  run = small('cvae')
  given = pictures(run, 3)
  label = given.fields['label']
  frames = run.morph(given.image, label=label, steps=4, path='linear').images[0]
  assert np.allclose(frames[::4], run.reconstruct(given.image, label=label), atol=1e-5)
  # From the middle on a frame has the label of the picture that follows.
  z = paths.through(run.encode(given.image, label=label), 4, closed=True, ease=True)
  near = label[[0, 0, 1, 1]]
  assert len(set(label[:2])) == 2 and np.allclose(frames[:4], run.decode(z[:4], label=near))


def test_other_priors_and_hierarchies_are_walked():
  for words in ('vae:prior=mixture,components=3', 'iwae:two'):
    run = small(words)
    given = pictures(run, 40)
    from vaejax.tasks import morph

    settings = {name: setting.default for name, setting in morph.SETTINGS.items()} | SMALL
    result = morph.run(run, given._replace(image=None), settings, 0, lambda *_: None)
    assert result.images.shape[:2] == (2, 12) and np.isfinite(result.images).all()


def test_files_have_their_command(copied, project):
  av = pytest.importorskip('av')
  place = f'{copied}/tasks/morph.mp4'  # whose ending is the setting mp4
  words = f'--points=2 --walks=1 --steps=2 --fps=20 --out={place}'
  assert main(['morph', f'--workdir={copied}', *words.split()]) == 0
  gif = Image.open(copied / 'tasks' / 'morph.gif')
  assert gif.info['comment'].startswith(b'python launch.py morph ') and gif.info['loop'] == 0
  assert gif.n_frames == 4 and gif.info['duration'] == 50
  with av.open(str(copied / 'tasks' / 'morph.mp4')) as movie:
    assert movie.metadata['comment'].endswith(f'--fps=20 --out={place}')
    frames = [frame.to_ndarray(format='rgb24') for frame in movie.decode(video=0)]
  gif.seek(0)
  first = np.asarray(gif.convert('RGB'), int)
  assert len(frames) == 4 and np.abs(frames[0].astype(int) - first).mean() < 10


def test_bad_input_is_one_line():
  run = small('vae')
  for call, text in (
    (lambda: run.morph(pictures(run, 1).image), 'two pictures or more'),
    (lambda: run.morph(label='3'), 'not given labels'),
    (lambda: small('cvae').morph(label='77'), '77'),
    (lambda: run.morph(points=1), 'out of range'),
    (lambda: small('gan').morph(), 'needs latents'),
  ):
    with pytest.raises(UserError, match=text):
      call()
