"""The pages of runs of other kinds: conditional, GAN, video, style, translation, real numbers."""

import numpy as np
import pytest
from browsing import PIXELS, changes, move, opened, picture, press, text
from PIL import Image


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


UNITS


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
