"""What the server answers, whom it refuses, and that nobody does it harm."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
from explored import base64_of
from PIL import Image
from starlette.testclient import TestClient

from vaejax.explore import server
from vaejax.explore.operations import Operations

Z = [0.5, -1.0, 0.25, 2.0]
PIXELS = {'pixels': 'AAAA'}


def test_the_page_and_its_files(client):
  status, headers, data = client.request('GET')
  assert status == 200 and b'<canvas' in data
  assert "script-src 'self'" in headers['content-security-policy']
  assert headers['cache-control'] == 'no-store' and 'server' not in headers
  for path in server.PAGE.iterdir():
    assert client.request('GET', path.name)[0] == 200
  kinds = {name: client.request('GET', name)[1]['content-type'] for name in ('app.js', 'style.css')}
  assert 'javascript' in kinds['app.js'] and kinds['style.css'].startswith('text/css')
  assert client.request('GET', '../serve.py')[0] == 404
  assert client.request('GET', '%2e%2e/serve.py')[0] == 404


def test_nothing_of_the_page_is_from_elsewhere_or_inline():
  for path in server.PAGE.iterdir():
    text = path.read_text()
    assert (
      'http://' not in text.replace('http://www.w3.org/2000/svg', '') and 'https://' not in text
    )
  page = (server.PAGE / 'index.html').read_text()
  assert 'style="' not in page and ' onclick' not in page and page.count('<script') == 1


def test_no_path_and_no_token_is_told(client, run):
  token = client.path.strip('/')
  for name in ('', 'about.json', 'learned.json', 'app.js', 'nothing'):
    data = client.request('GET', name)[2].decode()
    assert str(run.folder) not in data and token not in data


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


def test_decode_is_that_of_the_run(client, run):
  expected = np.rint(run.decode(np.asarray([Z]))[0] * 255)
  picture = client.post('decode', latents=Z)
  assert picture.shape == (1, 1, 8, 8, 4) and (picture[..., 3] == 255).all()
  assert np.abs(picture[0, 0, ..., :1] - expected).max() <= 1  # a batch of another size
  assert (picture[..., 0] == picture[..., 2]).all()


def test_encode_is_that_of_the_run(client, run):
  image = np.random.default_rng(0).integers(0, 256, (8, 8, 1)).astype(np.uint8)
  pixels = np.repeat(image, 4, axis=-1)
  z = client.post('encode', pixels=base64_of(pixels))['latents']
  assert np.allclose(z, run.encode(image[None])[0], atol=1e-4)


def test_draws_are_of_the_prior_and_scale_with_temperature(client):
  one, two = (client.post('draw', n=3, seed=4, temperature=t)['latents'] for t in (1.0, 0.5))
  assert np.shape(one) == (3, 4) and np.allclose(np.asarray(one) / 2, two, atol=1e-6)
  assert client.post('draw', n=3, seed=5)['latents'] != one


def test_completed_pictures_keep_what_is_seen(client):
  image = np.full((8, 8, 4), 255, np.uint8)
  image[:, :4, :3] = 48
  mask = np.zeros((8, 8), np.uint8)
  mask[:, 4:] = 1
  values = {'pixels': base64_of(image), 'mask': base64_of(mask)}
  versions = client.post('complete', **values, seed=1)
  assert versions.shape == (6, 1, 8, 8, 4)
  assert np.abs(versions[:, 0, :, :4, :3].astype(int) - 48).max() <= 8  # of 17 grey levels
  assert len(np.unique(versions.reshape(6, -1), axis=0)) > 1


def test_a_picture_file_is_read_at_the_size_of_the_run(client, tmp_path):
  Image.new('RGB', (31, 17), (255, 255, 255)).save(tmp_path / 'x.png')
  status, headers, data = client.request('POST', 'read', (tmp_path / 'x.png').read_bytes())
  assert status == 200 and headers['x-shape'] == '1,1,8,8,4' and set(data) == {255}


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
    ('decode', b'[' * 100_000, 'not JSON'),
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


@pytest.mark.parametrize(
  ('method', 'name', 'status'),
  [
    ('POST', 'nothing', 404),
    ('POST', 'transfer', 404),
    ('GET', 'decode', 404),
    ('PUT', 'decode', 405),
  ],
)
def test_unknown_addresses(client, method, name, status):
  assert client.request(method, name)[0] == status


@pytest.mark.parametrize('side', [7000, 20_000])
def test_a_picture_of_too_many_pixels_is_not_decoded(client, tmp_path, side):
  Image.new('1', (side, side)).save(tmp_path / 'x.png')
  status, error = client.refused('read', (tmp_path / 'x.png').read_bytes())
  assert status == 400 and '40 million pixels' in error


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


def test_a_slow_body_is_not_waited_for(client, monkeypatch):
  monkeypatch.setattr(server, 'BODY_SECONDS', 0.5)
  with socket.create_connection(('127.0.0.1', client.port), timeout=30) as connection:
    connection.sendall(head(client, 'Content-Length: 100') + b'{"lat')
    assert b' 408 ' in connection.recv(1000).splitlines()[0]


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


def test_a_mistake_of_the_program_is_a_line_here_and_a_traceback_there(run):
  def broken(body):
    raise KeyError('/a/path')

  operations = Operations(run, None)
  operations.named['draw'] = broken
  computer = server.Computer(operations, None)
  app = server.make_app(computer, {'controls': ['read'], 'source': None}, lambda: None, 't', 8000)
  with closing(computer):
    client = TestClient(app, 'http://127.0.0.1:8000', raise_server_exceptions=False)
    answer = client.post('/t/draw', json={})
    assert answer.status_code == 500 and list(answer.json()) == ['error']
    assert '/a/path' not in answer.text and 'Traceback' not in answer.text
    with pytest.raises(KeyError):  # what uvicorn logs with its traceback
      TestClient(app, 'http://127.0.0.1:8000').post('/t/draw', json={})


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


def head(client, *lines: str) -> bytes:
  """The head of a request to decode."""
  first = f'POST {client.path}decode HTTP/1.1', f'Host: 127.0.0.1:{client.port}'
  return '\r\n'.join([*first, *lines, '', '']).encode()
