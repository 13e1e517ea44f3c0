"""What is done with a trained run: images per second that it samples, and that it scores.

  python tests/benchmarks/trained.py [--small]

Through the Python interface, and compiled once for a large batch as an eval has it.
"""

import tempfile
from functools import partial

import enlarged
import figures
import jax
import training_loop

import vaejax
from vaejax.evals import nll


def sampling(run, net: str, small: bool) -> None:
  """Reports images per second sampled."""
  n, repeats = (500, 3) if small else (10_000, 7)
  times = figures.seconds(lambda: run.sample(n), repeats)
  what = f'Run.sample({n}), to arrays on the host'
  figures.report(f'{net}: sampling', figures.rates(n, times), 'images/s', what)
  draw = jax.jit(lambda key: run.method.sample(run.variables, key, n, {}))
  times = figures.seconds(lambda: draw(jax.random.key(0)), repeats)
  what = f'one program of {n} images, left on the device'
  figures.report(f'{net}: sampling on the device', figures.rates(n, times), 'images/s', what)


def scoring(run, net: str, small: bool) -> None:
  """Reports images per second of -log p(x) by importance sampling."""
  repeats = 3 if small else 5
  images = (enlarged.images(16 if small else 200, 'test') > 127).astype('float32')
  n = len(images)
  for samples in (50,) if small else (500, 5000):
    times = figures.seconds(lambda k=samples: run.log_prob(images, samples=k), repeats)
    name, what = f'{net}: nll, {samples} samples', f'Run.log_prob of {n} images'
    figures.report(name, figures.rates(n, times), 'images/s', what)
    config = vaejax.get_config(run.config)
    config.unlock()
    config.eval.nll = {'samples': samples, 'images': 0}
    look = exact(nll.make(run.method, config, run.example).extract['test'])
    batch = {'image': run.example.to_data(images), 'mask': jax.numpy.ones(n)}
    score = partial(look, run.variables, batch, jax.random.key(0), dict(run.config.hyper))
    times = figures.seconds(score, repeats)
    what = f'the eval nll on one batch of {n} images, left on the device'
    figures.report(f'{name}, as an eval', figures.rates(n, times), 'images/s', what)


def exact(function):
  """The function compiled with products in full precision, as every pass over a split is."""

  @jax.jit
  def run(*arguments):
    with jax.default_matmul_precision('highest'):
      return function(*arguments)

  return run


def main():
  flags = figures.parser(__doc__).parse_args()
  data = enlarged.data(1_000 if flags.small else 60_000)
  steps = 20 if flags.small else 500
  with tempfile.TemporaryDirectory() as folder:
    for net, spec in training_loop.NETS.items():
      config = training_loop.config(spec, steps, steps)
      vaejax.train(config, f'{folder}/{net}', data=data)
      run = vaejax.load(f'{folder}/{net}')
      sampling(run, net, flags.small)
      scoring(run, net, flags.small)


if __name__ == '__main__':
  main()
