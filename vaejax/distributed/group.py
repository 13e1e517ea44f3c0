"""The processes of one program: how they agree, and how they end together.

Every process keeps one connection to process 0, over which lines of JSON go. The kernel closes it
however a process ends, so that the others know at once: JAX's own watch takes 100 seconds, while
which they hang in a collective. What only one process can know (a clock, a signal, what is in the
workdir) process 0 decides and tells, since all must dispatch the same programs in the same order.
"""

import contextlib
import json
import os
import queue
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any


class Alone:
  """The group of a process that is by itself: everything is its own."""

  size, rank, main = 1, 0, True

  def share(self, make: Callable[[], Any]) -> Any:
    """make() of process 0, on every process; JSON's values."""
    return make()

  def first(self, make: Callable[[], Any]) -> Any:
    """Each process's own make(): process 0's comes first, so that what it prepares or caches is
    there for the others. Returns when all are done."""
    return make()

  def agree(self, length: int, heard: list[int]) -> tuple[int, list[int]]:
    """How many steps to dispatch next, and the signals that end the run; `heard`: those that this
    process got."""
    return length, heard

  def fail(self, text: str, status: int) -> None:
    """Ends the others, as this process ends with an error."""

  def lost(self, error: Exception) -> None:
    """Ends the process where an exception is but what another one's end leads to."""

  def close(self) -> None:
    """Ends the group, when each of its processes has come to its end."""


ALONE = Alone()
GRACE = 5.0  # seconds in which another process's end is seen, when a collective has failed of it


class Group(Alone):
  """Several processes; `links` are {rank: (its socket, its host)}: process 0's to each of the
  others, theirs to process 0. `said`: is called when an end was told of."""

  def __init__(self, size: int, rank: int, links: dict[int, tuple[socket.socket, str]], said=None):
    self.said = said or (lambda: None)
    self.size, self.rank, self.main = size, rank, rank == 0
    self.links, self.inbox, self.told = links, queue.Queue(), []
    self.sending, self.ending, self.over = threading.Lock(), threading.Lock(), False
    for other in links:
      threading.Thread(target=self.watch, args=(other,), daemon=True).start()

  def send(self, **message) -> None:
    """Sends a message over all of this process's links; one that is cut is the watch's to see."""
    line = json.dumps(message).encode() + b'\n'
    with self.sending:
      for link, _ in self.links.values():
        with contextlib.suppress(OSError):
          link.sendall(line)

  def watch(self, other: int) -> None:
    """In a thread: takes what a process sends, and ends this one when that one has ended."""
    link, host = self.links[other]
    with contextlib.suppress(OSError, ValueError), link.makefile('rb') as lines:
      for line in lines:
        message = json.loads(line)
        if 'fail' in message:
          self.end(message['fail'], message['status'])
        elif 'signal' in message:
          self.told.append(message['signal'])
        else:
          self.over = self.over or message.get('over', False)
          self.inbox.put(message.get('value'))
    if not self.over:
      self.end(
        f'process {other} of {self.size} ({host}) has ended, so this one ends too: see what that '
        'one said; the same commands go on from the last checkpoint',
        1,
      )

  def end(self, text: str, status: int) -> None:
    """Ends this process from its watch, the main thread being in a collective that never ends."""
    self.ending.acquire()  # for good: whoever comes second has nothing to add
    if self.main:
      self.send(fail=text, status=status)
    self.leave(f'error: {text}', status)

  def meet(self, over: bool = False) -> None:
    """Waits until all are here."""
    if self.main:
      for _ in self.links:
        self.inbox.get()
      self.over = over
      self.send(over=over)
    else:
      self.send()
      self.inbox.get()

  def share(self, make):
    if not self.main:
      return self.inbox.get()
    from vaejax.runs.files import plain

    value = json.loads(json.dumps(plain(make())))
    self.send(value=value)
    return value

  def first(self, make):
    made = make() if self.main else None
    self.share(lambda: None)
    made = made if self.main else make()
    self.meet()
    return made

  def agree(self, length, heard):
    if heard and not self.main:
      self.send(signal=heard[0])
      heard.clear()
    return self.share(lambda: [length, (heard or self.told)[:1]])

  def fail(self, text, status):
    if not self.main:
      time.sleep(1)  # an error that all have is process 0's to tell, of which this one then ends
    self.ending.acquire()
    self.send(fail=f'process {self.rank} ({socket.gethostname()}): {text}', status=status)
    self.leave(f'error: {text}', status)

  def lost(self, error):
    time.sleep(GRACE)
    self.ending.acquire()
    text = f'{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}'
    self.send(fail=f'process {self.rank} ({socket.gethostname()}): {text}', status=1)
    self.leave(''.join(traceback.format_exception(error)).rstrip(), 1)

  def leave(self, text: str, status: int) -> None:
    """Says why, and ends the process as it is: JAX's own end would wait for the others."""
    with contextlib.suppress(OSError, ValueError):
      sys.stdout.flush()
      print(text, file=sys.stderr, flush=True)
      self.said()
    os._exit(status)

  def close(self):
    import jax

    self.meet(over=True)
    jax.distributed.shutdown()
    for link, _ in self.links.values():
      with contextlib.suppress(OSError):
        link.close()
