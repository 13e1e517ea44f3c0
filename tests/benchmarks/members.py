"""Seeds of an MNIST net trained as one program: steps per second of the whole loop, and memory.

  python tests/benchmarks/members.py --members=64 [--net=mlp] [--batch=128] [--small]

A process for each count, so that the peak of memory is its own.
"""

import enlarged
import figures
import training_loop


def main():
  parser = figures.parser(__doc__)
  parser.add_argument('--net', choices=tuple(training_loop.NETS), default='mlp')
  parser.add_argument('--batch', type=int, default=128)
  parser.add_argument('--members', type=int, default=1)
  flags = parser.parse_args()
  n = flags.members
  every = max(468, 4680 // n) * 128 // flags.batch
  if flags.small:
    every = max(2, 40 * 128 // flags.batch // n // (1 if flags.net == 'mlp' else 4))
  config = training_loop.config(
    training_loop.NETS[flags.net], 7 * every, every, batch_size=flags.batch
  )
  data = enlarged.data(6_400 if flags.small else 60_000)
  rates, _ = training_loop.train(config, data, n)
  name = f'{flags.net}, batch {flags.batch}, seeds in one program: {n}'
  what = f'whole training loop, {7 * every} steps, a row of the log every {every}'
  figures.report(f'{name}: steps', rates, 'steps/s', what)
  figures.report(f'{name}: steps of all seeds', [n * r for r in rates], 'seed-steps/s', what)
  value, of = training_loop.peak_memory()
  figures.report(f'{name}: peak {of}', value, 'GiB', f'{what}, and its test')


if __name__ == '__main__':
  main()
