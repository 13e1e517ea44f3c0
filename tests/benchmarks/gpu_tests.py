"""The tests marked `gpu`, each with its outcome and time as soon as it ends.

python tests/benchmarks/gpu_tests.py [--small]
"""

import os
import sys

import figures
import pytest


class Reporter:
  """A pytest plugin that prints a figure for each test."""

  def pytest_runtest_logreport(self, report) -> None:
    if report.when == 'call' or (report.outcome != 'passed' and report.when == 'setup'):
      name = report.nodeid.rpartition('::')[2]
      lines = [line for line in report.longreprtext.splitlines() if line.startswith('E ')]
      what = ' '.join([report.outcome, *(line[1:].strip() for line in lines[:3])])
      figures.report(f'gpu test: {name}', report.duration, 's', what, seed='of the config')


def main():
  flags = figures.parser(__doc__).parse_args()
  if flags.small:
    os.environ['VAEJAX_GPU_TESTS'] = 'any'
  workers = min(8, max(1, (os.cpu_count() or 1) // 2))
  words = ['-m', 'gpu', '-n', str(workers), '--dist', 'load', '-p', 'no:cacheprovider', '-q']
  sys.exit(pytest.main([*words, 'tests/test_accelerator.py'], plugins=[Reporter()]))


if __name__ == '__main__':
  main()
