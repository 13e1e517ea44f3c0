import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from vaejax.errors import RunError, UserError
from vaejax.runs import files


def test_a_write_replaces_the_file_and_leaves_nothing_beside_it(tmp_path):
  path = tmp_path / 'a.txt'
  files.write_atomic(path, 'ä')
  files.write_atomic(path, b'new')
  assert path.read_bytes() == b'new'
  assert os.listdir(tmp_path) == ['a.txt']


@pytest.mark.parametrize('step', ['fsync', 'replace'])
def test_a_full_disk_is_one_line_and_the_old_file_stands(tmp_path, monkeypatch, step):
  path = tmp_path / 'a.txt'
  path.write_bytes(b'old')

  def full(*_):
    raise OSError(errno.ENOSPC, 'No space left on device')

  monkeypatch.setattr(os, step, full)
  with pytest.raises(RunError, match='disk is full') as caught:
    files.write_atomic(path, b'new')
  assert '\n' not in str(caught.value)
  assert path.read_bytes() == b'old'
  assert os.listdir(tmp_path) == ['a.txt']


def test_another_failure_keeps_its_name_and_leaves_no_temporary(tmp_path, monkeypatch):
  def interrupted(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr(os, 'fsync', interrupted)
  with pytest.raises(KeyboardInterrupt):
    files.write_atomic(tmp_path / 'a.txt', b'new')
  assert os.listdir(tmp_path) == []
  with pytest.raises(FileNotFoundError):
    files.write_atomic(tmp_path / 'no' / 'a.txt', b'new')


def test_json_comes_back_and_is_standard_json(tmp_path):
  path = tmp_path / 'a.json'
  obj = {'b': np.float32(0.5), 'a': (1, np.int64(2)), 'nan': float('nan'), 'inf': np.inf}
  obj['array'] = np.array([1.0, -np.inf])
  files.write_json(path, obj)
  refuse = lambda name: pytest.fail(f'{name} is not JSON')
  strict = json.loads(path.read_text(), parse_constant=refuse)
  assert files.read_json(path) == strict
  assert strict == {'b': 0.5, 'a': [1, 2], 'nan': None, 'inf': None, 'array': [1.0, None]}
  assert list(strict) == list(obj)


def test_what_json_cannot_say_leaves_the_old_file(tmp_path):
  files.write_json(tmp_path / 'a.json', 1)
  with pytest.raises(TypeError):
    files.write_json(tmp_path / 'a.json', {'x': object()})
  assert files.read_json(tmp_path / 'a.json') == 1


@pytest.mark.parametrize('content', [b'{"a": 1', b'', b'\xff\xfe\x00', b'[' * 200_000, b'1' * 9999])
def test_a_malformed_file_is_a_users_mistake_in_one_line(tmp_path, content):
  path = tmp_path / 'config.json'
  path.write_bytes(content)
  with pytest.raises(UserError, match='configuration') as caught:
    files.read_json(path)
  assert '\n' not in str(caught.value)
  assert len(str(caught.value)) < 400 + len(str(path))


def test_a_missing_file_says_what_it_should_be_and_what_to_do(tmp_path):
  with pytest.raises(UserError, match=r'configuration.*does not exist.*train'):
    files.read_json(tmp_path / 'config.json')
  with pytest.raises(UserError, match='directory'):
    files.read_json(tmp_path)


def test_rows_are_read_in_order_and_other_lines_skipped(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  assert files.read_rows(path) == []
  good = b'{"step": 1, "split": "test", "seconds": 0.5, "loss": null}'
  bad = [
    b'{"step": 1.0, "split": "test", "seconds": 1}',
    b'{"step": true, "split": "test", "seconds": 1}',
    b'{"step": 1, "split": ["test"], "seconds": 1}',
    b'{"step": 1, "split": "test", "seconds": NaN}',
    b'{"step": 1, "split": "test"}',
    b'{"step": -1, "split": "test", "seconds": 1}',
    b'[1]',
    b'null',
    b'\x00\xff',
    b'[' * 200_000,
  ]
  for line in bad:
    path.write_bytes(b'\n'.join([line, good, line, good[:-3]]))
    assert files.read_rows(path) == [json.loads(good)], line[:60]


def test_start_up_is_cheap():
  heavy = ('PIL', 'tensorboardX', 'tqdm', 'matplotlib')
  code = 'import sys; from vaejax.reporting import images, log, report\n'
  code += f'print([name for name in {heavy} if name in sys.modules])'
  out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert out.stdout.strip() == '[]'
