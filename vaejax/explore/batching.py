"""Requests for pictures of latents, gathered from all clients and decoded together."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

SIZES = 1, 8, 64  # rows of a compiled program
SLOWEST = 0.08  # seconds that one program may take, so that others do not wait for it
WAITING = 512  # requests


class Busy(Exception):
  """More requests wait than are accepted."""


class Batcher:
  """Decodes latents in a thread of its own. As long as it works on a batch, requests gather for the
  next one, so that the time of a request grows slowly with the number of clients.

  Args:
    decode: (z [N, D], labels [N] or None, rows) -> pictures [N, ...].
    sizes: of the programs; a batch is padded to the smallest that it fits into.
  """

  def __init__(self, decode: Callable[..., np.ndarray], sizes: tuple[int, ...] = SIZES):
    self._decode, self.sizes = decode, sizes
    self._waiting: queue.Queue = queue.Queue(WAITING)
    self._thread = threading.Thread(target=self._work, name='decode', daemon=True)
    self._thread.start()

  def submit(self, z: np.ndarray, label: int | None) -> Future:
    """The future picture of latents [D]. Raises Busy."""
    future: Future = Future()
    try:
      self._waiting.put_nowait((z, label, future))
    except queue.Full:
      raise Busy from None
    return future

  def close(self) -> None:
    """Ends the thread after what it has begun."""
    self._waiting.put(None)
    self._thread.join()

  def _work(self) -> None:
    while (request := self._waiting.get()) is not None:
      requests = [request]
      while len(requests) < self.sizes[-1] and not self._waiting.empty():
        if (request := self._waiting.get()) is None:
          self._waiting.put(None)
          break
        requests.append(request)
      self._answer([r for r in requests if r[2].set_running_or_notify_cancel()])

  def _answer(self, requests: list) -> None:
    """Decodes requests with a label, and those without one, which are given no labels."""
    for is_given in (True, False):
      if alike := [request for request in requests if (request[1] is not None) == is_given]:
        self._decode_all(alike)

  def _decode_all(self, requests: list) -> None:
    z, labels, futures = zip(*requests, strict=True)
    size = next(size for size in self.sizes if size >= len(requests))
    try:
      given = None if labels[0] is None else np.asarray(labels, np.int32)
      pictures = self._decode(np.stack(z), given, size)
    except Exception as error:
      for future in futures:
        future.set_exception(error)
      return
    for future, picture in zip(futures, pictures, strict=True):
      future.set_result(picture)


def quick_sizes(decode: Callable[[int], object]) -> tuple[int, ...]:
  """The SIZES whose programs take at most SLOWEST, at least the first. decode(size) runs one; its
  first call compiles it."""
  sizes = []
  for size in SIZES:
    decode(size)
    # The best of three, because other jobs may run beside it.
    if sizes and min(timed(decode, size) for _ in range(3)) > SLOWEST:
      break
    sizes.append(size)
  return tuple(sizes)


def timed(decode: Callable[[int], object], size: int) -> float:
  """Seconds of one call."""
  began = time.perf_counter()
  decode(size)
  return time.perf_counter() - began
