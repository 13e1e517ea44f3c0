"""The pages of runs of other kinds: conditional, GAN, video, style, translation, real numbers."""

import numpy as np
import pytest
from browsing import PIXELS, changes, move, opened, picture, press, text
from explored import serving
from PIL import Image
from untrained import ROOT

import vaejax
from vaejax.cli.main import main


def test_a_class_changes_the_picture(browser, served):
  with opened(browser, served('cvae.py:smoke').address) as page:
    with changes(page):
      page.click('#classes button >> nth=4')
    with changes(page):
      press(page, '7')
    assert page.get_attribute('#classes button >> nth=7', 'aria-pressed') == 'true'
    with changes(page):
      page.click('#undo')
    page.click('#many')
    page.wait_for_selector('#versions button >> nth=11')


def test_the_noise_of_a_gan_is_moved(browser, served):
  with opened(browser, served('gan.py:smoke').address) as page:
    assert not page.is_visible('#tab-tool-input')
    with changes(page):
      move(page, '#sliders input >> nth=0', 3)
    with changes(page):
      page.click('#random')
    page.click('#many')
    page.wait_for_selector('#versions button >> nth=11')
    with changes(page):
      page.click('#versions button >> nth=3')


def test_real_numbers_have_attributes_though_no_picture_is_given(browser, trained_on_reals):
  with serving(vaejax.load(trained_on_reals)) as address, opened(browser, address) as page:
    assert not page.is_visible('#tab-tool-input') and page.is_visible('#tool-morph')
    page.click('#tab-tool-attributes')
    assert page.locator('#attributes input').count() == 2
    with changes(page):
      move(page, '#attributes input >> nth=1', 2)


@pytest.fixture
def trained_on_reals(tmp_path):
  """The workdir of a run on pictures of real numbers in two classes."""
  label = np.arange(96, dtype=np.int32) % 2
  noise = np.random.default_rng(0).normal(0, 5, (96, 6, 6, 1))
  image = (40.0 * label[:, None, None, None] + noise).astype(np.float32)
  split = {'x_train': image[:64], 'y_train': label[:64], 'x_test': image[64:], 'y_test': label[64:]}
  np.savez(tmp_path / 'reals.npz', **split)
  words = 'smoke,likelihood=gaussian_scalar,steps=200,lr=0.02'
  config = f'--config={ROOT}/configs/vae.py:{words}'
  data = f'--config.data.name={tmp_path / "reals.npz"}'
  assert main(['train', config, data, f'--workdir={tmp_path / "run"}']) == 0
  return tmp_path / 'run'


@pytest.mark.slow
def test_a_video_plays_and_is_continued(browser, served):
  with opened(browser, served('rvae.py:smoke').address) as page:
    before = page.evaluate(PIXELS)
    page.wait_for_function(f'before => JSON.stringify(({PIXELS})()) !== before', arg=text(before))
    page.click('#play')
    picture(page)
    with changes(page):
      move(page, '#time', 5)
    page.click('#examples button >> nth=0')
    page.click('#tab-tool-continue')
    move(page, '#given', 2)
    page.click('#continue')
    page.wait_for_selector('#versions button >> nth=3')
    with changes(page):
      page.click('#versions button >> nth=3')


@pytest.mark.slow
def test_a_style_is_transferred(browser, served):
  with opened(browser, served('style.py:smoke').address) as page:
    page.click('#tab-tool-style')
    with changes(page):
      page.click('#styles button >> nth=1')
    with changes(page):
      page.click('#styles button >> nth=2')


@pytest.mark.slow
@pytest.mark.parametrize('config', ['translate.py:smoke', 'unit.py:smoke', 'superres.py:smoke'])
def test_a_picture_is_translated(browser, served, config, tmp_path):
  Image.fromarray(np.eye(40, dtype=np.uint8) * 255).save(tmp_path / 'x.png')
  with opened(browser, served(config).address) as page:
    if page.is_visible('#tab-tool-translate'):
      page.click('#tab-tool-translate')
    with changes(page):
      page.set_input_files('#source-file', tmp_path / 'x.png')
    with changes(page):
      page.click('#sources button >> nth=2')
