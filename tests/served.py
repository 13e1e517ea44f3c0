"""Commands of launch.py one after another in one process, which starts once.

Each line of stdin is a JSON list: the words of a command, and the file for its output, stdout and
stderr. Each line of stdout is the status of a command.
"""

import json
import os
import sys
import traceback

from vaejax.cli.main import main

if __name__ == '__main__':
  statuses = os.fdopen(os.dup(1), 'w')
  for line in sys.stdin:
    words, path = json.loads(line)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
      os.dup2(file, number)
    os.close(file)
    try:
      status = main(words)
    except Exception:
      traceback.print_exc()
      status = 1
    sys.stdout.flush()
    print(status, file=statuses, flush=True)
