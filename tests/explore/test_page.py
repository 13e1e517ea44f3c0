"""The page in a real browser: each control changes the picture, by mouse, keyboard and touch."""

from threading import Thread

import numpy as np
import pytest
from browsing import changes, move, opened, picture, press
from explored import wait_until_open
from PIL import Image

from vaejax.inference import paths


@pytest.mark.parametrize('ctrl', ['Control', 'Meta'])
def test_a_slider_moves_the_picture_and_undo_brings_it_back(page, ctrl):
  first = picture(page)
  with changes(page):
    move(page, '#sliders input >> nth=0', 3)
  second = picture(page)
  with changes(page):
    press(page, f'{ctrl}+z')
  assert picture(page) == first
  with changes(page):
    press(page, f'{ctrl}+Shift+z')
  assert picture(page) == second
  with changes(page):
    page.click('#undo')
  with changes(page):
    page.click('#redo')
  assert picture(page) == second


def test_every_slider_has_a_label_and_moves_by_the_arrow_keys(page):
  assert page.locator('#sliders input').count() == 4
  for number in range(4):
    slider = page.locator('#sliders input').nth(number)
    assert page.locator(f'label[for="{slider.get_attribute("id")}"]').count() == 1
    slider.focus()
    before = float(slider.input_value())
    with changes(page):
      for _ in range(80):
        page.keyboard.press('ArrowLeft' if before > 0 else 'ArrowRight')
    assert abs(float(slider.input_value()) - before) > 1


def test_draws(page):
  with changes(page):
    page.click('#random')
  with changes(page):
    press(page, 'r')
  page.click('#many')
  page.wait_for_selector('#versions button >> nth=11')
  with changes(page):
    page.click('#versions button >> nth=5')
  with changes(page):
    press(page, 'c')
  values = page.locator('#sliders output').all_inner_texts()
  assert set(values) == {'0.00'}


def test_temperature_zero_is_the_centre(page):
  with changes(page):
    move(page, '#temperature', 0)
    page.click('#random')
  picture(page)
  assert {abs(float(v)) for v in page.locator('#sliders output').all_inner_texts()} == {0.0}


def test_a_morph_moves_and_plays(page):
  page.click('#tab-tool-morph')
  page.click('#keep-a')
  with changes(page):
    page.click('#random')
  picture(page)
  press(page, 'b')
  with changes(page):
    move(page, '#morph', 0.3)
  assert page.locator('#morph').input_value() == '0.3'
  with changes(page):
    page.select_option('#path', 'linear')
  before = int(page.locator('#picture').get_attribute('data-shown'))
  page.click('#morph-play')
  page.wait_for_function(f'() => document.getElementById("picture").dataset.shown > {before + 20}')
  page.click('#morph-play')
  picture(page)


def test_another_control_stops_the_morph(page):
  page.click('#tab-tool-morph')
  press(page, 'a')
  with changes(page):
    page.click('#random')
  press(page, 'b')
  page.click('#morph-play')
  press(page, 'c')
  assert page.inner_text('#morph-play') == 'Play'
  picture(page)
  assert {abs(float(v)) for v in page.locator('#sliders output').all_inner_texts()} == {0.0}


def test_a_new_page_has_nothing_to_undo(page):
  picture(page)
  assert page.is_disabled('#undo') and page.is_disabled('#redo')


@pytest.mark.parametrize('kind', ['linear', 'spherical'])
def test_its_path_is_that_of_python(page, kind):
  a, b, centre = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
  b[4:], centre[4:] = a[4:] * 2, 0  # parallel: no arc
  point = page.evaluate(
    """async ([a, b, centre, kind]) => {
      const {between} = await import('./paths.js');
      return Array.from(between(a, b, 0.25, kind, {centre, parts: [4, 3]}));
    }""",
    [a.tolist(), b.tolist(), centre.tolist(), kind],
  )
  parts = lambda x: (x[None, :4], x[None, 4:])
  whole = paths.between(parts(a), parts(b), 5, kind, (centre[:4], centre[4:]))
  assert np.allclose(point, np.concatenate([x[0, 1] for x in whole]), atol=1e-5)


def test_the_picture_is_downloaded(page):
  with page.expect_download() as download:
    page.click('#download')
  assert download.value.suggested_filename == 'vae-digits.png'
  with Image.open(download.value.path()) as image:
    assert list(np.asarray(image.convert('RGBA')).ravel()) == picture(page)


def test_help_lists_the_keys(page):
  press(page, '?')
  assert page.locator('#shortcuts dt').count() > 6
  page.keyboard.press('Escape')
  assert not page.is_visible('#help-dialog')


def test_tabs_by_the_arrow_keys(page):
  page.focus('#tab-tool-input')
  page.keyboard.press('ArrowRight')
  assert page.is_visible('#tool-attributes') and not page.is_visible('#tool-input')


def test_it_fits_a_laptop(page):
  size = page.evaluate(
    """(({scrollHeight, scrollWidth}) => [scrollHeight, innerHeight, scrollWidth, innerWidth])(
      document.documentElement)"""
  )
  assert size[0] <= size[1] and size[2] <= size[3]


def test_a_phone_has_one_column_and_fingers_draw(browser, served, run):
  phone = {'viewport': {'width': 390, 'height': 844}, 'has_touch': True, 'is_mobile': True}
  with opened(browser, served(run).address, **phone) as page:
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
    left = {
      round(box['x'])
      for box in (x.bounding_box() for x in page.locator('main section:visible').all())
    }
    assert len(left) == 1
    with changes(page):
      page.tap('#random')
    with changes(page):
      page.locator('#pad').scroll_into_view_if_needed()
      box = page.locator('#pad').bounding_box()
      page.touchscreen.tap(box['x'] + box['width'] / 2, box['y'] + box['height'] / 3)


def test_a_server_that_has_ended_is_told(browser, run):
  from vaejax.explore.serve import make_page

  served = make_page(run, 0, lambda text: None)
  thread = Thread(target=served.run)
  thread.start()
  wait_until_open(served.address)
  page = browser.new_page()
  page.goto(served.address)
  page.wait_for_selector('body[data-ready=true]')
  served.stop()
  thread.join()
  page.click('#random')
  page.wait_for_selector('#status.bad')
  assert 'Start it again' in page.inner_text('#status')
  page.close()
