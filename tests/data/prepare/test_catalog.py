"""The verb prepare: downloads with progress and checksums, archives put by hand, and the list."""

import functools
import hashlib
import http.server
import io
import os
import threading

import numpy as np
import pytest
from archives import MADE, put_archives
from running import HANGS

from vaejax.cli.main import main
from vaejax.data import sets
from vaejax.data.prepare import catalog, download, official
from vaejax.data.readers import tfds
from vaejax.errors import UserError

NAME = 'binarized_mnist'


class Quiet(http.server.SimpleHTTPRequestHandler):
  """Serves files without a log."""

  def log_message(self, *args):
    pass


@pytest.fixture
def site(tmp_path, monkeypatch):
  """A web server that TFDS takes for the official host, whose folder this is."""
  from tensorflow_datasets.core.download.checksums import UrlInfo

  monkeypatch.setenv('NO_PROXY', '127.0.0.1')
  monkeypatch.setattr(download, 'ANSWER_S', HANGS)
  folder, files = tmp_path / 'site', MADE[NAME]()
  folder.mkdir()
  for file, data in files.items():
    (folder / file).write_bytes(data)
  handler = functools.partial(Quiet, directory=folder)
  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    infos = {
      f'http://127.0.0.1:{server.server_port}/{f}': UrlInfo(
        len(b), hashlib.sha256(b).hexdigest(), f
      )
      for f, b in files.items()
    }
    monkeypatch.setattr(official.official_class(NAME), 'url_infos', infos)
    yield folder
    server.shutdown()


def test_prepare_downloads_what_is_missing(tmp_path, site, capfd):
  data_dir = tmp_path / 'new' / 'data'  # which is made
  assert main(['prepare', NAME, f'--data_dir={data_dir}']) == 0
  out, err = capfd.readouterr()
  assert out == f'{NAME} is in {data_dir}/{NAME}/1.0.0: train 23, validation 7, test 11\n'
  assert err.count('\n') == 1 and f'preparing {NAME} in {data_dir} from 127.0.0.1:' in err
  archives = data_dir / 'downloads' / 'manual' / NAME
  assert sorted(os.listdir(archives)) == sorted(os.listdir(site))
  assert tfds.table(NAME, 'validation', data_dir=str(data_dir)).size == 7
  # Again it only says where it is, also if the host is gone.
  for file in site.iterdir():
    file.unlink()
  assert main(['prepare', NAME, f'--data_dir={data_dir}']) == 0
  assert capfd.readouterr() == (out, '')


def test_archives_put_by_hand_are_not_downloaded(tmp_path, site):
  files = sorted(site.iterdir())
  archives = tmp_path / 'data' / 'downloads' / 'manual' / NAME
  archives.mkdir(parents=True)
  files[1].rename(archives / files[1].name)
  assert f'{NAME} is in' in catalog.prepare(NAME, str(tmp_path / 'data'))


def test_a_file_that_is_not_the_official_one_is_not_kept(tmp_path, site):
  (site / 'binarized_mnist_valid.amat').write_bytes(b'<html>')
  with pytest.raises(UserError, match=r'binarized_mnist_valid\.amat from 127.* checksum differs'):
    catalog.prepare(NAME, str(tmp_path / 'data'))
  archives = tmp_path / 'data' / 'downloads' / 'manual' / NAME
  assert os.listdir(archives) == ['binarized_mnist_train.amat']


def test_a_download_that_breaks_off_is_one_line(tmp_path, site):
  (site / 'binarized_mnist_test.amat').unlink()
  with pytest.raises(
    UserError, match=r'cannot download binarized_mnist_test\.amat from .*404'
  ) as error:
    catalog.prepare(NAME, str(tmp_path / 'data'))
  assert '\n' not in str(error.value)
  archives = tmp_path / 'data' / 'downloads' / 'manual' / NAME
  assert not [file for file in os.listdir(archives) if file.endswith('.part')]


def test_a_terminal_sees_a_bar(tmp_path, site, monkeypatch):
  class Terminal(io.StringIO):
    def isatty(self):
      return True

  terminal = Terminal()
  monkeypatch.setattr('sys.stderr', terminal)
  catalog.prepare(NAME, str(tmp_path / 'data'))
  assert 'binarized_mnist_train.amat: ' in terminal.getvalue()
  assert f'{NAME} validation: ' in terminal.getvalue()


def test_without_a_network_it_says_at_once_what_to_put_where(tmp_path, monkeypatch):
  monkeypatch.setattr(download, 'ANSWER_S', 0.2)
  monkeypatch.setattr(download.urllib.request, 'urlopen', lambda *_, **__: 1 / 0)
  with pytest.raises(UserError) as error:
    catalog.prepare('cifar100', str(tmp_path))
  assert str(error.value) == (
    f'cifar100 is not prepared in {tmp_path}, which has no dataset; its download host does not '
    'answer. Put cifar-100-binary.tar.gz from https://www.cs.toronto.edu/~kriz into '
    f'{tmp_path}/downloads/manual/cifar100'
  )


def test_what_needs_no_preparing(tmp_path):
  np.save(tmp_path / 'x.npy', np.zeros((2, 4, 4), np.uint8))
  for name in ('digits', str(tmp_path / 'x.npy')):
    assert catalog.prepare(name, None) == f'{name} needs no preparing: train on it at once'


def test_without_a_name_it_lists_what_can_be_and_what_is_there(tiny, tmp_path, monkeypatch, capfd):
  put_archives('cifar100', tmp_path, monkeypatch)
  catalog.prepare('cifar100', str(tmp_path))
  put_archives('omniglot', tmp_path, monkeypatch)
  capfd.readouterr()
  assert main(['prepare', f'--data_dir={tmp_path}']) == 0
  out = capfd.readouterr().out
  lines = {line.split()[0]: line for line in out.splitlines()[1:-1]}
  assert out.startswith(f'datasets in {tmp_path}:\n')
  assert lines['cifar100'] == '  cifar100         prepared: cifar100:3.0.2'
  assert lines['tiny'] == '  tiny             prepared: tiny:1.0.0'
  assert lines['mnist'] == '  mnist            not prepared; 11 MiB to download'
  assert f'its files are in {tmp_path}/downloads/manual/omniglot' in lines['omniglot']
  assert lines['emoji'].startswith('  emoji            not there: run `npm pack')
  assert lines.keys() == {*sets.known(), 'tiny'} - {'digits', 'gaussian_grid', 'moving', 'shapes'}
  assert out.splitlines()[-1] == (
    'without preparing: digits, gaussian_grid, moving, shapes, and your own files by their path'
  )
