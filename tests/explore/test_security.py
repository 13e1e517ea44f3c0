"""Whom the server refuses."""

import json
import socket

import pytest
from starlette.datastructures import Headers

from vaejax.explore.security import refusal


@pytest.mark.parametrize(
  ('path', 'headers', 'status'),
  [
    ('/', {}, 404),
    ('/about.json', {}, 404),
    ('/wrong/about.json', {}, 404),
    ('/TOKENx/about.json', {}, 404),
    ('/TOKEN/about.json', {}, 200),
    ('/TOKEN/about.json', {'Host': 'localhost:PORT'}, 200),
    ('/TOKEN/about.json', {'Host': 'example.org'}, 421),
    ('/TOKEN/about.json', {'Host': 'example.org:PORT'}, 421),
    ('/TOKEN/about.json', {'Host': '127.0.0.1'}, 421),
    ('/TOKEN/about.json', {'Host': '127.0.0.1:1'}, 421),
    ('/TOKEN/about.json', {'Origin': 'http://127.0.0.1:PORT'}, 200),
    ('/TOKEN/about.json', {'Origin': 'http://127.0.0.1:1'}, 403),
    ('/TOKEN/about.json', {'Origin': 'https://127.0.0.1:PORT'}, 403),
    ('/TOKEN/about.json', {'Origin': 'http://example.org'}, 403),
    ('/TOKEN/about.json', {'Origin': 'null'}, 403),
    ('/TOKEN/about.json', {'Sec-Fetch-Site': 'same-origin'}, 200),
    ('/TOKEN/about.json', {'Sec-Fetch-Site': 'none'}, 200),
    ('/TOKEN/about.json', {'Sec-Fetch-Site': 'cross-site'}, 403),
    ('/TOKEN/about.json', {'Sec-Fetch-Site': 'same-site'}, 403),
    ('/TOKEN/nothing', {}, 404),
  ],
)
def test_who_is_refused(client, path, headers, status):
  filled = lambda text: text.replace('PORT', str(client.port))
  path = path.replace('TOKEN', client.path.strip('/'))
  got, _, data = client.request(
    'GET', path=path, headers={k: filled(v) for k, v in headers.items()}
  )
  assert got == status
  if status != 200:
    assert set(json.loads(data)) == {'error'}


def test_it_listens_on_this_machine_alone(client):
  from vaejax.explore.serve import listen

  with listen(0) as listener:
    assert listener.getsockname()[0] == '127.0.0.1'
    assert listener.proto == socket.IPPROTO_TCP  # else an answer waits for Nagle's algorithm


@pytest.mark.parametrize(
  ('host', 'origin', 'port', 'status'),
  [
    ('127.0.0.1', 'http://127.0.0.1', 80, None),  # as browsers write it
    ('127.0.0.1:80', 'http://127.0.0.1:80', 80, None),
    ('LocalHost', 'http://localhost', 80, None),
    ('127.0.0.1', 'http://localhost', 80, 403),
    ('127.0.0.1', 'https://127.0.0.1', 80, 403),
    ('127.0.0.1', 'http://127.0.0.1:8000', 80, 403),
    ('example.org', 'http://example.org', 80, 421),
    ('127.0.0.1:8000', 'http://127.0.0.1', 80, 421),
    ('127.0.0.1', 'http://127.0.0.1', 8000, 421),
    ('127.0.0.1:80', 'http://127.0.0.1:80', 8000, 421),
  ],
)
def test_the_port_of_http_may_be_left_out(host, origin, port, status):
  refused = refusal(Headers({'host': host, 'origin': origin}), '/t/', 't', port)
  assert (refused[0] if refused else None) == status
