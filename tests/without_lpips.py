"""A fixture for tests of scores without LPIPS, whose nets take most of their time."""

import pytest

from vaejax.errors import UserError
from vaejax.perceptual import lpips


@pytest.fixture
def without_lpips(monkeypatch):
  """The extra `perceptual` is missing."""

  def missing(net='alex', lowering=None):
    raise UserError('LPIPS needs the extra perceptual')

  monkeypatch.setattr(lpips, 'distance', missing)
