"""The connections of the server, which are closed if no request comes."""

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0  # in which the head of a request has to arrive


class Connection(H11Protocol):
  """HTTP/1.1 of uvicorn, which itself would wait forever for the first head, or for its end."""

  def connection_made(self, transport) -> None:
    super().connection_made(transport)
    self.timer = self.loop.call_later(HEAD_SECONDS, self.look, None)

  def connection_lost(self, exc) -> None:
    self.timer.cancel()
    super().connection_lost(exc)

  def look(self, before) -> None:
    """Closes the connection if no head has come since the last look; `before` is the answer, or
    None, that was complete then."""
    is_idle = self.cycle is None or self.cycle.response_complete
    if is_idle and self.cycle is before:
      self.transport.abort()
    else:
      # An answer that is not complete is no state of waiting: nothing is the same as `self`.
      before = self.cycle if is_idle else self
      self.timer = self.loop.call_later(HEAD_SECONDS, self.look, before)
