"""bfloat16 against float32 in the whole training loop: steps per second and the test loss.

  python tests/benchmarks/precision.py [--small]

Seeds in turn, both dtypes of each; the error of a loss is half its range over the seeds.
"""

import enlarged
import figures
import training_loop

SEEDS = range(3)
# Wide enough for the products to take the time.
NETS = {
  'conv 64, 128': 'configs/vae.py:mnist,net=conv,model.channels=64,128,widths=(),latents=32',
  'mlp 2048, 2048': 'configs/vae.py:mnist,widths=2048,2048',
}


def main():
  flags = figures.parser(__doc__).parse_args()
  batch, every, count = (32, 2, 320) if flags.small else (1024, 59, 60_000)
  steps, data = 6 * every, enlarged.data(count, 64 if flags.small else 1000)
  nets, seeds = (list(NETS)[:1], SEEDS[:1]) if flags.small else (NETS, SEEDS)
  for net in nets:
    speed, losses = {}, {}
    for seed in seeds:
      for dtype in ('float32', 'bfloat16'):
        fields = {'batch_size': batch, 'model.dtype': dtype, 'seed': seed}
        config = training_loop.config(NETS[net], steps, every, **fields)
        rates, (values,) = training_loop.train(config, data)
        speed.setdefault(dtype, []).extend(rates)
        losses.setdefault(dtype, []).append(values['loss'])
        name, what = f'{net}, batch {batch}, {dtype}', f'whole training loop, {steps} steps'
        range_of = {'seed': f'0 to {seed}'}
        figures.report(f'{name}: steps', speed[dtype], 'steps/s', what, **range_of)
        figures.report(f'{name}: test loss', losses[dtype], 'nats', what, **range_of)


if __name__ == '__main__':
  main()
