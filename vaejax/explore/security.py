"""Who may talk to the server: the page that it has served itself, and nobody else."""

import secrets

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HEADERS = {
  'content-security-policy': (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
  ),
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
}
SAME_SITE = 'same-origin', 'none'  # Sec-Fetch-Site of the page itself, and of a typed address


def plain(host: str) -> str:
  """A host or an origin as browsers write it: without the port of HTTP."""
  return host.lower().removesuffix(':80')


def refusal(headers: Headers, path: str, token: str, port: int) -> tuple[int, str] | None:
  """The status and the reason to refuse a request; None to accept it.

  The host protects from other names for this machine's address (DNS rebinding), the origin from
  other pages in the same browser, the token from other users and programs.
  """
  hosts = plain(f'127.0.0.1:{port}'), plain(f'localhost:{port}')
  host = [plain(name) for name in headers.getlist('host')]
  if len(host) != 1 or host[0] not in hosts:
    return 421, 'this host is not served. Use the address that the terminal shows'
  origin = headers.get('origin')
  if origin is not None and plain(origin) != f'http://{host[0]}':
    return 403, 'requests of other pages are refused'
  if headers.get('sec-fetch-site', 'none') not in SAME_SITE:
    return 403, 'requests of other pages are refused'
  given = path.split('/')[1] if path.startswith('/') else ''
  if not secrets.compare_digest(given.encode(), token.encode()):
    return 404, 'there is no such page. Use the address that the terminal shows'
  return None


class Guard:
  """Refuses requests before the app sees them, and adds HEADERS to every answer."""

  def __init__(self, app: ASGIApp, token: str, port: int):
    self.app, self.token, self.port = app, token, port

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    async def guarded(message):
      if message['type'] == 'http.response.start':
        own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        message = {**message, 'headers': [*message.get('headers', []), *own]}
      await send(message)

    app = self.app
    if reason := refusal(Headers(scope=scope), scope['path'], self.token, self.port):
      app = JSONResponse({'error': reason[1]}, reason[0], {'connection': 'close'})
    await app(scope, receive, guarded)
