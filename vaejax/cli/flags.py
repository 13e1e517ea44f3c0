"""The flags of every verb."""

import argparse
from functools import partial
from pathlib import Path

from vaejax.cli.export_flags import add_explore_flags, add_export_flags
from vaejax.cli.flag_types import (
  count,
  dataset,
  folder,
  index,
  integer,
  names,
  nonnegative,
  path,
  seed,
)
from vaejax.cli.task_flags import add_task_flags
from vaejax.cli.training_flags import add_process_flags, add_sweep_flags, add_training_flags
from vaejax.config.load import available_configs
from vaejax.errors import UserError
from vaejax.lookup import files, task_names

EXAMPLES = """
examples:
  python launch.py
  python launch.py train --config=configs/vae.py:mnist --workdir=runs/m --data_dir=DIR
  python launch.py train --config=configs/beta_vae.py:shapes --workdir=runs/s --config.hyper.beta=4
  python launch.py sweep --config=configs/beta_vae.py:digits --grid seed=0:8 --grid beta=1,4,16
  python launch.py show --config=configs/vae.py:mnist --data_dir=DIR
  python launch.py sample --workdir=runs/m --n=64 --out=samples.png
  python launch.py sample --workdir=runs/rvae --n=8 --given=5 --futures=3 --out=futures.gif
  python launch.py evaluate --workdir=runs/m --evals=elbo,nll
  python launch.py encode --workdir=runs/m --split=test --out=latents.npz
  python launch.py reconstruct --workdir=runs/m --n=64 --out=reconstructions.png
  python launch.py score --workdir=runs/m --inputs=FOLDER --out=scores.csv
  python launch.py export --workdir=runs/m --to=stablehlo,onnx,npz --out=exported
  python launch.py explore --workdir=runs/m --open
  python launch.py prepare cifar100 --data_dir=DIR
  python launch.py report runs/m runs/sweep --out=report.html
  python launch.py reproduce --table=iwae --short --data_dir=DIR
  python launch.py submit --nodes=2 --gpus=8 -- sweep --config=configs/gan.py --grid seed=0:8
"""


class Parser(argparse.ArgumentParser):
  """argparse, but a mistake raises UserError instead of printing the usage and exiting."""

  def error(self, message):
    raise UserError(f'{message}. See python {self.prog} --help')


def make_parser(verb: str = '') -> tuple[Parser, dict[str, Parser]]:
  """Returns the parser of the command line, and those of its verbs by name. Only for the `verb` of
  the line, the settings of a task are added: for them its module is imported."""
  top = Parser(
    prog='launch.py',
    description='Train, sample and evaluate latent-variable and adversarial image models.',
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  adder = top.add_subparsers(dest='verb', title='verbs', metavar='VERB', required=True)

  def add_verb(name: str, about: str, *parts) -> None:
    verb = adder.add_parser(name, help=about, description=about, allow_abbrev=False)
    for add_flags in parts:
      add_flags(verb)

  latents = partial(add_split_flags, out='latents.npz', rows='all')
  reconstructions = {'out': 'reconstructions.png', 'rows': '64 images, or 8 videos'}
  training = add_common_flags, add_config_flags, add_training_flags, add_process_flags
  trained = add_common_flags, add_checkpoint_flags
  add_verb('train', 'Train the run of a config, or resume it.', *training)
  add_verb('sweep', 'Train many runs of a config as one program.', *training, add_sweep_flags)
  about = 'Print the fields, players and nets of a config, without training.'
  add_verb('show', about, add_common_flags, add_config_flags)
  add_verb('sample', 'Write samples of a trained run.', *trained, add_sample_flags)
  add_verb('evaluate', 'Compute test values of a trained run.', *trained, add_evaluate_flags)
  add_verb('encode', 'Write the latents of a split.', *trained, latents)
  about = 'Write a picture of images above their reconstructions.'
  add_verb('reconstruct', about, *trained, partial(add_split_flags, **reconstructions))
  add_verb('score', 'Write anomaly scores of pictures.', *trained, add_score_flags)
  about = 'Write functions of a trained run in formats for other programs.'
  add_verb('export', about, *trained, add_export_flags)
  about = 'Serve a page on this machine that moves the latents of a run, until Ctrl-C.'
  add_verb('explore', about, *trained, add_explore_flags)
  for name, about in files('tasks').items():
    add_verb(name, about, *trained, partial(add_task_flags, name=name, settings=name == verb))
  about = 'Prepare a dataset by name, or list those that can be and those that are there.'
  add_verb('prepare', about, add_prepare_flags)
  about = 'Write a page that compares runs and sweeps.'
  add_verb('report', about, add_report_flags)
  about = 'Reproduce a published table, and compare the values.'
  add_verb('reproduce', about, add_reproduce_flags)
  about = 'Submit commands, each after a --, as cluster jobs that resume when interrupted.'
  add_verb('submit', about, add_submit_flags)
  verbs = {name: verb for name, verb in adder.choices.items() if name not in task_names()}
  usages = ''.join(verb.format_usage() for verb in verbs.values())
  tasks = f'tasks, with --help for their flags: {", ".join(task_names())}'
  configs = ', '.join(available_configs())
  top.epilog = f'{usages}\n{tasks}\n\nconfigs: {configs}\n{EXAMPLES}'
  return top, adder.choices


def add_common_flags(verb: Parser) -> None:
  """Adds the flags of all verbs but submit."""
  add = verb.add_argument
  add('--workdir', metavar='DIR', type=path, help='folder of the run')
  about = 'the dataset: a name, or the path of your own data; also where it is now, if it has moved'
  add('--data', metavar='PATH', type=dataset, help=about)
  add('--data_dir', metavar='DIR', type=folder, help='folder of prepared TFDS datasets')
  add('--traceback', action='store_true', help='print the traceback of an error')


def add_prepare_flags(verb: Parser) -> None:
  """Adds the words and flags of prepare."""
  about = 'for example cifar100; without it, a list'
  verb.add_argument('name', metavar='NAME', nargs='?', help=about)
  about = 'folder of prepared TFDS datasets, which is made if it is missing'
  verb.add_argument('--data_dir', metavar='DIR', type=path, help=about)
  verb.add_argument('--traceback', action='store_true', help='print the traceback of an error')


def add_report_flags(verb: Parser) -> None:
  """Adds the words and flags of `report`."""
  about = 'workdirs of runs, sweeps, or members such as runs/s/members/3'
  verb.add_argument('runs', metavar='RUN', type=path, nargs='+', help=about)
  out = {'metavar': 'FILE.html', 'type': path, 'default': Path('report.html')}
  verb.add_argument('--out', help='output (report.html)', **out)
  verb.add_argument('--traceback', action='store_true', help='print the traceback of an error')


def add_reproduce_flags(verb: Parser) -> None:
  """Adds the flags of `reproduce`."""
  add = verb.add_argument
  about = 'name of a table in configs/tables, or the path of your own'
  add('--table', metavar='NAME', help=about)
  size = verb.add_mutually_exclusive_group()
  size.add_argument(
    '--short', action='store_true', help='smaller: an hour at most on two CPU cores'
  )
  size.add_argument('--smoke', action='store_true', help='tiny: a trial that takes seconds')
  about = 'number of seeds of each cell (as in the table)'
  add('--seeds', metavar='N', type=count, default=0, help=about)
  about = 'train only these cells, and the cells that they use (all)'
  add('--cells', metavar='NAMES', type=names, default=(), help=about)
  about = 'folder of the runs and results (runs/tables/NAME, NAME-short or NAME-smoke)'
  add('--workdir', metavar='DIR', type=path, help=about)
  add('--data_dir', metavar='DIR', type=folder, help='folder of prepared TFDS datasets')
  add('--traceback', action='store_true', help='print the traceback of an error')


def add_config_flags(verb: Parser) -> None:
  """Adds the flags that choose a config."""
  about = 'for example configs/vae.py:mnist (configs/vae.py); WORDS: dataset,smoke,key=value'
  verb.add_argument('--config', metavar='FILE[:WORDS]', help=about)
  about = 'any field of the config, for example --config.hyper.beta=4; the verb show prints them'
  verb.add_argument('--config.FIELD=VALUE', action='store_true', help=about)


def add_checkpoint_flags(verb: Parser) -> None:
  """Adds the flags that choose the weights of a trained run."""
  add = verb.add_argument
  add('--member', metavar='K', type=index, help='number of a sweep member, see members.csv')
  add('--checkpoint', metavar='WHICH', default='latest', help='latest, best or a step (latest)')
  about = 'the average if there is one, or raw (ema)'
  add('--weights', choices=('ema', 'raw'), default='ema', help=about)


def add_sample_flags(verb: Parser) -> None:
  """Adds the flags of `sample`."""
  add = verb.add_argument
  add('--n', metavar='N', type=count, help='number of samples (64 images, or 16 videos)')
  add('--seed', metavar='S', type=seed, default=0, help='seed of the random draws (0)')
  about = "scale of the prior's standard deviation (1)"
  add('--temperature', metavar='T', type=nonnegative, default=1.0, help=about)
  add('--draw', action='store_true', help='draw from p(x|z) instead of its mean')
  about = 'class to sample, for a conditional run: its name, or number'
  add('--label', metavar='CLASS', help=about)
  about = 'continue test videos from their first K frames'
  add('--given', metavar='K', type=count, default=0, help=about)
  add('--futures', metavar='N', type=count, default=0, help='continuations of each video (1)')
  add('--rollout', action='store_true', help='continue with means of the prior, not draws')
  about = 'output: .png, .npy or, for videos, .gif (WORKDIR/samples.png)'
  add('--out', metavar='FILE', type=path, help=about)


def add_evaluate_flags(verb: Parser) -> None:
  """Adds the flags of `evaluate`."""
  add = verb.add_argument
  about = 'for example elbo,nll; see vaejax/evals (the evals of the config)'
  add('--evals', metavar='NAMES', type=names, default=(), help=about)
  add('--split', default='test', help="a split, or a slice such as 'test[:10%%]' (test)")
  add('--seed', metavar='S', type=seed, default=0, help='seed of the random draws (0)')
  about = "a setting of an eval, for example --config.eval.nll.samples=50; see the eval's file"
  add('--config.eval.NAME.FIELD=VALUE', action='store_true', help=about)


def add_split_flags(verb: Parser, out: str, rows: str) -> None:
  """Adds the flags of `encode` and `reconstruct`, with their defaults in the help."""
  add = verb.add_argument
  add('--split', default='test', help="a split, or a slice such as 'test[:10%%]' (test)")
  add('--n', metavar='N', type=count, help=f'number of rows, from the first on ({rows})')
  add('--out', metavar=f'FILE{Path(out).suffix}', type=path, help=f'output (WORKDIR/{out})')


def add_score_flags(verb: Parser) -> None:
  """Adds the flags of `score`."""
  add = verb.add_argument
  about = 'other data, for example a folder of pictures (the data of the run)'
  add('--inputs', metavar='PATH', type=dataset, help=about)
  add('--split', help='a split, or a slice (test, or all rows of --inputs)')
  about = 'folder of a background model, for the likelihood ratio'
  add('--background', metavar='DIR', type=path, help=about)
  add('--skip_damaged', action='store_true', help='go on without the damaged files of --inputs')
  add('--draws', metavar='N', type=count, default=16, help='draws of the latents (16)')
  add('--samples', metavar='N', type=count, default=128, help='importance samples (128)')
  add('--out', metavar='FILE.csv', type=path, help='output (WORKDIR/scores.csv)')


def add_submit_flags(verb: Parser) -> None:
  """Adds the flags of `submit`."""
  add = verb.add_argument
  add('--cluster', choices=('slurm', 'local'), default='slurm', help='where jobs run (slurm)')
  add('--nodes', metavar='N', type=integer(1, 10**4), default=1, help='nodes of a job (1)')
  add('--gpus', metavar='N', type=integer(0, 64), default=0, help='GPUs of a node (0)')
  about = "CPU cores of a node (the cluster's choice)"
  add('--cpus', metavar='N', type=integer(0, 1024), default=0, help=about)
  about = 'time after which a job saves and is requeued (slurm: 60, local: never)'
  add('--minutes', metavar='N', type=count, help=about)
  add('--partition', metavar='NAME', help="partition of the cluster (the cluster's choice)")
  add('--name', default='vaejax', help='name of a job (vaejax)')
  add('--folder', metavar='DIR', type=path, default=Path('runs/jobs'), help='for logs (runs/jobs)')
