"""What the server answers."""

from contextlib import closing

import numpy as np
import pytest
from explored import base64_of
from PIL import Image
from starlette.testclient import TestClient

from vaejax.explore import server
from vaejax.explore.operations import Operations

Z = [0.5, -1.0, 0.25, 2.0]


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
