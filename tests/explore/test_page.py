"""The page in a real browser: each control changes the picture, by mouse, keyboard and touch."""

import shutil
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from vaejax.inference import paths

sync_api = pytest.importorskip('playwright.sync_api')
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason='there is no chromium on this machine')

PIXELS = """() => {
  const canvas = document.getElementById('picture');
  const context = canvas.getContext('2d', {willReadFrequently: true});
  return Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data);
}"""
WAIT = 30_000  # milliseconds, on a busy machine


@pytest.fixture(scope='module')
def browser():
  with sync_api.sync_playwright() as driver:
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
    yield browser
    browser.close()


@contextmanager
def opened(browser, address, **settings):
  """A page in a window of its own; the console has to stay empty."""
  context = browser.new_context(**({'viewport': {'width': 1280, 'height': 760}} | settings))
  page = context.new_page()
  page.set_default_timeout(WAIT)
  said = []
  page.on('console', lambda message: said.append(message.text))
  page.on('pageerror', lambda error: said.append(str(error)))
  page.on('requestfailed', lambda request: said.append(request.url))
  page.goto(address)
  page.wait_for_selector('body[data-ready=true]')
  page.wait_for_selector('body[data-learned=true]')
  if page.is_visible('#random'):
    page.wait_for_selector('#picture[data-shown]')
  yield page
  context.close()
  assert said == []


@pytest.fixture
def page(browser, served, run):
  with opened(browser, served(run).address) as page:
    yield page


def picture(page) -> list[int]:
  """The pixels of the large picture, once it does not change any more."""
  before = None
  for _ in range(100):
    if before == (now := page.evaluate(PIXELS)):
      return now
    before = now
    page.wait_for_timeout(120)
  raise AssertionError('the picture never comes to rest')


@contextmanager
def changes(page):
  """What is done inside changes the picture."""
  before = picture(page)
  yield
  page.wait_for_function(f'before => JSON.stringify(({PIXELS})()) !== before', arg=text(before))


def text(pixels) -> str:
  return str(pixels).replace(' ', '')


def press(page, keys):
  """Presses keys, apart from any control that has the focus."""
  page.evaluate('document.activeElement.blur()')
  page.keyboard.press(keys)


def move(page, selector, value):
  """Drags a slider to a value."""
  page.locator(selector).evaluate(
    """(input, value) => {
      input.value = value;
      input.dispatchEvent(new Event('input', {bubbles: true}));
      input.dispatchEvent(new Event('change', {bubbles: true}));
    }""",
    value,
  )


def drag(page, selector, points):
  """Draws through points, in parts of the sides of a canvas."""
  box = page.locator(selector).bounding_box()
  for number, (x, y) in enumerate(points):
    page.mouse.move(box['x'] + x * box['width'], box['y'] + y * box['height'], steps=5)
    if number == 0:
      page.mouse.down()
  page.mouse.up()


def test_a_slider_moves_the_picture_and_undo_brings_it_back(page):
  first = picture(page)
  with changes(page):
    move(page, '#sliders input >> nth=0', 3)
  second = picture(page)
  with changes(page):
    press(page, 'Control+z')
  assert picture(page) == first
  with changes(page):
    press(page, 'Control+Shift+z')
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


def test_a_drawn_picture_is_encoded_beside_its_reconstruction(page):
  with changes(page):
    drag(page, '#pad', [(0.2, 0.2), (0.8, 0.3), (0.4, 0.9)])
  assert page.locator('#reconstruction').evaluate(
    "x => Math.max(...x.getContext('2d').getImageData(0, 0, 8, 8).data.filter((_, i) => i % 4 < 3))"
  )
  with changes(page):
    press(page, 'Control+z')


def test_a_chosen_file_and_an_example_are_encoded(page, tmp_path):
  path = tmp_path / 'x.png'
  Image.fromarray(np.eye(40, dtype=np.uint8) * 255).save(path)
  with changes(page):
    page.set_input_files('#file', path)
  with changes(page):
    page.click('#examples button >> nth=3')


def test_a_dropped_picture_is_encoded(page):
  with changes(page):
    page.evaluate(
      """async () => {
        const canvas = new OffscreenCanvas(20, 20);
        const context = canvas.getContext('2d');
        context.fillStyle = 'white';
        context.fillRect(0, 0, 9, 20);
        const data = new DataTransfer();
        data.items.add(new File([await canvas.convertToBlob()], 'x.png', {type: 'image/png'}));
        document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true}));
      }"""
    )


def test_an_attribute(page):
  page.click('#tab-tool-attributes')
  assert page.locator('#attributes input').count() == 10
  with changes(page):
    move(page, '#attributes input >> nth=3', 2)


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


def test_a_brushed_part_is_completed(page):
  page.click('#examples button >> nth=0')
  picture(page)
  page.click('#tab-tool-complete')
  assert page.is_disabled('#complete')
  drag(page, '#mask', [(0.7, 0.1), (0.7, 0.9)])
  with changes(page):
    page.click('#complete')
  page.wait_for_selector('#versions button >> nth=5')
  with changes(page):
    page.click('#versions button >> nth=5')
  with changes(page):
    move(page, '#sliders input >> nth=0', 2.5)


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
  from threading import Thread

  from explored import wait_until_open

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
