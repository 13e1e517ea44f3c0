"""The page in a real browser: what is done to it, and what it shows."""

import shutil
from contextlib import contextmanager

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
PIXELS = """() => {
  const canvas = document.getElementById('picture');
  const context = canvas.getContext('2d', {willReadFrequently: true});
  return Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data);
}"""
WAIT = 30_000  # milliseconds, on a busy machine


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
