"""What one does with a trained model: the scores of all tasks on held-out data, and the gallery.

  python launch.py reproduce --table=tasks --data_dir=DIR
  python launch.py reproduce --table=tasks --cells=inpaint_mnist,stylise --data_dir=DIR

DIR has mnist, and emoji (see vaejax/data/sets/emoji.py). Source: none, these are results of this
project. Every finished cell writes its record to configs/tables/results/tasks/ and its pictures to
.github/assets/tasks/, and rewrites the table in configs/README.md.
"""

from vaejax.config.table import Cell, Table, Use

FIRST = 'the first settings that were tried'
DEFAULT = 'none was chosen: the defaults of the config'
VALIDATION = 'on the validation split'
PLAIN = 'skin_tone=0'
CONVOLUTIONAL = {'model.net': 'conv', 'model.channels': '32,64,128', 'model.kernel': '4'}
EMOJI = CONVOLUTIONAL | {
  'model.norm': 'none',
  'data.size': '32',
  'steps': '7500',
  'batch_size': '64',
  'schedule.lr': 'cosine',
}
# An MNIST VAE of grey levels, with the nets of gan.py.
GREY = {
  'data.binarise': 'none',
  'model.net': 'conv',
  'model.channels': '32,64',
  'model.kernel': '4',
  'model.widths': '()',
  'model.latents': '32',
  'steps': '5000',
}


def against(name: str, metrics: dict[str, str], *baselines: str) -> dict[str, str]:
  """{value: heading} of metrics of a task, each followed by those of its baselines."""
  values = {}
  for metric, heading in metrics.items():
    values[f'{name}.{metric}'] = heading
    values |= {f'{name}.{metric}.{b}': f'{heading} of {b.replace("_", " ")}' for b in baselines}
  return values


PSNR = {'psnr': 'dB PSNR'}
SIMILAR = PSNR | {'lpips_alex': 'LPIPS'}


def get_table(mode):
  return Table(
    title='Tasks of trained models',
    source='this project',
    differences=('Nothing was chosen on the test split.',),
    cells=(),
    values=PSNR,
    committed='configs/tables/results/tasks',
    pictures='.github/assets/tasks',
    page='configs/README.md',
  )
