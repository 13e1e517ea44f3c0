"""The cache of decoded splits: taken, shared, mended and done without."""

import concurrent.futures
import errno
import os
import threading
import time

import jax
import numpy as np
import pytest
from running import HANGS

from vaejax.data import decoded

N = 23
ROW = {
  'image': jax.ShapeDtypeStruct((4, 5, 3), np.uint8),
  'label': jax.ShapeDtypeStruct((), np.int32),
}


def rows(seed=0):
  rng = np.random.default_rng(seed)
  return {
    'image': rng.integers(0, 256, (N, 4, 5, 3), np.uint8),
    'label': rng.integers(-1, 10, N).astype(np.int32),
  }


class Decoder:
  """Decodes `rows()` in runs of 5, counting how often."""

  def __init__(self, arrays=None):
    self.arrays, self.calls = arrays or rows(), 0

  def __call__(self):
    self.calls += 1
    for i in range(0, N, 5):
      yield {k: v[i : i + 5] for k, v in self.arrays.items()}


def load(decoder, key='key', name='set-train'):
  return decoded.load(name, key, ROW, N, decoder)


def same(arrays, want=None):
  want = want or rows()
  return arrays.keys() == want.keys() and all(
    arrays[k].dtype == want[k].dtype and np.array_equal(arrays[k], want[k]) for k in want
  )


def test_the_second_load_maps_what_the_first_wrote(cache):
  decoder = Decoder()
  first, second = load(decoder), load(decoder)
  assert decoder.calls == 1
  assert same(first) and same(second)
  assert all(isinstance(v, np.memmap) and not v.flags.writeable for v in second.values())
  (folder,) = os.listdir(cache)
  assert folder.startswith('set-train-')
  assert sorted(os.listdir(cache / folder)) == ['image.npy', 'label.npy']


def test_another_key_is_another_folder(cache):
  load(Decoder(), ['a', 1])
  other = Decoder(rows(1))
  assert same(load(other, ['a', 2]), rows(1)) and other.calls == 1
  assert len(os.listdir(cache)) == 2


def test_a_name_cannot_lead_out_of_the_cache(cache):
  load(Decoder(), name='../../../x/y[:5]')
  (folder,) = os.listdir(cache)
  assert '.' not in folder and '/' not in folder


def cut(path):
  os.truncate(path, os.path.getsize(path) - 7)


def lengthen(path):
  with open(path, 'ab') as file:
    file.write(b'more')


def empty(path):
  os.truncate(path, 0)


def scribble(path):
  with open(path, 'r+b') as file:
    file.write(b'not an array')


def reshape(path):
  np.save(path, np.zeros((N, 5, 4, 3), np.uint8))


def retype(path):
  np.save(path, np.zeros((N, 4, 5, 3), np.int8))


def transpose(path):
  np.save(path, np.asfortranarray(rows()['image']))


def pickled(path):
  np.save(path, np.array([print] * N, dtype=object), allow_pickle=True)


def zipped(path):
  with open(path, 'wb') as file:
    np.savez(file, image=rows()['image'])


DAMAGES = [cut, lengthen, empty, scribble, reshape, retype, transpose, pickled, zipped, os.remove]


@pytest.mark.parametrize('damage', DAMAGES, ids=lambda d: d.__name__)
def test_a_damaged_folder_is_decoded_again(cache, capfd, damage):
  load(Decoder())
  (folder,) = os.listdir(cache)
  damage(cache / folder / 'image.npy')
  decoder = Decoder()
  assert same(load(decoder)) and decoder.calls == 1
  message = capfd.readouterr().err
  assert message.count('\n') == 1 and folder in message and 'damaged' in message
  assert same(load(decoder)) and decoder.calls == 1
  assert os.listdir(cache) == [folder] and capfd.readouterr().err == ''


def test_a_cache_that_cannot_be_made_is_done_without(tmp_path, monkeypatch, capfd):
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  assert same(load(Decoder()))
  message = capfd.readouterr().err
  assert (
    message.count('\n') == 1
    and 'cannot write decoded images' in message
    and str(tmp_path / 'file') in message
  )


def test_a_relative_cache_is_not_made(tmp_path, monkeypatch, capfd):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('XDG_CACHE_HOME', 'here')
  assert same(load(Decoder()))
  assert not os.path.exists('here') and 'not an absolute path' in capfd.readouterr().err


def test_a_full_disk_is_done_without(cache, monkeypatch, capfd):
  def full(_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  monkeypatch.setattr(os, 'fsync', full)
  assert same(load(Decoder()))
  assert 'No space left' in capfd.readouterr().err
  assert os.listdir(cache) == []


def test_nothing_is_left_of_a_decoding_that_failed(cache):
  def fails():
    yield {k: v[:5] for k, v in rows().items()}
    raise KeyError('broken')

  with pytest.raises(KeyError):
    load(fails)
  assert os.listdir(cache) == []


def test_writers_at_the_same_time_all_have_whole_arrays(cache):
  # All decode before any has renamed, so that all but one lose the race.
  barrier = threading.Barrier(4, timeout=HANGS)

  def slow():
    barrier.wait()
    yield from Decoder()()
    barrier.wait()

  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    results = list(pool.map(load, [slow] * 4))
  assert all(map(same, results))
  assert len(os.listdir(cache)) == 1 and same(load(Decoder()))


def test_what_is_being_written_is_not_seen(capfd):
  seen = []

  def peeks():
    yield {k: v[:20] for k, v in rows().items()}
    seen.append(load(Decoder()))
    yield {k: v[20:] for k, v in rows().items()}

  assert same(load(peeks)) and same(seen[0]) and capfd.readouterr().err == ''


def test_only_old_leftovers_are_swept(cache):
  for name, age in (('tmp-old', 2), ('tmp-new', 0), ('set-other', 2)):
    os.makedirs(cache / name)
    os.utime(cache / name, (time.time() - age * 86400,) * 2)
  load(Decoder())
  assert {'tmp-new', 'set-other'} < set(os.listdir(cache)) and not (cache / 'tmp-old').exists()


@pytest.mark.parametrize('threads', [1, 3])
def test_blocks_come_in_order_whatever_the_threads(threads):
  lengths = []

  def fetch(indices):
    time.sleep(0.02 if indices[0] == 0 else 0)  # the first run ends last
    lengths.append(len(indices))
    return {'image': indices}

  got = np.concatenate([b['image'] for b in decoded.blocks(fetch, 1000, 2**25 // 100, threads)])
  assert np.array_equal(got, np.arange(1000)) and set(lengths) == {100}
