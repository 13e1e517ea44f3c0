"""Malformed, oversized and slow requests: one line, and no harm to the others."""

import json
import math
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from vaejax.errors import UserError
from vaejax.explore import connections, server
from vaejax.explore.checks import Body
from vaejax.explore.pictures import read

Z = [0.5, -1.0, 0.25, 2.0]
PIXELS = {'pixels': 'AAAA'}


@pytest.mark.parametrize(
  ('name', 'body', 'text'),
  [
    ('decode', b'', 'not JSON'),
    ('decode', b'[1, 2]', 'not a JSON object'),
    ('decode', b'{"latents": [1, 2, 3, NaN]}', 'NaN is not a finite number'),
    ('decode', b'{"latents": [1, 2, 3, Infinity]}', 'Infinity is not a finite number'),
    ('decode', b'{"latents": [1, 2, 3, 1e999]}', 'not finite'),
    ('decode', b'{"latents": [1, 2, 3, 1e39]}', 'not finite'),
    ('decode', b'{"latents": [1, 2, 3, 1' + b'0' * 400 + b']}', 'not finite'),
    ('decode', b'{"latents": [1, 2, 3]}', 'not a list of 4 numbers'),
    ('decode', b'{"latents": [1, 2, 3, true]}', 'not finite numbers'),
    ('decode', b'{"latents": [1, 2, 3, "4"]}', 'not finite numbers'),
    ('decode', b'{"latents": {"a": 1}}', 'not a list'),
    ('decode', b'{"latents": [1, 2, 3, 4], "label": 1}', 'not given a label'),
    ('decode', b'{"latents": [1, 2, 3, 4], "rows": 1}', "unknown value 'rows'"),
    ('decode', b'\xff\xfe', 'not JSON'),
    ('decode', b'[' * 1200, 'not JSON'),
    ('draw', {'n': 1000}, 'n is not a whole number from 1 to 32'),
    ('draw', {'n': 1.5}, 'n is not a whole number'),
    ('draw', {'seed': -1}, 'seed is not a whole number'),
    ('draw', {'temperature': 9}, 'temperature is not a number from 0 to 3'),
    ('encode', {}, 'pixels is missing'),
    ('encode', {'pixels': 'é'}, 'not base64'),
    ('encode', PIXELS, '3 bytes, but 1 x 8 x 8 x 4 are needed'),
    ('read', b'no picture', 'no picture that can be read'),
    ('read', b'\x89PNG\r\n\x1a\n' + b'\0' * 100, 'no picture that can be read'),
  ],
)
def test_a_mistake_is_one_line(client, name, body, text):
  status, error = client.refused(name, body)
  assert status == 400 and text in error


def test_json_of_any_depth_is_refused():
  with pytest.raises(UserError, match='not JSON'):
    Body(b'[' * 100_000)


@pytest.mark.parametrize('side', [7000, 20_000])
def test_a_picture_of_too_many_pixels_is_not_decoded(client, tmp_path, side):
  Image.new('1', (side, side)).save(tmp_path / 'x.png')
  status, error = client.refused('read', (tmp_path / 'x.png').read_bytes())
  assert status == 400 and '40 million pixels' in error


def test_a_background_that_is_no_colour_is_said(tmp_path):
  Image.new('RGBA', (9, 9)).save(tmp_path / 'x.png')
  with pytest.raises(UserError, match="'mauve' is not a colour"):
    read((tmp_path / 'x.png').read_bytes(), (8, 8, 1), 'mauve')


def test_too_large_a_body_is_refused_before_it_is_read(client):
  with socket.create_connection(('127.0.0.1', client.port), timeout=30) as connection:
    size = server.MAX_BODY + 1
    connection.sendall(head(client, f'Content-Length: {size}'))
    assert b' 413 ' in connection.recv(1000).splitlines()[0]


def test_too_large_a_body_in_chunks_is_cut(client):
  with socket.create_connection(('127.0.0.1', client.port), timeout=30) as connection:
    connection.sendall(head(client, 'Transfer-Encoding: chunked'))
    chunk, sent = b'10000\r\n' + b'x' * 0x10000 + b'\r\n', 0
    try:
      while sent < 4 * server.MAX_BODY:
        connection.sendall(chunk)
        sent += len(chunk)
      pytest.fail('all was read')
    except OSError:
      pass
  assert sent < 2 * server.MAX_BODY + 2**23  # what buffers between the two hold


@pytest.mark.parametrize(
  ('name', 'limit'),
  [
    ('decode', 1024 + 64 * 4),
    ('draw', 4096),
    ('encode', 4096 + 4 * math.ceil(8 * 8 * 4 / 3)),
    ('complete', 4096 + 4 * math.ceil(8 * 8 * 4 / 3) + 4 * math.ceil(8 * 8 / 3)),
    ('read', 2**23),
  ],
)
def test_an_operation_is_sent_no_more_than_it_needs(client, name, limit):
  assert client.refused(name, b' ' * limit)[0] == 400
  with socket.create_connection(('127.0.0.1', client.port), timeout=30) as connection:
    connection.sendall(head(client, f'Content-Length: {limit + 1}', name=name))
    answer = b''
    while b'}' not in answer:
      answer += connection.recv(1000)
  assert b' 413 ' in answer.splitlines()[0] and f'larger than {limit:,} bytes' in answer.decode()


def test_latents_with_all_their_digits_are_within_the_limit(client):
  z = [-1.2345678901234567e-301] * 4
  assert len(json.dumps(z)) > 80 and client.post('decode', latents=z).size


def test_a_slow_body_is_not_waited_for(client, monkeypatch):
  monkeypatch.setattr(server, 'BODY_SECONDS', 0.5)
  with socket.create_connection(('127.0.0.1', client.port), timeout=30) as connection:
    connection.sendall(head(client, 'Content-Length: 100') + b'{"lat')
    assert b' 408 ' in connection.recv(1000).splitlines()[0]


@pytest.mark.parametrize('first', [b'', b'POST /', 'head'])
def test_a_connection_without_a_request_is_closed(client, monkeypatch, first):
  monkeypatch.setattr(connections, 'HEAD_SECONDS', 0.5)
  first = head(client, 'Content-Length: 2')[:-3] if first == 'head' else first
  with socket.create_connection(('127.0.0.1', client.port), timeout=30) as connection:
    connection.sendall(first)
    assert closed(connection)


def test_half_a_second_head_is_not_waited_for(client, monkeypatch):
  monkeypatch.setattr(connections, 'HEAD_SECONDS', 0.5)
  with socket.create_connection(('127.0.0.1', client.port), timeout=30) as connection:
    connection.sendall(head(client, 'Content-Length: 2') + b'{}')
    answer = b''
    while b'}' not in answer:
      answer += connection.recv(1000)
    assert b' 400 ' in answer.splitlines()[0]
    connection.sendall(head(client)[:-2])
    assert closed(connection)


def test_a_client_that_leaves_is_no_mistake_of_the_program(client, caplog):
  for _ in range(3):
    with socket.create_connection(('127.0.0.1', client.port), timeout=30) as connection:
      connection.sendall(head(client, 'Content-Length: 100') + b'{"lat')
  client.post('decode', latents=Z)
  assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
  'text', [b'nonsense\r\n\r\n', b'GET / HTTP/1.1\r\n' + b'a: b\r\n' * 20_000]
)
def test_what_is_no_http_is_refused(client, text):
  with socket.create_connection(('127.0.0.1', client.port), timeout=30) as connection:
    connection.sendall(text)
    assert b' 400 ' in connection.recv(1000).splitlines()[0]
  assert client.post('decode', latents=Z).shape == (1, 1, 8, 8, 4)


def test_many_clients_at_once_each_get_their_own_picture(client, run):
  z = np.random.default_rng(1).normal(size=(50, 4))
  expected = np.rint(run.decode(z)[..., 0] * 255)
  bad = lambda _: client.refused('decode', b'{"latents": [1]}')[0]
  slow = [socket.create_connection(('127.0.0.1', client.port)) for _ in range(20)]
  try:
    for connection in slow:
      connection.sendall(head(client, 'Content-Length: 1000') + b'{')
    with ThreadPoolExecutor(60) as pool:
      mistakes = [pool.submit(bad, i) for i in range(50)]
      pictures = list(pool.map(lambda row: client.post('decode', latents=row), z.tolist()))
  finally:
    for connection in slow:
      connection.close()
  for picture, x in zip(pictures, expected, strict=True):
    assert np.abs(picture[0, 0, ..., 0] - x).max() <= 1
  assert {mistake.result() for mistake in mistakes} == {400}


def head(client, *lines: str, name: str = 'decode') -> bytes:
  """The head of a request to an operation."""
  first = f'POST {client.path}{name} HTTP/1.1', f'Host: 127.0.0.1:{client.port}'
  return '\r\n'.join([*first, *lines, '', '']).encode()


def closed(connection) -> bool:
  """Whether the server closes a connection, without an answer."""
  try:
    return connection.recv(1000) == b''
  except ConnectionResetError:
    return True
