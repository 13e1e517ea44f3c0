"""Latency of the explorer with 50 clients, and pictures a second as a slider moves in a browser.

python tests/benchmarks/explorer.py WORKDIR [--data_dir=DIR] [--seconds=10] [--small]

The clients ask for pictures of their own latents one after another, without a pause, over
connections that stay open. They do so alone, and then beside 20 clients whose requests never end,
20 that send malformed or oversized ones all the time, and one that completes pictures. The browser
is headless Chromium (playwright), alone; without it that figure is left out.
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

ROOT = Path(__file__).parents[2]
CLIENTS, BAD, SLOW = 50, 20, 20


class Clients:
  """Threads that run until `stop`."""

  def __init__(self, address: str):
    parts = urlsplit(address)
    self.port, self.path = parts.port, parts.path
    self.about = json.loads(self.connect_once('GET', 'about.json'))
    self.running, self.threads, self.waits = True, [], []

  def connect(self):
    return http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)

  def connect_once(self, method, name, body=None, headers=None):
    connection = self.connect()
    connection.request(method, self.path + name, body, headers or {})
    data = connection.getresponse().read()
    connection.close()
    return data

  def start(self, work, count):
    for number in range(count):
      self.threads.append(threading.Thread(target=work, args=(number,)))
      self.threads[-1].start()

  def stop(self):
    self.running = False
    for thread in self.threads:
      thread.join()

  def decode(self, number):
    """A client that moves sliders."""
    random, connection = np.random.default_rng(number), self.connect()
    label = {'label': 0} if self.about['needs_label'] else {}
    while self.running:
      z = random.normal(size=self.about['latents']['size']).round(3).tolist()
      began = time.perf_counter()
      connection.request('POST', self.path + 'decode', json.dumps({'latents': z, **label}))
      response = connection.getresponse()
      response.read()
      assert response.status == 200
      self.waits.append(time.perf_counter() - began)

  def complete(self, number):
    """A client that completes pictures, which takes long."""
    height, width = self.about['height'], self.about['width']
    text = lambda x: base64.b64encode(x).decode()
    half = (bytes(width // 2) + b'\1' * (width - width // 2)) * height
    body = {'pixels': text(b'\xff' * (height * width * 4)), 'mask': text(half)}
    while self.running:
      self.connect_once('POST', 'complete', json.dumps(body))

  def bad(self, number):
    """A client whose requests are refused."""
    while self.running:
      if number % 2:
        self.connect_once('POST', 'decode', b'{"latents": [NaN]}')
      else:
        self.connect_once('POST', 'decode', b'{', {'Content-Length': '1000000000'})
      time.sleep(0.05)

  def slow(self, number):
    """A client whose request never ends; it begins another one when it is cut off."""
    while self.running:
      with socket.create_connection(('127.0.0.1', self.port)) as connection:
        head = f'POST {self.path}decode HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n'
        connection.sendall(f'{head}Content-Length: 1000\r\n\r\n'.encode())
        with contextlib.suppress(OSError):  # it is cut off
          while self.running:
            connection.sendall(b' ')
            time.sleep(0.1)


def latency(address: str, seconds: float, beside: bool) -> np.ndarray:
  """Seconds of each request of CLIENTS clients, after the first part of the time."""
  clients = Clients(address)
  clients.start(clients.decode, CLIENTS)
  if beside:
    clients.start(clients.bad, BAD)
    clients.start(clients.slow, SLOW)
    if 'complete' in clients.about['controls']:
      clients.start(clients.complete, 1)
  time.sleep(seconds / 5)
  first = len(clients.waits)
  time.sleep(seconds)
  clients.stop()
  return np.asarray(clients.waits[first:])


def pictures_a_second(address: str, seconds: float) -> float | None:
  """How often the picture changes a second as a slider moves with every frame of the browser."""
  chromium = shutil.which('chromium')
  if chromium is None:
    return None
  from playwright.sync_api import sync_playwright

  with sync_playwright() as driver:
    # A longer TMPDIR would not leave room for the name of Chromium's socket.
    short = {'env': os.environ | {'TMPDIR': '/tmp'}}
    browser = driver.chromium.launch(executable_path=chromium, args=['--no-sandbox'], **short)
    page = browser.new_page(viewport={'width': 1280, 'height': 760})
    page.goto(address)
    page.wait_for_selector('#picture[data-shown]')
    rate = page.evaluate(
      """(seconds) => new Promise((done) => {
        const slider = document.querySelector('#sliders input');
        const picture = document.getElementById('picture');
        const began = performance.now();
        const first = Number(picture.dataset.shown);
        const step = (now) => {
          if (now - began > 1000 * seconds) {
            done((Number(picture.dataset.shown) - first) / ((now - began) / 1000));
            return;
          }
          slider.value = 3 * Math.sin((now - began) / 300);
          slider.dispatchEvent(new Event('input', {bubbles: true}));
          requestAnimationFrame(step);
        };
        requestAnimationFrame(step);
      })""",
      seconds,
    )
    browser.close()
  return rate


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('workdir', type=Path)
  parser.add_argument('--data_dir')
  parser.add_argument('--seconds', type=float, default=10)
  parser.add_argument('--small', action='store_true', help='a second each, to see that it runs')
  flags = parser.parse_args()
  seconds = 1.0 if flags.small else flags.seconds
  words = [f'--data_dir={flags.data_dir}'] if flags.data_dir else []
  command = [sys.executable, 'launch.py', 'explore', f'--workdir={flags.workdir.absolute()}']
  server = subprocess.Popen([*command, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
  try:
    address = server.stdout.readline().strip()
    time.sleep(20 if seconds > 1 else 2)  # for what it learns in the background
    rate = pictures_a_second(address, seconds)
    print('pictures a second in the browser:', 'no chromium' if rate is None else f'{rate:.1f}')
    for beside in (False, True):
      waits = 1000 * latency(address, seconds, beside)
      parts = [f'{q} %: {np.percentile(waits, q):.0f}' for q in (50, 95, 99)]
      name = 'beside bad, slow and completing ones' if beside else 'alone'
      print(
        f'{CLIENTS} clients {name}, latency in ms: {", ".join(parts)}, largest: {waits.max():.0f}; '
        f'{len(waits) / seconds:.0f} pictures a second in all'
      )
  finally:
    server.terminate()
    server.wait()


if __name__ == '__main__':
  main()
