"""Samples of a run on videos: from nothing, and continuing given frames."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vaejax
from vaejax.api.sample import write_samples
from vaejax.cli.main import main
from vaejax.data.sets import moving
from vaejax.errors import UserError

pytestmark = pytest.mark.slow  # a run on videos takes ten seconds

T, SIZE = 6, 16
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
  """The workdir of a finished smoke run on moving digits."""

  workdir = tmp_path_factory.mktemp('videos') / 'run'
  settings = 'smoke,eval.every=0,net=mlp,batch_size=11'
  config = f'--config={ROOT}/configs/rvae.py:{settings}'
  assert main(['train', config, f'--workdir={workdir}']) == 0
  return workdir


@pytest.fixture
def draw(videos, tmp_path):
  def draw(n, **settings):
    return np.load(write_samples(vaejax.load(videos), n, tmp_path / 'x.npy', **settings))

  return draw


def truth(n):
  return moving.table('test', SIZE, frames=T).fetch(np.arange(n))['video'] / 255


def test_from_nothing(draw):
  found = draw(50)
  assert found.shape == (50, T, SIZE, SIZE, 1) and found.dtype == np.float32
  assert found.min() >= 0 and found.max() <= 1
  assert len(np.unique(found.reshape(50, -1), axis=0)) == 50
  np.testing.assert_array_equal(found, draw(50))


def test_futures_begin_with_the_given_frames_and_differ(draw):
  found = draw(20, given=2, futures=3)  # in more than one part
  assert found.shape == (60, T, SIZE, SIZE, 1)
  futures = found.reshape(20, 3, T, SIZE, SIZE, 1)
  for future in range(3):
    np.testing.assert_allclose(futures[:, future, :2], truth(20)[:, :2], atol=1e-6)
  rest = futures[:, :, 2:].reshape(60, -1)
  assert len(np.unique(rest, axis=0)) == 60


def test_a_rollout_does_not_depend_on_the_seed(draw):
  one, other = (draw(3, given=3, rollout=True, seed=seed) for seed in (0, 1))
  np.testing.assert_array_equal(one, other)
  np.testing.assert_allclose(one[:, :3], truth(3)[:, :3], atol=1e-6)


def test_pictures_show_the_test_video_before_its_futures(videos, tmp_path):
  out = write_samples(vaejax.load(videos), 2, tmp_path / 'x.png', given=2, futures=2)
  with Image.open(io.BytesIO(out.read_bytes())) as file:
    strip = np.asarray(file)
  scale = 512 // (T * (SIZE + 1) - 1)
  strip = strip[::scale, ::scale]
  assert strip.shape == (6 * (SIZE + 1) - 1, T * (SIZE + 1) - 1)  # a row: a video
  cell = lambda row, t: strip[row * (SIZE + 1) :, t * (SIZE + 1) :][:SIZE, :SIZE]
  want = np.round(truth(2)[..., 0] * 255)
  for n in range(2):
    for t in range(T):
      np.testing.assert_array_equal(cell(3 * n, t), want[n, t])
    for t in range(2):
      np.testing.assert_array_equal(cell(3 * n + 1, t), want[n, t])
    assert np.abs(cell(3 * n + 1, 3).astype(int) - want[n, 3]).max() > 0
  out = write_samples(vaejax.load(videos), 2, tmp_path / 'x.gif', given=2, futures=2)
  with Image.open(io.BytesIO(out.read_bytes())) as file:
    assert file.n_frames == T and file.size[0] > file.size[1]  # three columns, two rows


MISTAKES = {
  'more given frames than there are': (
    ('--given=6',),
    'given=6 is too much for videos of 6 frames. Use 1',
  ),
  'no given frames': (('--futures=2',), 'futures=2 continue given frames. Set given too'),
  'futures of a rollout': (
    ('--given=2', '--futures=2', '--rollout'),
    'a rollout has no random draws',
  ),
  'draws of a rollout': (('--rollout', '--draw'), 'a rollout has no random draws'),
  'more videos than there are': (
    ('--given=2', '--n=1001'),
    'n=1001 videos: the test split has 1000',
  ),
  'a label': (('--label=3',), "this run cannot be given 'label'"),
  'nothing given': (('--given=0',), "--given: '0' is not a whole number"),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_a_mistake_is_one_line(name, capsys, videos, tmp_path):
  argv, message = MISTAKES[name]
  capsys.readouterr()
  assert main(['sample', f'--workdir={videos}', f'--out={tmp_path}/x.npy', *argv]) == 2
  shown = capsys.readouterr()
  assert message in shown.err and shown.err.count('\n') == 1 and not shown.out
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('flag', [{'given': 2}, {'rollout': True}, {'futures': 2}])
def test_a_run_on_images_continues_nothing(trained, flag, tmp_path):
  with pytest.raises(UserError, match='vae cannot continue videos'):
    write_samples(vaejax.load(trained), 1, tmp_path / 'x.npy', **flag)
  with pytest.raises(UserError, match='vae makes images'):
    write_samples(vaejax.load(trained), 1, tmp_path / 'x.gif')


def test_a_video_config_on_still_images_and_the_reverse(capsys, project, tmp_path):
  for config, said in (
    ('rvae.py:digits,smoke', 'error: the method rvae models videos, but digits has images'),
    ('vae.py:moving,smoke', 'error: the method vae models images, but moving has videos'),
    (
      'rvae.py:smoke,data.size=28',
      'error: data.size=28 is not a multiple of 16, which moving needs',
    ),
    ('rvae.py:smoke,data.frames=0', 'error: data.frames=0 is out of range. Use 1 to 4,096'),
  ):
    assert main(['train', f'--config=configs/{config}', f'--workdir={tmp_path}/w']) == 2
    shown = capsys.readouterr().err
    assert shown.startswith(said) and shown.count('\n') == 1
  assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_video_eval_is_recorded(videos, capsys):
  words = ['--evals=elbo,video', '--config.eval.video.given=2', '--config.eval.video.futures=2']
  assert main(['evaluate', f'--workdir={videos}', *words]) == 0
  lines = dict(line.split()[:2] for line in capsys.readouterr().out.splitlines()[:-1])
  assert {'elbo_per_frame', 'psnr_rollout_01', 'ssim_best_04', 'psnr_copy'} <= lines.keys()
  assert 'psnr_rollout_05' not in lines  # 6 frames, 2 of them given
  frames = truth(1000)[..., 0]
  error = ((frames[:, 1] - frames[:, 3]) ** 2).mean((1, 2))
  want = np.mean(-10 * np.log10(np.maximum(error, 1e-10)))
  assert float(lines['psnr_copy_02']) == pytest.approx(want, abs=1e-3)
