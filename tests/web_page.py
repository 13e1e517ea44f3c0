"""The page of an export in a real browser."""

import http.server
import json
import threading
from contextlib import contextmanager
from functools import partial

import numpy as np
import ort_web

from vaejax.export import site

WAIT = 60_000  # milliseconds, on a busy machine
PIXELS = """() => {
  const canvas = document.getElementById('picture');
  return Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data);
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
  def log_message(self, *_):
    pass


@contextmanager
def served(folder):
  """The address at which a folder is served, as `python -m http.server` does."""
  server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=folder))
  thread = threading.Thread(target=server.serve_forever)
  thread.start()
  yield f'http://127.0.0.1:{server.server_port}'
  server.shutdown()
  server.server_close()
  thread.join()


@contextmanager
def opened(browser, address, folder, script='', **settings):
  """The page in a folder sub/NAME of what is served, with the runtime. Nothing may fail there, and
  no other host is asked."""
  site.write({f'runtime/{k}': x for k, x in site.runtime(ort_web.package()).items()}, folder)
  context = browser.new_context(**({'viewport': {'width': 1280, 'height': 760}} | settings))
  page = context.new_page()
  page.set_default_timeout(WAIT)
  failed, asked = [], []
  page.on('console', lambda message: message.type == 'error' and failed.append(message.text))
  page.on('pageerror', lambda error: failed.append(str(error)))
  page.on('requestfailed', lambda request: failed.append(request.url))
  page.on('request', lambda request: asked.append(request.url))
  page.add_init_script(script)
  page.goto(f'{address}/sub/{folder.name}/')
  page.wait_for_selector('body[data-ready=true]')
  page.wait_for_selector('#picture[data-shown]')
  yield page
  context.close()
  assert failed == []
  assert asked and all(url.startswith((f'{address}/sub/', 'blob:', 'data:')) for url in asked)


def picture(page) -> np.ndarray:
  """The large picture [H, W, 4], once it does not change any more."""
  before = None
  while before != (now := page.evaluate(PIXELS)):
    before = now
    page.wait_for_timeout(150)
  height = page.evaluate("document.getElementById('picture').height")
  return np.asarray(now).reshape(height, -1, 4)


@contextmanager
def changes(page):
  """What is done inside changes the picture."""
  before = picture(page).tolist()
  yield
  text = json.dumps(np.ravel(before).tolist(), separators=(',', ':'))
  page.wait_for_function(f'before => JSON.stringify(({PIXELS})()) !== before', arg=text)


def move(page, selector, value):
  """Drags a slider to a value."""
  page.locator(selector).evaluate(
    """(input, value) => {
      input.value = value;
      for (const name of ['input', 'change']) input.dispatchEvent(new Event(name));
    }""",
    value,
  )


def differs(shown, x) -> float:
  """The largest difference of a picture from one of Run [1, H, W, C], in levels of 255."""
  pixels = np.broadcast_to(255 * x[0], (*x.shape[1:3], 3))
  assert shown.shape[:2] == pixels.shape[:2] and (shown[..., 3] == 255).all()
  return float(np.abs(shown[..., :3] - pixels).max())


def at_sliders(page, values) -> np.ndarray:
  """Moves the first sliders, and returns the latents [1, D] that they then stand for."""
  page.click('#reset')
  for number, value in enumerate(values):
    move(page, f'#sliders input >> nth={number}', value)
  told = page.evaluate('fetch("about.json").then((answer) => answer.json())')['latents']
  z = np.asarray([told['centre']], float)
  for one, value in zip(told['shown'], values, strict=False):
    z[0, one['index']] += value * told['scale'][one['index']]
  return z.astype(np.float32)
