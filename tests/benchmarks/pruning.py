"""A trained MNIST VAE, pruned and trained on: how good and how small it is at each sparsity.

  python tests/benchmarks/pruning.py --data_dir=DIR [--dense=WORKDIR] [--by=layer] [--small]

One sweep over sparsities and seeds begins with the nets of a dense run (`init_from`), which is
trained first unless `--dense` names it. Prints a Markdown table: mean ± standard error over seeds
of the test ELBO, of the judge's agreement (the proportion of reconstructions of test rows that the
cached judge of the dataset classifies as their label), and of the bytes of the float32 weights in a
compressed .npz, also as a proportion of those in memory.
"""

import argparse
import io
import math
import statistics
import tempfile
from pathlib import Path

import jax
import numpy as np

import vaejax
from vaejax.core.passes import map_examples
from vaejax.evaluation import judged
from vaejax.runs import checkpoint
from vaejax.runs.trained import TrainedRun, open_run, open_split
from vaejax.types import averaged


def agreement(run: TrainedRun) -> float:
  """The proportion of test rows whose reconstruction the judge classifies as their label, NaN
  without a judge."""
  example, variables = run.example, averaged(run.state)
  judge, _ = judged.find('', run.config.data, example, 'judge')
  if judge is None:
    return math.nan

  def reconstruct(batch):
    output = run.method.predict['reconstruct'](variables, batch, jax.random.key(0))
    return {'image': example.to_unit(output['image']), 'label': batch['label']}

  _, source = open_split(run, 'test')
  parts = list(map_examples(reconstruct, source, 500))
  rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
  return float(np.mean(judged.verdicts(judge, rows['image']).predicted == rows['label']))


def sizes(run: TrainedRun) -> dict[str, float]:
  """`size`: kB of the weights in a compressed .npz; `share`: that as a percentage of those in
  memory."""
  weights = checkpoint.named_leaves(jax.device_get(averaged(run.state).params))
  buffer = io.BytesIO()
  np.savez_compressed(buffer, **weights)
  size = len(buffer.getvalue())
  return {'size': size / 1000, 'share': 100 * size / sum(x.nbytes for x in weights.values())}


def measure(folder: Path, rows: list[dict]) -> dict[float, list[dict[str, float]]]:
  """{sparsity: the values of each seed}, from the members of a finished sweep."""
  values = {}
  for row in rows:
    run = open_run(folder, print, member=row['member'])
    of_member = {'elbo': row['elbo'], 'agreement': 100 * agreement(run), **sizes(run)}
    values.setdefault(row['optimizer.prune'], []).append(of_member)
  return values


def table(values: dict[float, list[dict[str, float]]]) -> str:
  """The values as a Markdown table."""
  lines = [
    '| sparsity | ELBO, nats | judge agrees, % | weights compressed, kB | of those in memory, % |',
    '| --- | --- | --- | --- | --- |',
  ]
  for sparsity, of_seeds in values.items():
    columns = ([v[name] for v in of_seeds] for name in ('elbo', 'agreement', 'size', 'share'))
    lines.append(f'| {100 * sparsity:g} % | {" | ".join(map(in_words, columns))} |')
  return '\n'.join(lines)


def in_words(values: list[float]) -> str:
  """Mean ± standard error; a dash for NaN."""
  if not all(map(math.isfinite, values)):
    return '–'
  error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
  return f'{statistics.mean(values):.2f} ± {error:.2f}'


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--data_dir', help='the folder with MNIST, prepared by TFDS')
  parser.add_argument('--dense', help='a finished run of configs/vae.py:mnist')
  parser.add_argument('--steps', type=int, default=2000, help='of each pruned run')
  parser.add_argument('--seeds', type=int, default=3)
  parser.add_argument('--sparsities', default='0,0.5,0.8,0.9,0.95')
  parser.add_argument('--by', default='global', help='optimizer.prune_by: global or layer')
  parser.add_argument('--workdir', type=Path, help='of the sweep, which resumes there')
  parser.add_argument('--small', action='store_true', help='digits, seconds: to see that it works')
  flags = parser.parse_args()
  spec = 'configs/vae.py:digits,smoke' if flags.small else 'configs/vae.py:mnist'
  sparsities, seeds = ('0,0.95', 2) if flags.small else (flags.sparsities, flags.seeds)
  with tempfile.TemporaryDirectory() as temporary:
    folder, dense = flags.workdir or Path(temporary) / 'pruned', flags.dense
    if flags.small or not dense:
      dense = str(Path(temporary) / 'dense')
      vaejax.train(spec, dense, data_dir=flags.data_dir, progress=True)
    config = vaejax.get_config(spec)
    config.init_from, config.optimizer.prune_by = dense, flags.by
    config.steps = config.steps if flags.small else flags.steps
    grid = {'optimizer.prune': sparsities, 'seed': range(seeds)}
    rows = vaejax.sweep(config, folder, grid, data_dir=flags.data_dir, progress=True)
    print(table(measure(folder, rows)))


if __name__ == '__main__':
  main()
