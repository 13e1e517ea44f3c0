"""Seconds from the command `launch.py train` to its first logged step: compile cache empty, filled.

python tests/benchmarks/first_step.py [--small]
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import figures

ROOT = Path(__file__).parents[2]
NETS = {
  'mlp': 'configs/vae.py:digits,data.size=28,widths=500',
  'conv': 'configs/vae.py:digits,data.size=28,net=conv,model.channels=32,64,widths=()',
}


def first_step(spec: str, workdir: Path, cache: Path) -> float:
  """Seconds from the command to the first row of its log. Raises RuntimeError if none comes."""
  words = [f'--config={spec}', f'--workdir={workdir}', '--config.eval.log_every=1']
  environment = {**os.environ, 'JAX_COMPILATION_CACHE_DIR': str(cache)}
  start = time.perf_counter()
  process = subprocess.Popen(
    [sys.executable, 'launch.py', 'train', *words],
    cwd=ROOT,
    env=environment,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
  )
  rows = workdir / 'metrics.jsonl'
  while process.poll() is None and not (rows.exists() and rows.stat().st_size):
    time.sleep(0.01)
  seconds = time.perf_counter() - start
  process.kill()
  _, text = process.communicate()
  if not rows.exists():
    raise RuntimeError(f'launch.py train made no step:\n{text.decode()[-2000:]}')
  return seconds


def main():
  flags = figures.parser(__doc__).parse_args()
  times = {}
  with tempfile.TemporaryDirectory() as folder:
    for repeat in range(2 if flags.small else 3):
      for net, spec in NETS.items():
        cache = Path(folder) / f'{net}{repeat}'
        for state in ('empty', 'filled'):
          key = f'first step, {net}, compile cache {state}'
          workdir = Path(folder) / f'{net}{repeat}{state}'
          times.setdefault(key, []).append(first_step(spec, workdir, cache))
          figures.report(key, times[key], 's', f'launch.py train --config={spec}')


if __name__ == '__main__':
  main()
