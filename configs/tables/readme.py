"""The results of configs/README.md: one cell for each row.

  python launch.py reproduce --table=readme --data_dir=DIR
  python launch.py reproduce --table=readme --cells=vae,gan

Source: none, these are results of this project. Every finished cell writes its record to
configs/tables/results/readme/ and rewrites the table in configs/README.md. Rows that take less than
three minutes have 3 seeds. --short has only the rows of digits.
"""

from vaejax.config.table import Cell, Table

PAPER = 'the settings of the paper'
DEFAULT = 'none was chosen: the defaults of the config'
SOURCE = 'the settings of the source'
FIRST = 'the first settings that were tried'
LATENTS = 'the number of latents on the labels of 10,000 training images'
# Values and their headings. A heading that begins with % is for a proportion, shown in percent.
ELBO = {'elbo': 'nats ELBO', 'bits_per_dim': 'bits/dim'}
GREY = {'elbo': 'nats ELBO of grey levels'}
ACCURACY = {'accuracy': '% accuracy'}
SHARP = {'sharpness': 'sharpness'}
PIXELS = {'psnr': 'dB PSNR'}
FRECHET = {'frechet_mnist': 'Fréchet distance', 'classes_covered': 'classes'} | SHARP
STYLE = {
  'transfer_content': '% content recognised in transfers',
  'content_kept': '% of that in reconstructions',
  'transfer_style': '% style recognised',
}
ROLLOUT = {
  'elbo_per_frame': 'nats ELBO a frame',
  'psnr_rollout_01': 'dB PSNR one frame ahead',
  'psnr_rollout_10': 'dB ten ahead',
}
SAMPLES = 'image', 'judge', 'frechet'
PAIRS = 'elbo', 'fidelity', *SAMPLES
# The convolutional nets of gan.py and vaegan.py on MNIST, in a VAE.
CONVOLUTIONAL = {
  'data.binarise': 'none',
  'model.net': 'conv',
  'model.channels': '32,64',
  'model.kernel': '4',
  'model.widths': '()',
  'model.norm': 'batch',
  'model.latents': '32',
  'hyper.lr': '5e-4',
  'optimizer.ema': '0.999',
  'batch_size': '64',
  'steps': '5000',
}


def digits() -> tuple[Cell, ...]:
  """The rows of the dataset that needs no download."""
  return (
    Cell('vae', 'configs/vae.py', seeds=3, values=ELBO, chosen=DEFAULT),
    Cell('first_stage', 'configs/vae.py', fixed_seeds=True, hidden=True),
    Cell(
      'prior',
      'configs/prior.py:{first_stage},prior=mixture',
      seeds=3,
      values=ELBO,
      chosen='100 components, the first number that was tried; one first stage for all seeds',
    ),
    Cell('beta_vae', 'configs/beta_vae.py', seeds=3, values=ELBO, chosen=DEFAULT),
    Cell('judge', 'configs/judge.py', seeds=3, values=ACCURACY, chosen=DEFAULT),
    Cell(
      'cvae',
      'configs/cvae.py',
      seeds=3,
      values=ELBO,
      chosen='the number of steps on a fifth of the training split, with 4 seeds',
    ),
    Cell('m2', 'configs/m2.py', seeds=3, values=ACCURACY, chosen=LATENTS + ' of MNIST'),
    Cell('gan', 'configs/gan.py', seeds=3, evals=('image',), values=SHARP, chosen=FIRST),
    Cell(
      'vaegan',
      'configs/vaegan.py',
      seeds=3,
      evals=('image', 'fidelity'),
      values=PIXELS | SHARP,
      chosen=FIRST,
    ),
  )


def mnist() -> tuple[Cell, ...]:
  """The rows of MNIST, after the judges that evaluate some of them."""
  judge = {'fixed_seeds': True, 'chosen': DEFAULT}
  return (
    Cell('judge_mnist', 'configs/judge.py:mnist', seeds=3, values=ACCURACY, chosen=DEFAULT),
    Cell('judge_in_cache', 'configs/judge.py:mnist', hidden=True, **judge),
    Cell('vae_mnist', 'configs/vae.py:mnist', seeds=3, values=ELBO, chosen=DEFAULT),
    Cell(
      'priors',
      'configs/vae.py:mnist',
      {'steps': '6000', 'model.components': '100', 'eval.nll.samples': '500', 'eval.every': '0'},
      ('model.prior=standard,mixture,vampprior',),
      seeds=3,
      evals=('elbo', 'nll'),
      values={'nll': 'nats −log p(x)', 'elbo': 'nats ELBO'},
      chosen='100 components, the first number that was tried',
    ),
    Cell('beta_vae_shapes', 'configs/beta_vae.py:shapes,steps=2000', values=ELBO, chosen=DEFAULT),
    Cell(
      'iwae_mnist',
      'configs/iwae.py:mnist,samples=1',
      evals=('elbo', 'nll'),
      fields={'eval.nll.samples': '5000'},
      values={'nll': 'nats −log p(x)', 'elbo': 'nats ELBO'},
      chosen=PAPER,
    ),
    Cell(
      'cvae_mnist',
      'configs/cvae.py:mnist',
      seeds=3,
      evals=('elbo', 'judge'),
      values={
        'label_agreement': '% label agreement',
        'label_agreement_least': '% of the worst class',
        'elbo': 'nats ELBO of x given its label',
      },
      chosen=DEFAULT,
    ),
    Cell('m2_mnist', 'configs/m2.py:mnist', seeds=3, values=ACCURACY, chosen=LATENTS),
    Cell(
      'm2_mnist_1000', 'configs/m2.py:mnist,labels=1000', seeds=3, values=ACCURACY, chosen=LATENTS
    ),
    Cell(
      'conv_mnist',
      'configs/vae.py:mnist',
      CONVOLUTIONAL,
      seeds=3,
      evals=PAIRS,
      values=FRECHET | PIXELS,
      chosen='those of gan.py and vaegan.py',
    ),
    Cell('gan_mnist', 'configs/gan.py:mnist', seeds=3, evals=SAMPLES, values=FRECHET, chosen=FIRST),
    Cell(
      'vaegan_mnist', 'configs/vaegan.py:mnist', evals=PAIRS, values=FRECHET | PIXELS, chosen=FIRST
    ),
    Cell('rvae', 'configs/rvae.py', evals=('elbo', 'video'), values=ROLLOUT, chosen=FIRST),
    Cell('judge_content', 'configs/judge.py:mnist,content', hidden=True, **judge),
    Cell('judge_style', 'configs/judge.py:mnist,style', hidden=True, **judge),
    Cell('style_mnist', 'configs/style.py:mnist', evals=('style',), values=STYLE, chosen=FIRST),
  )


def sources() -> tuple[Cell, ...]:
  """The systems of the sources, most with fewer epochs."""
  return (
    Cell('source_conv28', 'configs/source.py:conv28,epochs=2', values=GREY, chosen=SOURCE),
    Cell(
      'source_shared_mlp',
      'configs/source.py:shared_mlp,epochs=10',
      seeds=3,
      evals=('elbo', 'probe'),
      values=ACCURACY | {'probe_accuracy': '% accuracy of a linear probe'},
      chosen=SOURCE,
    ),
    Cell(
      'source_mlp',
      'configs/source.py:mlp',
      evals=PAIRS,
      values=GREY | FRECHET | PIXELS,
      chosen=SOURCE,
    ),
    Cell(
      'source_gan',
      'configs/source.py:gan,epochs=12',
      seeds=3,
      evals=SAMPLES,
      values=FRECHET,
      chosen=SOURCE,
    ),
    Cell(
      'source_rvae',
      'configs/source.py:rvae,epochs=1',
      evals=('elbo', 'video'),
      values=ROLLOUT,
      chosen=SOURCE,
    ),
    Cell(
      'source_style',
      'configs/source.py:style,epochs=2',
      evals=('style',),
      values=STYLE,
      chosen=SOURCE,
    ),
  )


def get_table(mode):
  cells = digits() if mode != 'whole' else digits() + mnist() + sources()
  if mode == 'smoke':
    smoke = lambda text: f'{text}{"," if ":" in text else ":"}smoke'
    cells = tuple(cell._replace(config=smoke(cell.config)) for cell in cells[:4])
  return Table(
    title='Results of the configs',
    source='this project',
    differences=('Nothing was chosen on the test split.',),
    cells=cells,
    values={'elbo': 'ELBO (nats)', 'accuracy': 'accuracy'},
    committed='configs/tables/results/readme',
    page='configs/README.md',
  )
