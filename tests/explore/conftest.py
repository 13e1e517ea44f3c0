"""Pages of runs, served as `explore` serves them, in a thread."""

import threading

import pytest
from browsing import CHROMIUM, opened
from explored import Client, wait_until_open
from untrained import untrained

import vaejax


@pytest.fixture(scope='session')
def served():
  """served(run) -> the Page of a run, or of a config such as 'cvae.py:smoke' before training."""
  from vaejax.explore.serve import make_page

  pages, threads = {}, []

  def start(run):
    if (key := str(run)) not in pages:
      run = untrained(run) if isinstance(run, str) else run
      pages[key] = make_page(run, 0, lambda text: None)
      threads.append(threading.Thread(target=pages[key].run))
      threads[-1].start()
      wait_until_open(pages[key].address)
    return pages[key]

  yield start
  for page in pages.values():
    page.stop()
  for thread in threads:
    thread.join()


@pytest.fixture(scope='session')
def run(trained):
  return vaejax.load(trained)


@pytest.fixture(scope='session')
def client(served, run):
  """A client of the page of a small trained VAE."""
  return Client(served(run).address)


@pytest.fixture(scope='module')
def browser():
  sync_api = pytest.importorskip('playwright.sync_api')
  if CHROMIUM is None:
    pytest.skip('there is no chromium on this machine')
  with sync_api.sync_playwright() as driver:
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
    yield browser
    browser.close()


@pytest.fixture
def page(browser, served, run):
  with opened(browser, served(run).address) as page:
    yield page
