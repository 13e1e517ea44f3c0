"""vaejax: python launch.py [train | sample | evaluate] --help."""

import sys

from vaejax.command import main

if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
