"""What one does with a trained model: the scores of all tasks on held-out data, and the gallery.

  python launch.py reproduce --table=tasks --data_dir=DIR
  python launch.py reproduce --table=tasks --cells=inpaint_mnist,stylise --data_dir=DIR

DIR has mnist, and emoji (see vaejax/data/sets/emoji.py). Source: none, these are results of this
project. Every finished cell writes its record to configs/tables/results/tasks/ and its pictures to
.github/assets/tasks/, and rewrites the table in configs/README.md.
"""

from vaejax.config.table import Cell, Table, Use

DEFAULT = 'none was chosen: the defaults of the config'
FIRST = 'the first settings that were tried'
VALIDATION = 'steps and nets on the validation split'
PLAIN = '--where=skin_tone=0'
# A VAE of emoji, and one of MNIST in grey levels.
EMOJI = {
  'model.net': 'conv',
  'model.channels': '32,64,128',
  'model.kernel': '4',
  'model.norm': 'none',
  'data.size': '32',
  'steps': '7500',
  'batch_size': '64',
  'schedule.lr': 'cosine',
}
GREY = {
  'data.binarise': 'none',
  'model.net': 'conv',
  'model.channels': '32,64',
  'model.kernel': '4',
  'model.widths': '()',
  'model.latents': '32',
  'steps': '5000',
}
PSNR = {'psnr': 'dB PSNR'}
SIMILAR = PSNR | {'lpips_vgg': 'LPIPS of VGG16', 'lpips_alex': 'of AlexNet'}


def against(name: str, metrics: dict[str, str], *baselines: str) -> dict[str, str]:
  """{value: heading} of metrics of a use, each followed by those of its baselines."""
  values = {}
  for metric, heading in metrics.items():
    values[f'{name}.{metric}'] = heading
    unit = '% ' * heading.startswith('%')
    values |= {f'{name}.{metric}.{b}': f'{unit}({b})' for b in baselines}
  return values


def digits() -> tuple[Cell, ...]:
  """The uses of MNIST."""
  best = {'best_of_8_psnr': 'best of 8'}
  return (
    Cell('judge', 'configs/judge.py:mnist', fixed_seeds=True, hidden=True),
    Cell(
      'vae',
      'configs/vae.py:mnist',
      GREY,
      chosen=FIRST,
      tasks={
        'interpolate': Use('interpolate --n=256', 'From one digit to another, through latents.'),
        'complete': Use('inpaint --n=256', 'Right halves by any VAE: latents given the left half.'),
        'manifold': Use(
          'poster --split=test --n=4 --columns=16 --pixels=960',
          'The plane of latents through four test pictures, in the corners.',
        ),
        'morph': Use('morph --split=test --n=10', 'From one test picture to the next.', '.gif'),
      },
      values=against('interpolate', {'agreement': 'agreement of the judge'}, 'pixels')
      | against('complete', PSNR | {'agreement': 'agreement'}, 'nearest training row', 'mirror'),
    ),
    Cell(
      'halves',
      'configs/inpaint.py:mnist',
      chosen=VALIDATION,
      tasks={'halves': Use('inpaint --n=1000', 'Right halves by a conditional VAE.')},
      values=against(
        'halves', PSNR | best | {'agreement': 'agreement'}, 'nearest training row', 'mirror'
      ),
    ),
    Cell(
      'small',
      'configs/superres.py:mnist',
      chosen=DEFAULT,
      tasks={'small': Use('superres --n=1000', 'From 7 to 28 pixels.')},
      values=against('small', SIMILAR, 'bicubic'),
    ),
    Cell(
      'noise',
      'configs/denoise.py:mnist',
      chosen=DEFAULT,
      tasks={'noise': Use('denoise --n=1000', 'Noise removed.')},
      values=against('noise', SIMILAR, 'noisy', 'total variation'),
    ),
    Cell(
      'by_class',
      'configs/cvae.py:mnist',
      chosen=DEFAULT,
      tasks={'by_class': Use('classify', "Bayes' rule: how often it is right, by its confidence.")},
      values=against(
        'by_class', {'accuracy': '% right', 'ece': 'calibration error'}, 'logistic regression'
      ),
    ),
    Cell('content', 'configs/judge.py:mnist,content', fixed_seeds=True, hidden=True),
    Cell('style_of', 'configs/judge.py:mnist,style', fixed_seeds=True, hidden=True),
    Cell(
      'styles',
      'configs/style.py:mnist',
      chosen=FIRST,
      tasks={
        'styles': Use('stylise', 'Contents of the first column in the styles of the first row.')
      },
      values=against('styles', SIMILAR, 'copy of the content', 'colour statistics'),
    ),
    Cell(
      'slant',
      'configs/unit.py:mnist,source=style:slanted',
      chosen=DEFAULT,
      tasks={'slant': Use('translate --n=1000', 'Plain digits slanted, learned without pairs.')},
      values=against('slant', SIMILAR, 'copy'),
    ),
  )


def shapes() -> tuple[Cell, ...]:
  """The uses of shapes."""
  fields = {
    'data.size': '32',
    'model.net': 'mlp',
    'model.widths': '500,500',
    'model.latents': '6',
    'batch_size': '256',
    'hyper.lr': '1e-3',
    'schedule.lr': 'cosine',
    'steps': '10000',
  }
  caption = 'Each latent from -3 to 3, and the factors that it tells.'
  use = {'latents': Use('traverse --latents=6', caption)}
  return (Cell('latents', 'configs/beta_vae.py:shapes,tcvae', fields, chosen=FIRST, tasks=use),)


def emoji() -> tuple[Cell, ...]:
  """The uses of emoji."""
  tones = 'edit --factor=skin_tone --remove=0 --add=1,2,3,4,5'
  best = {'best_of_8_psnr': 'best of 8', 'asymmetric_psnr': 'asymmetric ones'}
  domains = SIMILAR | {'probe': "% taken for Twitter's"}
  return (
    Cell(
      'tones',
      'configs/vae.py:emoji',
      EMOJI,
      chosen=VALIDATION,
      tasks={'tones': Use(tones, 'Skin tones added, and the true variants.')},
      values=against('tones', SIMILAR, 'copy'),
    ),
    Cell(
      'emoji_halves',
      'configs/inpaint.py:emoji',
      chosen=VALIDATION,
      tasks={'emoji_halves': Use('inpaint --n=358', 'Right halves of emoji.')},
      values=against('emoji_halves', PSNR | best, 'mirror', 'nearest training row'),
    ),
    Cell(
      'large',
      'configs/superres.py:emoji,lpips',
      chosen=VALIDATION,
      tasks={'large': Use('superres --n=344', 'From 16 to 64 pixels.')},
      values=against('large', SIMILAR, 'bicubic'),
    ),
    Cell(
      'designer',
      'configs/translate.py:emoji,lpips',
      chosen=VALIDATION,
      tasks={
        'designer': Use(f'translate --flips {PLAIN}', "Google's emoji as Twitter's, from pairs.")
      },
      values=against('designer', domains, 'copy', 'nearest neighbour'),
    ),
    Cell(
      'unpaired',
      'configs/unit.py:emoji',
      chosen=VALIDATION,
      tasks={'unpaired': Use(f'translate {PLAIN}', 'The same, learned without pairs.')},
      values=against('unpaired', domains, 'copy', 'nearest neighbour'),
    ),
    Cell(
      'colours',
      'configs/colourise.py:emoji',
      chosen=DEFAULT,
      tasks={'colours': Use('colourise --n=344', 'Grey emoji in colour, in several versions.')},
      values=against('colours', SIMILAR, 'grey', 'mean colour'),
    ),
  )


def get_table(mode):
  cells = digits() + shapes() + emoji()
  if mode == 'smoke':
    small = 'configs/vae.py:digits,smoke', {}
    uses = {'halves': Use('inpaint --n=8 --versions=2'), 'interpolate': Use('interpolate --n=4')}
    cells = (Cell('vae', *small, tasks=uses, values=against('halves', PSNR, 'mirror')),)
  if mode == 'short':
    cells = tuple(cell for cell in cells if cell.name in ('judge', 'halves', 'large'))
  return Table(
    title='Uses of trained models',
    source='this project',
    differences=(
      'Nothing was chosen on the test split.',
      'Emoji by Google (Noto, Apache-2.0) and Twitter (Twemoji, CC BY 4.0); MNIST, CC BY-SA 3.0.',
      '`large`, `designer`, `emoji_halves` and `unpaired` were trained before the table was made. '
      'Their costs leave out these 36, 39, 7 and 38 minutes of wall time on a shared core.',
    ),
    cells=cells,
    values={'psnr': 'PSNR (dB)'},
    cost='estimated: 3 h of processor time on CPUs',
    committed='configs/tables/results/tasks',
    pictures='.github/assets/tasks',
    page='configs/README.md',
  )
