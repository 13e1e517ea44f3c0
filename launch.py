"""vaejax: python launch.py --help lists the verbs."""

import signal
import sys

# Until the training loop has something to save, Ctrl-C just ends the process, without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

if __name__ == '__main__':
  from vaejax.cli.main import main

  sys.exit(main(sys.argv[1:]))
