"""The address space of the page: its files, what it is told, and the operations of a run."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from vaejax.errors import UserError
from vaejax.explore.batching import Batcher, Busy
from vaejax.explore.checks import Body
from vaejax.explore.operations import Operations
from vaejax.explore.security import Guard

PAGE = Path(__file__).parent / 'page'
MAX_BODY = 8 * 2**20  # bytes of a picture file; operations.py has the limits of JSON
BODY_SECONDS = 10.0  # in which it has to arrive
WAITING = 64  # operations other than decode that are accepted at a time


class Computer:
  """The operations of a run, off the thread that answers requests.

  Decoding has a thread of its own, so that it does not wait for operations that take seconds.
  `later` is for what nobody waits for.

  Attributes:
    ending: whether `close` has been called, so that what takes long can end early.
  """

  def __init__(self, operations: Operations, batcher: Batcher | None):
    self.operations, self.batcher = operations, batcher
    self.other, self.later = (ThreadPoolExecutor(1, name) for name in ('operations', 'later'))
    self.ending = threading.Event()
    self._places = threading.BoundedSemaphore(WAITING)

  async def decode(self, body: Body) -> np.ndarray:
    """The picture of latents. Raises UserError and Busy."""
    z, label = self.operations.vector(body)
    body.done()
    return (await result(self.batcher.submit(z, label)))[None]

  async def run(self, function: Callable, *arguments) -> Any:
    """function(*arguments) after the other operations that wait. Raises Busy."""
    if not self._places.acquire(blocking=False):
      raise Busy
    try:
      return await result(self.other.submit(function, *arguments))
    finally:
      self._places.release()

  def close(self) -> None:
    """Waits for what has begun."""
    self.ending.set()
    if self.batcher:
      self.batcher.close()
    # A thread that is in XLA when Python ends would abort the process.
    for pool in (self.other, self.later):
      pool.shutdown(cancel_futures=True)


async def result(future: Future) -> Any:
  """The result of a computation. Raises HTTPException if the server stops before it is there."""
  try:
    return await asyncio.wrap_future(future)
  except asyncio.CancelledError:
    raise HTTPException(503, 'the server has been stopped') from None


async def read_body(request: Request, limit: int) -> bytes:
  """The body of a request, at most `limit` bytes. Raises HTTPException for one that is too large or
  too slow."""
  length = request.headers.get('content-length', '0')
  if not length.isdecimal() or int(length) > limit:
    raise too_large(limit)
  data = bytearray()
  try:
    async with asyncio.timeout(BODY_SECONDS):
      async for part in request.stream():
        data += part
        if len(data) > limit:
          raise too_large(limit)
  except ClientDisconnect:
    raise HTTPException(400, 'the request has no end') from None
  except TimeoutError:
    text = f'the request took more than {BODY_SECONDS:g} seconds'
    raise HTTPException(408, text, {'connection': 'close'}) from None
  return bytes(data)


def too_large(limit: int) -> HTTPException:
  """The answer to a body above the limit, in bytes."""
  text = f'the request is larger than {limit:,} bytes'
  return HTTPException(413, text, {'connection': 'close'})


def answer(value: Any) -> Response:
  """JSON as it is; pictures uint8 [N, T, H, W, 4] as their bytes, with their shape in a header."""
  if isinstance(value, np.ndarray):
    shape = ','.join(map(str, value.shape))
    return Response(value.tobytes(), 200, {'x-shape': shape}, 'application/octet-stream')
  return JSONResponse(value)


def make_app(
  computer: Computer, about: dict, learned: Callable[[], dict | None], token: str, port: int
) -> ASGIApp:
  """The app behind http://127.0.0.1:port/token/.

  Args:
    about: see capabilities.about.
    learned: what learned.py has found; None as long as it works.
  """
  operations = computer.operations

  async def page(request: Request) -> Response:
    return Response((PAGE / 'index.html').read_bytes(), media_type='text/html')

  async def about_run(request: Request) -> Response:
    return JSONResponse(about)

  async def learned_of_data(request: Request) -> Response:
    result = learned()
    return JSONResponse({'ready': result is not None, **(result or {})})

  async def decode(request: Request) -> Response:
    if computer.batcher is None:
      raise HTTPException(404)
    body = Body(await read_body(request, operations.limit('decode')))
    return answer(await computer.decode(body))

  async def read(request: Request) -> Response:
    as_source = request.query_params.get('as') == 'source' and about['source'] is not None
    data = await read_body(request, MAX_BODY)
    return answer(await computer.run(operations.read, data, as_source))

  async def operation(request: Request) -> Response:
    name = request.path_params['name']
    function = operations.named.get(name)
    if function is None:
      raise HTTPException(404, 'this run has no such operation')
    body = Body(await read_body(request, operations.limit(name)))
    return answer(await computer.run(function, body))

  routes = [
    Route('/', page),
    Route('/about.json', about_run),
    Route('/learned.json', learned_of_data),
    Route('/decode', decode, methods=['POST']),
    *([Route('/read', read, methods=['POST'])] if 'read' in about['controls'] else []),
    Route('/{name}', operation, methods=['POST']),
    Mount('/', StaticFiles(directory=PAGE)),
  ]
  handlers = {UserError: wrong_request, HTTPException: refused, Busy: busy, Exception: failed}
  app = Starlette(routes=[Mount(f'/{token}', routes=routes)], exception_handlers=handlers)
  return Guard(app, token, port)


async def wrong_request(request: Request, error: Exception) -> Response:
  """A mistake in a request, in one line."""
  return JSONResponse({'error': ' '.join(str(error).splitlines())}, 400)


async def refused(request: Request, error: Exception) -> Response:
  """A request that HTTP itself has a status for."""
  text = {404: 'there is no such page', 405: 'this address is not used like that'}
  message = text.get(error.status_code, error.detail)
  return JSONResponse({'error': message}, error.status_code, error.headers)


async def busy(request: Request, error: Exception) -> Response:
  """More requests than are accepted."""
  return JSONResponse({'error': 'too many requests wait. Try again'}, 503)


async def failed(request: Request, error: Exception) -> Response:
  """A mistake of the program; the terminal shows its traceback."""
  text = 'the computation failed. The terminal of the server shows why'
  return JSONResponse({'error': text}, 500)
