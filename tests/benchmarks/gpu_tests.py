"""The tests marked `gpu`, each with its outcome and time as soon as it ends.

  python tests/benchmarks/gpu_tests.py [--small]

Those that failed run once more under XLA's deterministic operations, which show whether it was
those. --small: the first ones, also on a CPU.
"""

import os
import sys

import figures
import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TESTS = 'tests/test_accelerator.py'


class Reporter:
  """A pytest plugin that prints a figure for each test and keeps the failed ones."""

  def __init__(self, title: str):
    self.title, self.failed = title, []

  def pytest_runtest_logreport(self, report) -> None:
    if report.when != 'call' and report.outcome == 'passed':
      return
    test = report.nodeid.rpartition('::')[2]
    errors = [line[1:].strip() for line in report.longreprtext.splitlines() if line[:2] == 'E ']
    what = ' '.join([report.outcome, *errors[:3]])
    print()  # ends pytest's line of dots
    figures.report(f'{self.title}: {test}', report.duration, 's', what, seed="its config's")
    if report.outcome == 'failed':
      self.failed.append(test)


def run(title: str, tests: list[str]) -> tuple[int, list[str]]:
  """pytest's status and the tests that failed."""
  workers = min(8, max(1, (os.cpu_count() or 1) // 2))
  reporter = Reporter(title)
  words = ['-m', 'gpu', '-n', str(workers), '--dist', 'load', '-p', 'no:cacheprovider', '-s']
  return pytest.main([*words, *tests], plugins=[reporter]), reporter.failed


def main():
  flags = figures.parser(__doc__).parse_args()
  os.chdir(ROOT)
  tests = [TESTS]
  if flags.small:
    os.environ['VAEJAX_GPU_TESTS'] = 'any'
    trains, sweeps = 'test_it_trains_and_goes_on_bit_for_bit', 'test_a_sweep_is_its_single_runs'
    tests = [f'{TESTS}::{trains}[vae]', f'{TESTS}::{trains}[gan]', f'{TESTS}::{sweeps}[vae]']
  status, failed = run('gpu test', tests)
  if failed and not flags.small:
    os.environ['XLA_FLAGS'] = '--xla_gpu_deterministic_ops=true'
    run('gpu test, deterministic operations', [f'{TESTS}::{test}' for test in failed])
  sys.exit(status)


if __name__ == '__main__':
  main()
