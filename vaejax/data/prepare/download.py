"""Downloads official archives, with a progress bar and their checksums."""

import contextlib
import hashlib
import os
import threading
import urllib.parse
import urllib.request
from typing import Any

from vaejax.errors import UserError

ANSWER_S = 3.0  # seconds for a host to answer
STALL_S = 60.0  # seconds without a byte after which a download has failed
BLOCK = 2**20  # bytes that are read at once


def progress_bar(total: int | None, name: str, unit: str, binary: bool = False) -> Any:
  """A tqdm bar on stderr, which is hidden if stderr is not a terminal."""
  import tqdm

  return tqdm.tqdm(
    total=total,
    desc=name,
    unit=unit,
    unit_scale=binary,
    unit_divisor=1024,
    disable=None,
    leave=False,
  )


def answers(url: str) -> bool:
  """Whether a file can be downloaded, decided within ANSWER_S seconds."""
  results = []

  def request_head():
    with contextlib.suppress(Exception):
      request = urllib.request.Request(url, method='HEAD')
      with urllib.request.urlopen(request, timeout=ANSWER_S) as reply:
        results.append(reply.status == 200)

  # In a thread, because the timeout of a request does not apply to resolving the host name.
  thread = threading.Thread(target=request_head, daemon=True)
  thread.start()
  thread.join(ANSWER_S)
  return results == [True]


def fetch(url: str, path: str, size: int, sha256: str) -> None:
  """Downloads a file of `size` bytes. `path` appears when it is complete and its SHA-256 is right.

  Raises UserError if the download fails or the checksum differs.
  """
  file, host = os.path.basename(path), urllib.parse.urlsplit(url).netloc
  os.makedirs(os.path.dirname(path), exist_ok=True)
  draft, digest = f'{path}.{os.getpid()}.part', hashlib.sha256()
  try:
    with (
      urllib.request.urlopen(url, timeout=STALL_S) as reply,
      open(draft, 'wb') as out,
      progress_bar(size, file, 'B', binary=True) as bar,
    ):
      while block := reply.read(BLOCK):
        out.write(block)
        digest.update(block)
        bar.update(len(block))
    if digest.hexdigest() != sha256:
      raise UserError(
        f'{file} from {host} is not the official file (its checksum differs). Try again later, or '
        f'put the official one into {os.path.dirname(path)}'
      )
    os.replace(draft, path)
  except UserError:
    raise
  except Exception as error:
    line = (str(error).splitlines() or [''])[0]
    raise UserError(
      f'cannot download {file} from {host} ({type(error).__name__}: {line}). Try again, or put it '
      f'into {os.path.dirname(path)}'
    ) from error
  finally:
    with contextlib.suppress(OSError):
      os.unlink(draft)
