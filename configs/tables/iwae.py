"""IWAE (Burda et al. 2016, arXiv:1509.00519), table 1: -log p(x) of dynamically binarised MNIST, in
nats, of VAEs and IWAEs of one and two stochastic layers, by 5000 importance samples.

  python launch.py reproduce --table=iwae --short --workdir=runs/iwae --data_dir=DIR

Sources: the paper's table, and the re-run of nbip/IWAE (README at commit 0216b45). The conditional
rows are of nbip/IWAE alone, whose task04.py conditions the encoder, the decoder and the prior on
the label, with 100 latents.

Protocol (yburda/iwae at commits 8e601aa and ae2ed90): see configs/iwae.py, word `paper`. What still
differs is in `differences`.

Cost: `short` is the first 20 of 3280 epochs of three cells, about 25 minutes of processor time.
Whole: 9.8 million steps a cell, with three seeds as members. On one H200, estimated on paper: at
K = 1 and 5 a step takes 100 to 150 microseconds, bound by launches, and a cell 16 to 25 minutes. At
K = 50, with 3000 rows and 4 GFLOP, a step takes 200 to 300 microseconds and a cell 35 to 50
minutes. All 13 cells take about 7 hours. The nll of a run is 21 TFLOP of products, which takes
seconds.
"""

from vaejax.config.table import Cell, Claim, Published, Table

EPOCH = 2980  # steps
PAPER, RERUN = 'arXiv:1509.00519, table 1', 'nbip/IWAE, README'

# {cell: (words of the config, the paper's value or None, that of the re-run)}.
CELLS = {
  'vae-1': ('samples=1', 86.76, 86.35),
  'vae-5': ('vae,samples=5', 86.47, 86.10),
  'vae-50': ('vae,samples=50', 86.35, 86.06),
  'iwae-5': ('samples=5', 85.54, 85.18),
  'iwae-50': ('samples=50', 84.78, 84.59),
  'vae-1-two': ('two,samples=1', 85.33, 84.83),
  'vae-5-two': ('two,vae,samples=5', 85.01, 84.08),
  'vae-50-two': ('two,vae,samples=50', 84.78, 83.89),
  'iwae-5-two': ('two,samples=5', 83.89, 83.48),
  'iwae-50-two': ('two,samples=50', 82.90, 82.82),
  'by-class-1': ('conditional,latents=100,samples=1', None, 82.32),
  'by-class-5': ('conditional,latents=100,samples=5', None, 81.41),
  'by-class-50': ('conditional,latents=100,samples=50', None, 80.78),
}
SHORT = {'vae-1': 3, 'iwae-5': 3, 'iwae-50': 1}  # {cell: seeds}
EPOCHS = 20  # of the short table

DIFFERENCES = (
  'rows are visited in a new random order in each epoch; the code visits them in one order',
  'the 400 training images that are held out are 40 of each class; the code holds out the last 400',
  'rates are 1e-3 * 10^(-i/7) as in the paper; the code rounds them to two digits',
  "the second moment of Adam begins at 0, and its epsilon is corrected for bias; the code's begins "
  'at 1, of which 2e-9 are left after 20,000 of 9.8 million steps',
  'the mean and the scale of q are two halves of one layer, with a Glorot kernel of both; the code '
  'has two layers, and draws all its kernels with one seed',
  'a log scale is half the output of its layer; the code has its exponential',
  'the test set is binarised once; the code draws it anew for each evaluation',
  'the label has its own weights in the first layer after the features and after z; the re-run '
  'concatenates a one-hot label, and trains with Adam of b1 = 0.9 on 60,000 rows',
)


def get_table(mode: str) -> Table:
  """The table in a mode of config.table.MODES."""
  names = {'whole': CELLS, 'short': SHORT, 'smoke': ('vae-1', 'iwae-5', 'iwae-5-two', 'by-class-1')}
  differences, length = DIFFERENCES, ''
  if mode == 'short':
    length = f', the first {EPOCHS} of 3280 epochs'
    differences = (
      f'{EPOCHS} of 3280 epochs; nll on the first 1000 test images',
      *DIFFERENCES,
    )
  return Table(
    title=f'IWAE, MNIST, -log p(x) in nats{length}',
    source=f'{PAPER}; {RERUN}',
    differences=differences,
    cells=tuple(cell(name, mode) for name in names[mode]),
    values={'nll': '-log p(x)'},
    claims=() if mode == 'smoke' else claims(names[mode]),
    cost='short: about 25 minutes of processor time; whole: about 7 hours of an H200, estimated on '
    'paper',
  )


def cell(name: str, mode: str) -> Cell:
  seeds = SHORT[name] if mode == 'short' else 3
  words, paper, rerun = CELLS[name]
  if mode == 'smoke':
    config, fields, seeds = f'configs/iwae.py:digits,paper,smoke,{words}', {}, 2
    fields = {'samples': '2', 'eval.nll.samples': '50'}
    if 'latents' in words:
      fields['latents'] = '4'
  else:
    config = f'configs/iwae.py:mnist,paper,{words}'
    fields = {'checkpoint.every': str(5 * EPOCH), 'eval.log_every': str(EPOCH)}
  if mode == 'short':
    steps = str(EPOCHS * EPOCH)
    fields |= {'steps': steps, 'eval.every': steps, 'eval.nll.images': '1000'}
  if paper:
    published = Published(paper, source=f'{PAPER}; {RERUN}: {rerun}')
  else:
    published = Published(rerun, source=RERUN)
  return Cell(
    name=name,
    config=config,
    fields=fields,
    seeds=seeds,
    evals=('nll',),
    published={'': {'nll': published}},
  )


def claims(names) -> tuple[Claim, ...]:
  """IWAE-5 is below the VAE, for each number of layers that the table has."""

  def below(layers):
    def holds(results):
      mean = lambda name: sum(values := results[name, '']['nll']) / len(values)
      return mean(f'iwae-5{layers}') < mean(f'vae-1{layers}')

    return holds

  return tuple(
    Claim(f'IWAE-5 is below the VAE{of}', below(layers))
    for layers, of in (('', ''), ('-two', ', two layers'))
    if f'iwae-5{layers}' in names
  )
