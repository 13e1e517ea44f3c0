"""Mode coverage on a stacked dataset. The judge of the base dataset classifies each channel."""

import jax.numpy as jnp
import numpy as np

from vaejax.data import stacked
from vaejax.data.classes import in_words
from vaejax.errors import UserError
from vaejax.eval_type import Eval
from vaejax.evaluation import judge_cache, judges
from vaejax.metrics.modes import coverage
from vaejax.types import Example, Method

MAX_MODES = 10**7
# workdir: of the judge of one channel; '' is the cached one. samples: how many are counted.
SETTINGS = {'workdir': '', 'samples': stacked.TEST}
RANGES = {'samples': (2, 2**31)}


def make(method: Method, config, example: Example) -> Eval:
  """`modes_covered` and `mode_kl` of `config.eval.modes.samples` samples, or as many as the split
  has rows. Fewer samples cover fewer modes, so a note says if there are fewer.

  A mode is a class in each channel: 1000 modes for ten classes. `modes_covered` is the number of
  modes with at least one sample. `mode_kl` is KL(samples || data) over modes in nats, where the
  data's proportions follow from the classes that the judge predicts on its test split (Metz et al.
  2017, section 3.3.1).

  Raises UserError for data that is not stacked, a method without samples, or a judge that is
  missing or does not fit.
  """
  base = stacked.base(config.data.name)
  if not base or method.sample is None:
    raise UserError(
      'the modes eval needs samples of a stacked dataset such as stacked_mnist, not '
      f'{config.data.name} by {config.method}'
    )
  single = config.data.copy_and_resolve_references()
  single.update({'name': base, 'channels': 0})
  judge = judges.find(config.eval.modes.workdir, single)
  if judge.name != judge_cache.dataset_name(single):
    raise UserError(
      f'the judge was trained on {judge.name}, but the modes eval needs one of {base}. Give its '
      'workdir by eval.modes.workdir=DIR'
    )
  classes, names = len(judge.shares), judge.example.class_names
  if classes**stacked.CHANNELS > MAX_MODES:
    raise UserError(
      f'{classes:,} classes in each of {stacked.CHANNELS} channels are more modes than the modes '
      f'eval counts, {MAX_MODES:,}. Use a base dataset with fewer classes'
    )
  if len(absent := np.flatnonzero(judge.shares <= 0)):
    listed = in_words([names[i] if names else str(i) for i in absent])
    raise UserError(
      f'the judge of {base} never predicts {len(absent)} of its {classes} classes on its test '
      f'split ({listed}), so the modes of the data are unknown. Train a better one'
    )
  if (*example.fields['image'].shape[:2], 1) != judge.example.fields['image'].shape:
    raise UserError(
      f'the judge of {judge.name} needs images of {judge.example.fields["image"].shape}, but each '
      f'channel here has {(*example.fields["image"].shape[:2], 1)}. Train a judge at that size'
    )
  samples = config.eval.modes.samples
  place_values = classes ** np.arange(stacked.CHANNELS)[::-1]

  def extract(variables, batch, key, hyper):
    image = example.to_unit(batch['image'])
    grey = jnp.moveaxis(image, -1, 0).reshape(-1, *image.shape[1:3], 1)
    grey = {'image': judge.example.to_data(grey)}
    logits = judge.method.predict['classify'](judge.variables, grey, key)['logits']
    predicted = jnp.argmax(logits, axis=-1).reshape(stacked.CHANNELS, -1)
    mode = place_values @ predicted
    return {}, {'mode': mode}

  def finish(sums, rows):
    mode, q = rows['samples']['mode'], judge.shares
    counts = np.bincount(mode, minlength=classes**stacked.CHANNELS)
    values = coverage(counts, np.einsum('a,b,c->abc', q, q, q).ravel())
    if len(mode) < samples:
      note = f'of {len(mode):,} samples, not {samples:,}'
      values = {name: e._replace(note=note) for name, e in values.items()}
    return values

  return Eval(
    {'samples': extract},
    finish,
    lambda: ['modes_covered', 'mode_kl'],
    {
      'judge': judge.name,
      'judge_accuracy': judge.accuracy,
      'judge_checksum': judge.checksum[:16],
      'modes': classes**stacked.CHANNELS,
    },
    samples,
  )
