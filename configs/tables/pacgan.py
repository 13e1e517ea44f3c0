"""Packing against mode collapse: PacGAN, Lin et al. 2018 (arXiv:1712.04086), tables 1 and 2.

  python launch.py reproduce --table=pacgan --data_dir=DIR
  python launch.py reproduce --table=pacgan --short

Whole: 25 Gaussians on a grid, and stacked MNIST with DCGAN's nets, each with packs of 1 to 4
images and 10 seeds. Short: the grid alone, with smaller nets. Both follow the released code
(fjxmlzn/PacGAN), whose batches have as many packs whatever their size.

The table claims that packing covers more modes. It claims nothing of good samples: with packing
their share is not higher in the paper either, .948 without and .913 to .942 with packs. A critic of
packs, whose input has more dimensions, takes longer to see the narrow Gaussians: in the short table
about 1000, 5000, 16,000 and more than 20,000 steps with packs of 1 to 4, where it ends.

Source: stacked MNIST as in the paper's table 2. The values of the grid were written down from
memory, and are to be verified before they are cited.

Cost: whole, an estimate for one H100: stacked MNIST 8 hours, the grid 1 hour. --short, 17 minutes
of processor time on two shared CPU cores, see tests/benchmarks/RESULTS.md.
"""

from vaejax.config.table import Cell, Claim, Published, Table

MEMORY = 'table 1, from memory: verify before citing'
# By the size of a pack: modes of 25, good samples, reverse KL; and modes of 1000, reverse KL.
GRID = {
  1: ((17.3, 0.8), (0.948, 0.007), (0.70, 0.07)),
  2: ((23.8, 0.7), (0.913, 0.008), (0.14, 0.04)),
  3: ((24.6, 0.4), (0.942, 0.004), (0.06, 0.02)),
  4: ((24.8, 0.2), (0.936, 0.006), (0.04, 0.01)),
}
STACKED = {
  1: ((78.9, 6.46), (4.50, 0.13)),
  2: ((1000.0, 0.0), (0.06, 0.003)),
  3: ((1000.0, 0.0), (0.06, None)),
  4: ((1000.0, 0.0), (0.07, None)),
}
# Fields of the grid. Its nets see coordinates in units of their standard deviation.
GRID_WHOLE = {
  'model.widths': '(400,400,400,400)',
  'model.critic.widths': '(200,200,200)',
  'model.critic.activation': 'relu',
  'hyper.lr': '1e-4',
  'hyper.lr_critic': '1e-4',
  'optimizer.b1': '0.8',
  'steps': '400000',
}
GRID_SHORT = {
  'model.widths': '(128,128,128)',
  'model.critic.widths': '(128,128,128)',
  'model.critic.activation': 'relu',
  'model.norm': 'none',
  'hyper.lr': '1e-3',
  'hyper.lr_critic': '1e-3',
  'optimizer.b1': '0.5',
  'steps': '20000',
}
DCGAN = {
  'model.channels': '(64,128,256,512)',
  'model.critic.channels': '(64,128,256,512)',
  'model.kernel': '5',
  'model.critic.kernel': '5',
  'model.critic.norm': 'batch',
  'model.latents': '100',
  'data.scale': 'symmetric',
  'hyper.lr': '2e-4',
  'hyper.lr_critic': '2e-4',
  'optimizer.ema': '0',
  'objective.generator_turns': '2',
  'steps': '100000',
  'eval.every': '0',
  'eval.modes.workdir': '{judge}',
}


def get_table(mode):
  seeds, packs = (1, (1, 2)) if mode == 'smoke' else (10, (1, 2, 3, 4))
  cells = [grid_cell(packing, seeds, mode) for packing in packs]
  values = {
    'modes_covered': 'modes',
    'good_samples': '% good samples',
    'mode_kl': 'reverse KL (nats)',
  }
  claims = (Claim('packing covers more modes of the grid', rises('modes_covered', packs)),)
  if mode == 'whole':
    cells.append(Cell('judge', 'configs/judge.py:mnist', fixed_seeds=True))
    cells += [stacked_cell(packing, seeds) for packing in packs]
  return Table(
    'PacGAN: modes that packing covers',
    'Lin et al. 2018 (arXiv:1712.04086), tables 1 and 2',
    DIFFERENCES + (smaller(cells[0]) if mode != 'whole' else ()),
    tuple(cells),
    values,
    claims,
    'short: 17 minutes of processor time; whole: about 9 hours on one H100, an estimate',
  )


DIFFERENCES = (
  'grid: critics of 200 ReLU units rather than of maxout units of 5 pieces',
  'grid: the generator ends in a sigmoid over [-6, 6] rather than linearly',
  'stacked MNIST: z is normal rather than uniform, and the generator draws anew for each turn',
  'stacked MNIST: triples of training images alone rather than of all 70,000',
  'stacked MNIST: the reverse KL is from the classes that the judge predicts on test images rather '
  'than from uniform ones',
)


def smaller(cell: Cell) -> tuple[str, ...]:
  """How a smaller size of the grid differs."""
  steps = (int(fields['steps']) for fields in (cell.fields, GRID_WHOLE))
  texts = '{:,} steps rather than {:,}'.format(*steps)
  return (f'grid: smaller nets, and a rate that is ten times as high; {texts}',)


def grid_cell(packing: int, seeds: int, mode: str) -> Cell:
  """The grid with packs of `packing` points."""
  modes, good, kl = (Published(*pair, MEMORY) for pair in GRID[packing])
  fields = GRID_WHOLE if mode == 'whole' else GRID_SHORT
  last = {'eval.every': '0', 'checkpoint.every': '1000000', 'optimizer.ema': '0'}
  fields = fields | last | {'model.latents': '2'}
  fields |= {'steps': '20'} if mode == 'smoke' else {}
  return Cell(
    f'grid-{packing}',
    f'configs/gan.py:gaussian_grid,packing={packing},batch_size={100 * packing}',
    fields,
    seeds=seeds,
    evals=('gaussians',),
    published={'': {'modes_covered': modes, 'good_samples': good, 'mode_kl': kl}},
  )


def stacked_cell(packing: int, seeds: int) -> Cell:
  """Stacked MNIST with packs of `packing` images."""
  modes, kl = (Published(*pair) for pair in STACKED[packing])
  return Cell(
    f'stacked-{packing}',
    f'configs/gan.py:stacked_mnist,packing={packing},batch_size={64 * packing},evals=modes',
    DCGAN,
    seeds=seeds,
    published={'': {'modes_covered': modes, 'mode_kl': kl}},
  )


def rises(value: str, packs: tuple[int, ...]):
  """Whether the mean over seeds of a value is larger with every packing than without."""

  def holds(results) -> bool:
    mean = lambda packing: (
      sum(results[f'grid-{packing}', ''][value]) / len(results[f'grid-{packing}', ''][value])
    )
    return all(mean(packing) > mean(1) for packing in packs[1:])

  return holds
