"""Seeds of an MNIST net trained as one program: steps per second of the whole loop, and memory.

  python tests/benchmarks/members.py [--net=mlp] [--members=1,8,64,256] [--batches=128] [--small]

Counts and batches ascend, for the peak of memory is that of the process so far.
"""

import enlarged
import figures
import training_loop


def measure(net: str, batch: int, members: int, data: dict, small: bool) -> None:
  """Reports the rates of one program, and the peak of memory."""
  every = max(468, 4680 // members) * 128 // batch
  if small:
    every = max(2, 40 * 128 // batch // members // (1 if net == 'mlp' else 10))
  config = training_loop.config(training_loop.NETS[net], 7 * every, every, batch_size=batch)
  rates, _ = training_loop.train(config, data, members)
  name = f'{net}, batch {batch}, seeds in one program: {members}'
  what = f'whole training loop, {7 * every} steps, a row of the log every {every}'
  figures.report(f'{name}: steps', rates, 'steps/s', what)
  if members > 1:
    all_rates = [members * rate for rate in rates]
    figures.report(f'{name}: steps of all', all_rates, 'seed-steps/s', what)
  value, of = training_loop.peak_memory()
  figures.report(f'{name}: peak {of}', value, 'GiB', f'{what}, and its test')


def main():
  parser = figures.parser(__doc__)
  parser.add_argument('--net', choices=tuple(training_loop.NETS), default='mlp')
  parser.add_argument('--members', default='1,8,64,256')
  parser.add_argument('--batches', default='128')
  flags = parser.parse_args()
  data = enlarged.data(1_280 if flags.small else 60_000, 64 if flags.small else 1000)
  for batch in map(int, flags.batches.split(',')):
    for members in map(int, flags.members.split(',')):
      measure(flags.net, batch, members, data, flags.small)


if __name__ == '__main__':
  main()
