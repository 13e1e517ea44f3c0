"""The user's cache folder: compiled programs, decoded datasets, the judge of each dataset."""

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
  """The folder for one kind of cached files; it may not exist yet."""
  home = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return Path(home).expanduser() / 'vaejax' / kind
