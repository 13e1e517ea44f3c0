"""Serves the page of a run until Ctrl-C."""

import gc
import secrets
import signal
import socket
import sys
import traceback
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np

from vaejax.api.run import Run
from vaejax.errors import UserError
from vaejax.explore.batching import Batcher, quick_sizes
from vaejax.explore.capabilities import about, given_labels, needs_label
from vaejax.explore.latents import Latents, activity, latents_of
from vaejax.explore.learned import learn_or_say
from vaejax.explore.noise import noise_latents
from vaejax.explore.operations import Operations
from vaejax.explore.pictures import to_rgba

EXTRA = "explore needs Starlette and uvicorn. Install them with pip install -e '.[explore]'"
HOST = '127.0.0.1'
TOKEN_BYTES = 24
# After each write to a socket, the thread that answers waits so long for one that traces a program.
SWITCH_SECONDS = 0.0005


class Page(NamedTuple):
  """A server that listens.

  Attributes:
    address: of the page, with its token.
    run: serves until `stop` is called, in any thread.
    stop: ends `run`.
  """

  address: str
  run: Callable[[], None]
  stop: Callable[[], None]


def explore(run: Run, port: int = 0, open_browser: bool = False, log=print) -> None:
  """Serves the page until Ctrl-C. Raises UserError without the extra, and for a port in use."""
  check_extra()
  page = make_page(run, port, log)
  ends = signal.SIGINT, signal.SIGTERM

  def end(number, frame) -> None:
    # uvicorn raises the signal again once it has stopped; that is the end that was asked for. The
    # next one ends the process, even if a computation hangs.
    page.stop()
    for known in ends:
      signal.signal(known, signal.SIG_DFL)

  for number in ends:
    signal.signal(number, end)
  print(page.address, flush=True)
  if open_browser:
    webbrowser.open(page.address)
  spare_from_collection()
  page.run()


def spare_from_collection() -> None:
  """Spares what there is from garbage collection: compiled programs are millions of objects, and
  going through them would halt all requests for a third of a second."""
  gc.collect()
  gc.freeze()


def or_say(function: Callable[[], object], log: Callable[[str], None]) -> None:
  """Calls what nobody waits for; if it fails, its traceback is logged."""
  try:
    function()
  except Exception:
    log(f'the page goes on after a mistake of the program\n{traceback.format_exc()}')


def check_extra() -> None:
  """Raises UserError without the packages of the extra."""
  try:
    import starlette
    import uvicorn  # noqa: F401
  except ImportError:
    raise UserError(EXTRA) from None
  del starlette


def listen(port: int) -> socket.socket:
  """A socket that listens on this machine alone; port 0 is any that is free. Raises UserError."""
  # asyncio only turns off Nagle's delay of 40 ms for sockets that name their protocol.
  listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
  listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  try:
    listener.bind((HOST, port))
    listener.listen(128)
  except OSError as error:
    listener.close()
    raise UserError(
      f'port {port} cannot be used ({error.strerror}). Choose another one, or leave out --port'
    ) from None
  return listener


def batcher_of(run: Run, latents: Latents) -> tuple[Batcher, np.ndarray]:
  """What decodes for all clients, compiled, and the activity of each latent."""
  classes = given_labels(run) if needs_label(run, latents) else 0
  label = lambda n: np.zeros(n, np.int32) if classes else None
  blank = lambda n: np.tile(latents.centre, (n, 1))
  sizes = quick_sizes(lambda n: latents.decode(blank(n), label(n), n))
  decode = lambda z, labels, rows: to_rgba(latents.decode(z, labels, rows), run.example)
  *frames, _, _, _ = run.example.fields[run.example.data].shape
  return Batcher(decode, sizes), activity(latents, classes, (frames or [1])[0], sizes[-1])


def make_page(run: Run, port: int, log: Callable[[str], None]) -> Page:
  """A page of a run that listens: what it needs at once is compiled. Raises UserError."""
  import uvicorn

  from vaejax.explore.connections import Connection
  from vaejax.explore.server import Computer, make_app

  with ExitStack() as opened:
    listener = opened.enter_context(listen(port))
    latents = latents_of(run) or noise_latents(run)
    operations = Operations(run, latents)
    log(f'preparing the page of {run.folder}')
    batcher, values = batcher_of(run, latents) if latents else (None, None)
    if batcher:
      opened.callback(batcher.close)
    told = about(run, latents, values)
    opened.pop_all()
  computer = Computer(operations, batcher)
  learned: list[dict] = []
  token, port = secrets.token_urlsafe(TOKEN_BYTES), listener.getsockname()[1]
  app = make_app(computer, told, lambda: learned[0] if learned else None, token, port)
  settings = {'http': Connection, 'ws': 'none', 'lifespan': 'off', 'loop': 'asyncio'}
  settings |= {'access_log': False, 'log_level': 'warning', 'server_header': False}
  settings |= {'proxy_headers': False, 'timeout_graceful_shutdown': 1}
  server = uvicorn.Server(uvicorn.Config(app, **settings))

  def serve() -> None:
    ending = computer.ending.is_set
    computer.later.submit(lambda: learned.append(learn_or_say(run, latents, log, ending)))
    for warm in operations.to_warm():
      computer.later.submit(or_say, warm, log)
    computer.later.submit(spare_from_collection)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
      server.run(sockets=[listener])
    finally:
      sys.setswitchinterval(interval)
      computer.close()
      listener.close()

  def stop() -> None:
    server.should_exit = True

  return Page(f'http://{HOST}:{port}/{token}/', serve, stop)
