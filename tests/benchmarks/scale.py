"""Many runs: sweeps of 1, 4, 16, 64 members against processes of their own, and what devices ask.

python tests/benchmarks/scale.py [--config=FILE:WORDS] [--data_dir=DIR] [--steps=500]
                                 [--members=1,4,16,64] [--processes=4] [--rounds=3] [--devices=8]
                                 [--skip=PARTS]

commands: whole commands, start-up, compilation and tests counted, with the compile cache filled;
`processes` are single runs at once. steps: the compiled chunk alone, in turn, the median.
asks: of one step over virtual devices, the bytes of its collectives and of a device's memory.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BYTES = {'f32': 4, 's32': 4, 'u32': 4, 'bf16': 2, 'pred': 1, 'u8': 1}


def parse():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--config', default='configs/vae.py:digits')
  parser.add_argument('--data_dir')
  parser.add_argument('--steps', type=int, default=500)
  parser.add_argument('--members', default='1,4,16,64')
  parser.add_argument('--processes', type=int, default=4)
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--devices', type=int, default=8)
  parser.add_argument('--skip', default='')
  return parser.parse_args()


def launch(flags, verb: str, workdir: str, *words: str) -> subprocess.Popen:
  """A command of launch.py in a process of its own."""
  command = [sys.executable, 'launch.py', verb, f'--config={flags.config}', f'--workdir={workdir}']
  command += [f'--config.steps={flags.steps}', *words]
  command += [f'--data_dir={flags.data_dir}'] if flags.data_dir else []
  quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
  return subprocess.Popen(command, cwd=ROOT, **quiet)


def commands(flags, counts: list[int]) -> None:
  """Wall seconds of whole commands, the median of the rounds after one that fills the cache."""
  found = {}
  for number in range(flags.rounds + 1):
    with tempfile.TemporaryDirectory() as folder:
      for count in (*counts, 'processes'):
        began = time.perf_counter()
        if count == 'processes':
          seeds = [f'--config.seed={seed}' for seed in range(flags.processes)]
          started = [launch(flags, 'train', f'{folder}/p{s}', s) for s in seeds]
        else:
          started = [launch(flags, 'sweep', f'{folder}/{count}', '--grid', f'seed=0:{count}')]
        if any(process.wait() for process in started):
          sys.exit(f'a command failed: {started[0].args}')
        if number:
          found.setdefault(count, []).append(time.perf_counter() - began)
  for count, seconds in found.items():
    members = flags.processes if count == 'processes' else count
    each = f'{members} processes' if count == 'processes' else f'sweep of {members}'
    wall = statistics.median(seconds)
    print(f'commands: {each:>12} {wall:7.1f} s {members / wall:7.2f} members/s', flush=True)


def sweep_of(flags, count: int, **layout):
  """The setup of a sweep over `count` seeds, or of a single run for 0."""
  from vaejax.config.load import load_config
  from vaejax.core.devices import Layout
  from vaejax.sweeps import axes
  from vaejax.training.setup import set_up

  spec, members = str(ROOT / flags.config), ()
  config = load_config(spec)
  if count:
    (group,) = axes.make_sweep(spec, [], [('grid', f'seed=0:{count}')]).groups
    config, members = group
  return set_up(config, flags.data_dir, members, Layout(**layout))


def steps(flags, counts: list[int]) -> None:
  """Seconds a step of the compiled chunk, all counts in turn."""
  import jax
  import numpy as np

  runs, times = {}, {}
  for count in (0, *counts):
    setup = sweep_of(flags, count)
    made = setup.program
    buffer, _ = next(iter(setup.source.buffers(0, 1)))
    state = jax.jit(setup.create, out_shardings=setup.state_sharding)()
    zeros = made.put(made.chunk.zeros(state, buffer))
    state, _ = made.run(state, zeros, buffer, np.int32(1))
    runs[count] = [made, buffer, zeros, state]
  length = np.int32(max(1, flags.steps // 10))
  for _ in range(2 * flags.rounds + 1):
    for count, run in runs.items():
      made, buffer, zeros, state = run
      began = time.perf_counter()
      run[3], sums = made.run(state, zeros, buffer, length)
      jax.block_until_ready(sums)
      times.setdefault(count, []).append((time.perf_counter() - began) / length)
  one = statistics.median(times[0])
  for count, seconds in times.items():
    step, name = statistics.median(seconds), f'sweep of {count}' if count else 'single run'
    rate = max(1, count) * one / step
    line = f'{1e3 * step:8.3f} ms, {step / one:6.2f} times one, {rate:5.2f} of its speed together'
    print(f'steps: {name:>12} {line}', flush=True)


def asks(flags) -> None:
  """What the compiled step says of collectives and memory."""
  import numpy as np

  from vaejax.sweeps.partition import compiled

  n = flags.devices
  alone = [(0, {'data': n}), (0, {'data': n, 'fsdp': True})]
  for count, layout in (*alone, (n, {'sweep': n}), (n, {'sweep': n // 2, 'data': 2})):
    program = compiled(sweep_of(flags, count, **layout))
    kinds = 'all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter'
    found = re.findall(rf'= (.*?) (?:{kinds})(?:-start)?\(', program.as_text())
    sizes = [
      BYTES.get(kind, 4) * int(np.prod([int(d) for d in shape.split(',') if d] or [1]))
      for text in found
      for kind, shape in re.findall(r'(\w+)\[([\d,]*)\]', text)
    ]
    memory = program.memory_analysis()
    held = memory.argument_size_in_bytes / 2**20, memory.temp_size_in_bytes / 2**20
    line = f'{len(found)} collectives of {sum(sizes) / 2**10:.1f} KiB'
    line += f', arguments {held[0]:.1f} and temporaries {held[1]:.1f} MiB a device'
    print(f'asks: {count} members, {layout}: {line}', flush=True)


def main():
  flags = parse()
  counts = [int(count) for count in flags.members.split(',')]
  if 'commands' not in flags.skip:
    commands(flags, counts)
  if 'steps' not in flags.skip:
    steps(flags, counts)
  if 'asks' not in flags.skip:
    # In a process of its own, where there are so many devices.
    words = [sys.executable, '-c', 'import scale; scale.asks(scale.parse())', *sys.argv[1:]]
    devices = (
      f'{os.environ.get("XLA_FLAGS", "")} --xla_force_host_platform_device_count={flags.devices}'
    )
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    subprocess.run(words, env={**os.environ, 'XLA_FLAGS': devices, 'PYTHONPATH': paths}, check=True)


if __name__ == '__main__':
  main()
