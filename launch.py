"""vaejax: python launch.py --help lists the verbs."""

import os
import signal
import sys

# In a locale without UTF-8 Python cannot name every file: start it again in its UTF-8 mode.
if sys.getfilesystemencoding() != 'utf-8':
  os.environ['PYTHONUTF8'] = '1'
  os.execv(sys.executable, [sys.executable, '-X', 'utf8', *sys.orig_argv[1:]])

# Until the training loop has something to save, Ctrl-C just ends the process, without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

if __name__ == '__main__':
  from vaejax.cli.main import main

  sys.exit(main(sys.argv[1:]))
