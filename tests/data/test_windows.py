"""Windows of videos: which frames they have, and what is left out."""

import numpy as np
import pytest

from vaejax.data import windows
from vaejax.errors import UserError


def test_windows_of_videos():
  video, start = windows.divide(np.asarray([5, 2, 3, 8]), 3, 2)
  assert video.tolist() == [0, 0, 2, 3, 3, 3]
  assert start.tolist() == [0, 2, 0, 0, 2, 4]
  video, start = windows.divide(np.asarray([5, 2, 3, 8]), 3, 0)
  assert (video.tolist(), start.tolist()) == ([0, 2, 3], [0, 0, 0])


@pytest.mark.parametrize(('length', 'frames', 'stride'), [(20, 6, 1), (20, 6, 6), (21, 7, 5)])
def test_windows_are_all_that_fit(length, frames, stride):
  _, start = windows.divide(np.asarray([length]), frames, stride)
  np.testing.assert_array_equal(start, np.arange(0, length - frames + 1, stride))


def test_short_videos_are_counted():
  assert windows.note(np.asarray([5, 5]), 5, 'x') == ()
  assert '2 of 4 videos' in windows.note(np.asarray([5, 2, 3, 8]), 5, 'x')[0]
  with pytest.raises(UserError, match=r'the longest video of x has 8 frames. Give at most 8'):
    windows.note(np.asarray([5, 2, 3, 8]), 9, 'x')


@pytest.mark.parametrize('stride', [-1, 0.5, True])
def test_a_stride_is_a_number_of_frames(stride):
  with pytest.raises(UserError, match='is not a number of frames'):
    windows.check_stride(stride)
