"""Joined sources: the batches that each would give alone."""

from functools import partial

import jax
import numpy as np
import pytest
from batches import assert_same, batches

from vaejax.config.base import base
from vaejax.config.load import load_config
from vaejax.data import combine, source, sources, splits, stream, subset
from vaejax.errors import UserError
from vaejax.training.setup import set_up

KEY = sources.run_key(3)
draw = partial(batches, key=KEY)  # unless a test gives another


def data(**fields):
  found = base('m2', {}).data
  few = {'labels': 40, 'labelled_batch': 5}
  found.update({'name': 'digits', 'binarise': 'dynamic', **few, **fields})
  return found


def digits(**fields):
  found = data(**fields)
  return found, splits.table(found, 'train', None)


def test_each_part_is_what_its_source_gives():
  found, rows = digits()
  joined = draw(sources.train(found, rows, 8, 3), 0, 4)
  whole = draw(sources.train(data(labels=None), rows, 8, 3), 0, 4)
  few = subset.balanced(rows, 40, jax.random.key(0))
  alone = source.make(few, 5, 'dynamic')
  for batch, want in zip(joined, whole, strict=True):
    assert batch['image'].shape == (8, 8, 8, 1) and batch['labelled_image'].shape == (5, 8, 8, 1)
    assert_same([{k: batch[k] for k in want}], [want])
  parts = {'': sources.train(data(labels=None), rows, 8, 3), 'labelled_': alone}
  batch, want = (
    draw(combine.join(parts), 2, 3)[0],
    draw(alone, 2, 3, key=combine.part_key(KEY, 1)),
  )
  assert_same([{k: batch[f'labelled_{k}'] for k in want[0]}], want)


def test_resident_and_streamed_batches_are_the_same(monkeypatch):
  # Blocks of 3 steps of one, and of 5 of the other: they end at different steps.
  monkeypatch.setattr(stream, 'BLOCK_BYTES', 3 * 8 * (64 + 4))
  found, rows = digits(mode='resident')
  resident = sources.train(found, rows, 8, 3)
  streamed = sources.train(data(mode='stream'), rows, 8, 3)
  assert resident.resident and not streamed.resident
  want = draw(resident, 0, 12)
  assert_same(draw(streamed, 0, 12, key=jax.random.key(99)), want)
  for first in (1, 5, 11):  # as after a resume
    assert_same(draw(streamed, first, 12), want[first:])
    assert_same(draw(resident, first, 12), want[first:])
  # A data.seed is that of all parts.
  assert_same(draw(sources.train(data(mode='resident', seed=3), rows, 8, 0), 0, 3), want[:3])


def test_the_parts_have_orders_and_noise_of_their_own():
  _, rows = digits()
  twice = {'': source.make(rows, 50, 'dynamic'), 'other_': source.make(rows, 50, 'dynamic')}
  (batch,) = draw(combine.join(twice), 0, 1)
  assert np.mean(batch['label'] == batch['other_label']) < 0.5
  grey = rows._replace(load=lambda: {'image': np.full((1500, 8, 8, 1), 128, np.uint8)})
  twice = {'': source.make(grey, 50, 'dynamic'), 'other_': source.make(grey, 50, 'dynamic')}
  (batch,) = draw(combine.join(twice), 0, 1)
  assert 0.4 < np.mean(batch['image'] == batch['other_image']) < 0.6


@pytest.mark.parametrize('rows, devices', [(8, 8), (4, 4), (5, 1)])
def test_as_many_devices_as_share_the_rows_of_every_part(project, rows, devices):
  config = load_config(f'configs/m2.py:smoke,labelled_batch={rows}')
  assert set_up(config, None).mesh.size == devices


def test_microbatches_share_the_rows_of_every_part(project):
  with pytest.raises(UserError, match=r'labelled_batch=6 is not a multiple of .*=4'):
    load_config('configs/m2.py:smoke,labelled_batch=6,accumulate=4')


def test_the_labelled_rows_of_a_run_are_those_of_its_seed():
  found, rows = digits(binarise='none')
  seen = lambda seed: {
    x.tobytes()
    for b in draw(sources.train(found, rows, 8, seed), 0, 8)
    for x in b['labelled_image']
  }
  assert len(seen(3)) == 40 and seen(3) != seen(4)
