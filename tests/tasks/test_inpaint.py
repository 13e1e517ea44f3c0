"""The verb inpaint on a small VAE: files, scores, masks, and errors of one line."""

import json

import numpy as np
import pytest
from PIL import Image
from without_lpips import without_lpips

import vaejax
from vaejax.api.files import read_rows
from vaejax.cli.main import main
from vaejax.errors import UserError
from vaejax.metrics import region
from vaejax.task_type import Pictures
from vaejax.tasks import inpaint

__all__ = ['without_lpips']

QUICK = '--versions=2', '--steps=5', '--sweeps=2', '--draws=16'


def rows(n):
  return np.random.default_rng(0).integers(0, 17, (n, 8, 8, 1)).astype(np.float32) / 16


def test_the_verb_writes_versions_and_scores(copied, without_lpips):
  assert main(['inpaint', f'--workdir={copied}', '--n=9', *QUICK]) == 0
  images = np.load(copied / 'tasks' / 'inpaint.npy')
  assert images.shape == (9, 2, 8, 8, 1)
  saved = json.loads((copied / 'tasks' / 'inpaint.json').read_text())
  scores, protocol = saved['scores'], saved['protocol']
  truth = next(read_rows(vaejax.load(copied), 'test', 9))['image']
  np.testing.assert_allclose(images[:, 0, :, :4], truth[:, :, :4], atol=1e-6)
  # The values are those of the saved pictures.
  missing = np.ones((8, 8, 1), np.float32) * (np.arange(8) >= 4)[:, None]
  psnr = np.asarray(region.psnr(images, truth[:, None], missing))
  assert scores['psnr']['value'] == pytest.approx(psnr[:, 0].mean(), rel=1e-5)
  assert scores['best_of_2_psnr']['value'] == pytest.approx(psnr.max(1).mean(), rel=1e-5)
  baselines = scores['psnr']['baselines']
  assert {'training mean', 'nearest training row', 'mirror'} <= set(baselines)
  mirrored = region.psnr(truth[:, :, ::-1], truth, missing).mean()
  assert baselines['mirror']['value'] == pytest.approx(float(mirrored), rel=1e-5)
  assert protocol['source'] == 'mask:half' and protocol['how'] == 'optimise'
  assert 'training rows' in protocol['nearest training row']
  assert Image.open(copied / 'tasks' / 'inpaint.png').size[0] > 8 * 60


@pytest.mark.parametrize('how', ['gibbs', 'importance'])
def test_of_arrays_there_is_no_score(copied, how):
  run, x = vaejax.load(copied), rows(3)
  quick = {'how': how, 'versions': 2, 'steps': 3, 'sweeps': 2, 'draws': 16}
  mask = np.ones((8, 8), bool)
  mask[2:5, 3:6] = False
  result = run.inpaint(x, mask, **quick)
  assert not result.scores and result.images.shape == (3, 2, 8, 8, 1)
  np.testing.assert_array_equal(result.images[:, 1][:, mask], x[:, mask])
  changed = np.where(mask[..., None], x, 0.25)  # what is not seen does not matter
  again = run.inpaint(changed, mask, **quick)
  np.testing.assert_array_equal(result.images, again.images)
  assert [title for title, _ in result.rows] == ['input', 'version 1', 'version 2']


def write(path, values):
  Image.fromarray(np.asarray(values, np.uint8)).save(path)


def test_a_picture_as_mask(copied, tmp_path):
  seen = np.full((8, 8), 255)
  seen[:3] = 0
  write(tmp_path / 'mask.png', seen)
  kind, mask = inpaint.mask_of(str(tmp_path / 'mask.png'), vaejax.load(copied))
  assert kind == 'mask:any'
  np.testing.assert_array_equal(mask[..., 0], seen / 255)


@pytest.mark.parametrize(
  ('mask', 'text'),
  [
    ('hlaf', "is no mask and no file (did you mean 'half'?)"),
    ('small', 'has the size 4 x 4, but pictures of this run have 8 x 8'),
    ('white', 'hides nothing'),
    ('black', 'hides all pixels'),
    ('text', 'no format of pictures'),
  ],
)
def test_a_mask_that_does_not_fit_is_one_line(copied, tmp_path, capsys, mask, text):
  values = {'small': np.eye(4), 'white': np.ones((8, 8)), 'black': np.zeros((8, 8))}
  place = tmp_path / f'{mask}.png'
  if mask in values:
    write(place, 255 * values[mask])
  elif mask == 'text':
    place.write_text('none')
  words = f'--mask={place if place.exists() else mask}'
  assert main(['inpaint', f'--workdir={copied}', words, '--n=2']) == 2
  shown = capsys.readouterr().err
  assert shown.startswith('error: ') and shown.count('\n') == 1 and text in shown
  assert not (copied / 'tasks').exists()


def test_what_the_run_was_not_trained_for_is_one_line(copied):
  with pytest.raises(
    UserError, match=r'needs a run that was trained with data\.source=mask:centre'
  ):
    vaejax.load(copied).inpaint(rows(2), 'centre', how='model')


def test_the_asymmetric_pictures(copied, without_lpips):
  """Half of the pictures are symmetric: they count in `psnr` and not in `asymmetric_psnr`."""
  run, x = vaejax.load(copied), rows(8)
  x[:4, :, 4:] = x[:4, :, 3::-1]
  settings = {name: setting.default for name, setting in inpaint.SETTINGS.items()}
  settings |= {'versions': 1, 'steps': 2}
  pictures = Pictures(x, split='test', train=lambda n: iter([{'image': rows(20)}]))
  scores = inpaint.run(run, pictures, settings, 0, lambda done, of: None).scores
  mirrored = lambda name: scores[name].baselines['mirror']
  assert (mirrored('psnr')[:4] > 39.9).all() and len(mirrored('psnr')) == 8
  np.testing.assert_array_equal(mirrored('asymmetric_psnr'), mirrored('psnr')[4:])
