"""Clients of the page that `explore` serves, over plain HTTP."""

import base64
import http.client
import json
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import numpy as np


class Client:
  """Requests to a page, each over a connection of its own."""

  def __init__(self, address: str):
    self.address = address
    parts = urlsplit(address)
    self.port, self.path = parts.port, parts.path

  def request(self, method: str, name: str = '', body=None, headers=None, path: str | None = None):
    """(status, headers, body) of an answer. A dict as the body is sent as JSON."""
    connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
    body = json.dumps(body) if isinstance(body, dict) else body
    address = self.path + name if path is None else path
    connection.request(method, address, body, headers or {})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, response.headers, data

  def get(self, name: str) -> dict:
    """The JSON at an address."""
    return json.loads(self.request('GET', name)[2])

  def post(self, name: str, **values):
    """The answer to an operation: JSON, or pictures uint8 [N, T, H, W, 4]."""
    status, headers, data = self.request('POST', name, values)
    assert status == 200, data
    if shape := headers.get('x-shape'):
      return np.frombuffer(data, np.uint8).reshape([int(n) for n in shape.split(',')])
    return json.loads(data)

  def refused(self, name: str, body) -> tuple[int, str]:
    """The status and the one line of an error."""
    status, _, data = self.request('POST', name, body)
    error = json.loads(data)
    assert set(error) == {'error'} and '\n' not in error['error']
    return status, error['error']


def base64_of(x: np.ndarray) -> str:
  return base64.b64encode(np.ascontiguousarray(x).tobytes()).decode()


def wait_until_open(address: str) -> None:
  end = time.monotonic() + 30
  while True:
    try:
      Client(address).get('about.json')
      return
    except OSError:
      assert time.monotonic() < end
      time.sleep(0.05)


@contextmanager
def serving(run, log=lambda text: None):
  """The address of a run's page, which is served in a thread."""
  from vaejax.explore.serve import make_page

  page = make_page(run, 0, log)
  thread = threading.Thread(target=page.run)
  thread.start()
  try:
    wait_until_open(page.address)
    yield page.address
  finally:
    page.stop()
    thread.join()
