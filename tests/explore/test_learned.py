"""What the page learns in the background: once for all attributes, and never after the end."""

import copy
import time

import numpy as np
import pytest
from explored import Client, serving
from untrained import untrained

from vaejax.explore import learned
from vaejax.explore.latents import latents_of
from vaejax.explore.learned import AT_ONCE, Stopped, learn


@pytest.fixture
def counted(monkeypatch):
  """(a copy of a run, the number of rows of each call of its encode)."""
  monkeypatch.setattr(learned, 'ROWS', 600)
  run, calls = copy.copy(untrained('vae.py:shapes,smoke')), []

  def encode(x, **fields):
    calls.append(len(x))
    return type(run).encode(run, x, **fields)

  run.encode = encode
  return run, calls


def test_all_attributes_are_of_rows_that_are_encoded_once(counted):
  run, calls = counted
  found = learn(run, latents_of(run))['attributes']
  assert len(found) > 1 and np.isfinite([one['direction'] for one in found]).all()
  assert sum(calls) == 600 and max(calls) <= AT_ONCE


def test_it_ends_between_two_parts(counted):
  run, calls = counted
  with pytest.raises(Stopped):
    learn(run, latents_of(run), lambda: len(calls) == 2)
  assert len(calls) == 2


def test_a_mistake_of_the_program_leaves_the_page_without_them(run):
  run, lines = copy.copy(run), []

  def encode(x, **fields):
    raise KeyError('a mistake')

  run.encode = encode
  with serving(run, lines.append) as address:
    client, end = Client(address), time.monotonic() + 60
    while not (found := client.get('learned.json'))['ready']:
      assert time.monotonic() < end
      time.sleep(0.05)
    assert found == {'ready': True} | {name: [] for name in learned.FOUND}
    assert client.post('decode', latents=[0, 0, 0, 0]).shape == (1, 1, 8, 8, 4)
  tracebacks = [line for line in lines if "KeyError: 'a mistake'" in line]
  assert 'no examples and no attributes' in tracebacks[0] and len(tracebacks) == 2
