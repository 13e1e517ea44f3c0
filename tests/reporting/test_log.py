"""The log of a run: its rows, events, pictures and progress, over kills and resumes."""

import errno
import io
import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from vaejax.errors import RunError
from vaejax.reporting import log
from vaejax.runs.files import read_rows


class _Terminal(io.StringIO):
  def isatty(self):
    return True


def _full(*_):
  raise OSError(errno.ENOSPC, 'No space left on device')


def _open(workdir, step=0, stream=None, **settings):
  settings = {'total': 100, 'images_per_step': 8, **settings}
  return log.open_log(workdir, step=step, stream=stream or io.StringIO(), **settings)


def _lines(workdir):
  return (workdir / 'metrics.jsonl').read_bytes().split(b'\n')


def _events(workdir):
  """The events of a workdir's TensorBoard files, in the order in which TensorBoard reads them."""
  from tensorboardX.proto.event_pb2 import Event

  for path in sorted((workdir / 'tensorboard').iterdir()):
    data = path.read_bytes()
    while data:  # length, its checksum, the event, its checksum
      (size,) = struct.unpack('<Q', data[:8])
      yield Event.FromString(data[12 : 12 + size])
      data = data[16 + size :]


def test_a_row_is_in_the_file_at_once_with_its_values(tmp_path):
  with _open(tmp_path / 'new') as run:
    run.write_scalars(np.int64(10), 'train', 1.25, {'loss': np.float32(2.5), 'kl': 1})
    row = json.loads(_lines(tmp_path / 'new')[0])
    run.write_scalars(10, 'test', 1.5, {'elbo': -3.0})
  assert row == {'step': 10, 'split': 'train', 'seconds': 1.25, 'loss': 2.5, 'kl': 1.0}
  assert list(row)[:3] == ['step', 'split', 'seconds']
  assert [r['split'] for r in read_rows(tmp_path / 'new' / 'metrics.jsonl')] == ['train', 'test']


def test_non_finite_values_are_json_too(tmp_path):
  with _open(tmp_path) as run:
    run.write_scalars(
      1, 'train', 0, {'a': float('nan'), 'b': float('-inf'), 'c': np.float32('inf')}
    )
  refuse = lambda name: pytest.fail(f'{name} is not JSON')
  row = json.loads(_lines(tmp_path)[0], parse_constant=refuse)
  assert (row['a'], row['b'], row['c']) == (None, None, None)


def test_a_resume_drops_exactly_the_later_rows(tmp_path):
  with _open(tmp_path) as run:
    for step in (10, 20, 30, 40):
      run.write_scalars(step, 'train', step / 10, {'loss': step})
      run.write_scalars(step, 'test', step / 10 + 0.5, {'loss': step})
  before = _lines(tmp_path)
  assert log.elapsed_seconds(tmp_path, 30) == 3.5
  with _open(tmp_path, step=30) as run:
    assert _lines(tmp_path) == [*before[:6], b'']
    run.write_scalars(31, 'train', 3.6, {'loss': 1})
  assert _lines(tmp_path)[:6] == before[:6]
  assert len(_lines(tmp_path)) == 8
  assert log.elapsed_seconds(tmp_path, 31) == 3.6
  _open(tmp_path).close()
  assert _lines(tmp_path) == [b'']
  assert log.elapsed_seconds(tmp_path, 31) == 0.0


@pytest.mark.parametrize('cut', range(1, 60, 7))
def test_a_cut_last_line_is_dropped_and_does_not_spoil_the_next(tmp_path, cut):
  with _open(tmp_path) as run:
    for step in (1, 2):
      run.write_scalars(step, 'train', step, {'loss': 1.0})
  path = tmp_path / 'metrics.jsonl'
  complete = path.read_bytes()
  path.write_bytes(complete[:-cut])
  with _open(tmp_path, step=2) as run:
    run.write_scalars(3, 'train', 3, {'loss': 1.0})
  kept = [1, 2] if cut == 1 else [1]  # a row without its newline is complete
  assert [json.loads(line)['step'] for line in _lines(tmp_path)[:-1]] == [*kept, 3]


@pytest.mark.parametrize(
  'garbage', [b'\x00' * 500, b'{}\n[]\n"x"\n\n\n', b'\xff\xfe{"step": 1}\n', b'']
)
def test_garbage_is_dropped(tmp_path, garbage):
  (tmp_path / 'metrics.jsonl').write_bytes(garbage)
  assert log.elapsed_seconds(tmp_path, 5) == 0.0
  with _open(tmp_path, step=5) as run:
    run.write_scalars(6, 'train', 1, {})
  assert [json.loads(line)['step'] for line in _lines(tmp_path)[:-1]] == [6]


def test_a_rewrite_that_fails_keeps_the_rows(tmp_path, monkeypatch):
  with _open(tmp_path) as run:
    for step in (1, 2, 3):
      run.write_scalars(step, 'train', step, {})
  before = _lines(tmp_path)
  monkeypatch.setattr(os, 'fsync', _full)
  with pytest.raises(RunError):
    _open(tmp_path, step=2)
  assert _lines(tmp_path) == before


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full on this system')
@pytest.mark.parametrize('what', ['metrics', 'events'])
def test_a_full_disk_stops_the_run_with_one_line(tmp_path, what, monkeypatch):
  from tensorboardX import event_file_writer

  if what == 'metrics':
    (tmp_path / 'metrics.jsonl').symlink_to('/dev/full')
  else:
    record = event_file_writer.RecordWriter
    monkeypatch.setattr(event_file_writer, 'RecordWriter', lambda _: record('/dev/full'))
  with pytest.raises(RunError, match=r'disk is full[^\n]*$'), _open(tmp_path) as run:
    run.write_scalars(1, 'train', 1, {'loss': 1})


def test_an_error_of_the_run_is_not_hidden_by_one_of_closing(tmp_path, monkeypatch):
  with pytest.raises(KeyError), _open(tmp_path) as run:
    run.write_scalars(1, 'train', 1, {'loss': 1})
    monkeypatch.setattr(os, 'fsync', _full)
    raise KeyError
  monkeypatch.undo()
  with pytest.raises(RunError), _open(tmp_path) as run:
    run.write_scalars(1, 'train', 1, {'loss': 1})
    monkeypatch.setattr(os, 'fsync', _full)


def test_tensorboard_gets_the_scalars_and_the_pictures(tmp_path):
  image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
  with _open(tmp_path) as run:
    assert not (tmp_path / 'tensorboard').exists()
    run.write_scalars(10, 'train', 1, {'loss': 2.5, 'kl': 1})
    path = run.write_image(10, 'samples', image)
  first, scalars, picture = _events(tmp_path)
  assert first.file_version == 'brain.Event:2'
  assert {v.tag: v.simple_value for v in scalars.summary.value} == {
    'train/loss': 2.5,
    'train/kl': 1,
  }
  assert scalars.step == picture.step == 10
  (value,) = picture.summary.value
  assert path == tmp_path / 'images' / 'samples_00000010.png'
  assert (value.tag, value.image.encoded_image_string) == ('samples', path.read_bytes())
  read = np.asarray(Image.open(path))
  assert read.shape == (value.image.height, value.image.width, 3) == (512, 512, 3)
  np.testing.assert_array_equal(read[::256, ::256], image)


def test_a_resume_makes_tensorboard_forget_later_events(tmp_path):
  from tensorboardX.proto.event_pb2 import SessionLog

  for start in (0, 20):
    with _open(tmp_path, step=start) as run:
      run.write_scalars(start + 10, 'train', 1, {'loss': start})
  events = _events(tmp_path)
  purges = [(e.step, e.session_log.status) for e in events if e.HasField('session_log')]
  assert purges == [(21, SessionLog.START)]


def test_tensorboard_itself_forgets_later_events(tmp_path):
  reader = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
  for start in (0, 20):
    with _open(tmp_path, step=start) as run:
      for step in range(start + 10, start + 40, 10):
        run.write_scalars(step, 'train', 1, {'loss': start})
  read = reader.EventAccumulator(str(tmp_path / 'tensorboard')).Reload()
  points = [(e.step, e.value) for e in read.Scalars('train/loss')]
  assert points == [(10, 0), (20, 0), (30, 20), (40, 20), (50, 20)]


@pytest.fixture
def clock(monkeypatch):
  """[seconds] that tqdm's clock shows."""
  now = [0.0]
  monkeypatch.setattr('tqdm.std.time', lambda: now[0])
  return now


def test_off_a_terminal_progress_is_a_line_every_ten_seconds(tmp_path, clock):
  out = io.StringIO()
  with _open(tmp_path, stream=out, total=1000) as run:
    for step in range(10, 1010, 10):
      clock[0] += 0.5
      run.show_progress(step, {'loss': 1 / step, 'lr': 1e-3})
      if step == 400:
        run.print('a line of text')
  lines = out.getvalue().split('\n')
  assert lines.pop() == ''
  assert not {'\r', '\x1b'} & set(out.getvalue())
  assert lines.pop(2) == 'a line of text'
  steps = [int(line.split('step ')[1].split('/')[0]) for line in lines]
  assert steps == [10, 210, 410, 610, 810, 1000]  # 10 seconds are 200 steps
  assert all(len(line) < 100 for line in lines)
  # 10 steps in 0.5 s, 8 images a step, 790 steps to go
  assert '  00:39 left  20.0 steps/s  160 images/s' in lines[1]
  assert lines[1].endswith('  loss 0.004762')  # and no lr


def test_a_line_is_not_repeated_at_the_end(tmp_path, clock):
  out = io.StringIO()
  with _open(tmp_path, stream=out) as run:
    run.show_progress(50, {})
    clock[0] += 11
    run.show_progress(100, {})
  assert [line.split()[2] for line in out.getvalue().splitlines()] == ['50/100', '100/100']


def test_the_last_line_comes_even_if_the_run_is_stopped(tmp_path, clock):
  out = io.StringIO()
  with pytest.raises(KeyboardInterrupt), _open(tmp_path, stream=out) as run:
    for step in (1, 2, 3):
      run.show_progress(step, {})
    raise KeyboardInterrupt
  assert [line.split()[2] for line in out.getvalue().splitlines()] == ['1/100', '3/100']


def test_on_a_terminal_one_line_is_redrawn_within_its_width(tmp_path, clock):
  out = _Terminal()
  with _open(tmp_path, stream=out) as run:
    for step in range(1, 101):
      clock[0] += 0.0625
      run.show_progress(step, {'loss': 123.4} | {f'a_long_name_{i}': 1.0 for i in range(9)})
    run.print('saved')
  draws = out.getvalue().split('\r')[1:]
  # The first, every 0.125 s, the last before and after 'saved', and that itself.
  assert len(draws) == 1 + 49 + 2 + 2
  assert max(map(len, draws)) <= 80
  # Metrics that do not fit are left out whole: a number that is cut would be a wrong one.
  shown = '100% [##########] 100/100  00:00 left  16.0 steps/s  128 images/s  loss 123.4'
  assert draws[-1].rstrip() == shown
  assert [draw for draw in draws if '\n' in draw] == ['saved\n', draws[-1]]
  assert draws[-1].endswith('\n')


def test_a_stream_that_is_gone_does_not_stop_a_run(tmp_path):
  class Gone(io.StringIO):
    def write(self, _):
      raise BrokenPipeError

    def isatty(self):
      return self.terminal

  for Gone.terminal in (False, True):
    with _open(tmp_path, stream=Gone()) as run:
      run.show_progress(1, {})
      run.print('text')
      run.show_progress(2, {})
      run.write_scalars(1, 'train', 1, {})
      run.close()  # a second one follows
    assert len(read_rows(tmp_path / 'metrics.jsonl')) == 1


def test_excluded_time_does_not_count_in_rates(tmp_path, clock):
  """100 steps in 10 s, after a test of 90 s: 10 steps/s, not one; the mean rates at the end too."""
  out = io.StringIO()
  with _open(tmp_path, stream=out, total=300, images_per_step=1) as run:
    run.show_progress(100, {})
    clock[0] += 90
    run.exclude(90)
    clock[0] += 10
    run.show_progress(200, {})
    clock[0] += 5
    run.show_progress(250, {})
  _, line, last = out.getvalue().splitlines()
  assert '200/300' in line and ' 10.0 steps/s' in line
  assert '250/300' in last and ' 10.0 steps/s' in last


def test_torch_is_not_imported(tmp_path):
  """Importing it takes half as long as a start. Afterwards others can import it."""
  (tmp_path / 'torch.py').write_text('print("imported")')
  code = (
    'import pathlib, sys\n'
    'from vaejax.reporting.tensorboard import Events\n'
    'Events(pathlib.Path(sys.argv[1]) / "events", 0).close()\n'
    'print("and then")\n'
    'import torch'
  )
  path = os.pathsep.join([str(tmp_path), *sys.path])
  words = [sys.executable, '-c', code, str(tmp_path)]
  result = subprocess.run(words, env=os.environ | {'PYTHONPATH': path}, capture_output=True)
  assert result.stdout.split() == [b'and', b'then', b'imported'], result.stderr
