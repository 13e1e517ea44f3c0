"""How convolutions are lowered: for this machine, or for an export."""

import contextlib
from contextvars import ContextVar

_exporting = ContextVar('exporting', default=False)


@contextlib.contextmanager
def for_export():
  """Within it, what is traced has convolutions of `lax` alone, whatever the device, see
  nets/convolve.py."""
  token = _exporting.set(True)
  try:
    yield
  finally:
    _exporting.reset(token)


def is_for_export() -> bool:
  """Whether what is being traced is for an export."""
  return _exporting.get()
