"""How many modes of a stacked set samples find, each channel read by the judge of its base."""

import jax.numpy as jnp
import numpy as np

from vaejax.data import stacked
from vaejax.errors import UserError
from vaejax.evaluation import judges
from vaejax.types import Eval, Example, Method

SETTINGS = {'workdir': ''}  # of the judge of one channel, '': the cached one


def make(method: Method, config, example: Example) -> Eval:
  """As many samples as the split has rows: `modes_covered`, in how many modes, of 1000 for ten
  classes, there is one at least; `mode_kl`, KL(samples || data) in nats over modes, the shares of
  the data's being those of the classes that the judge finds in its test split (Metz et al. 2017,
  section 3.3.1).

  Raises UserError for data that are not stacked, a method without samples, or a missing judge.
  """
  base = stacked.base(config.data.name)
  if not base or method.sample is None:
    raise UserError(f'modes: it takes samples of a set as stacked_mnist, not {config.data.name}')
  single = config.data.copy_and_resolve_references()
  single.update({'name': base, 'channels': 0})
  judge = judges.find(config.eval.modes.workdir, single)
  if judge.name != judges.dataset_name(single):
    raise UserError(f'the judge is of {judge.name}: name one of {base} by eval.modes.workdir=DIR')
  if not (judge.shares > 0).all():
    raise UserError(f'the judge of {base} never finds some of its classes: train a better one')
  sees, classes = judge.example, len(judge.shares)
  places = classes ** np.arange(stacked.CHANNELS)[::-1]

  if (*example.fields['image'].shape[:2], 1) != sees.fields['image'].shape:
    raise UserError(f'the judge of {judge.name} takes images of {sees.fields["image"].shape}')

  def look(variables, batch, key, hyper):
    image = example.to_unit(batch['image'])
    grey = jnp.moveaxis(image, -1, 0).reshape(-1, *image.shape[1:3], 1)
    said = judge.method.predict['classify'](judge.variables, {'image': sees.to_data(grey)}, key)[
      'logits'
    ]
    found = jnp.argmax(said, axis=-1).reshape(stacked.CHANNELS, -1)
    return jnp.zeros(classes**stacked.CHANNELS).at[places @ found].add(batch['mask']), {}

  def finish(sums, rows):
    counts = np.asarray(sums['samples'], np.float64)
    share, data = counts / counts.sum(), judge.shares
    data = np.einsum('a,b,c->abc', data, data, data).ravel()
    there = share > 0
    divergence = np.sum(share[there] * np.log(share[there] / data[there]))
    return {'modes_covered': (float(there.sum()), None), 'mode_kl': (float(divergence), None)}

  return Eval(
    {'samples': look},
    finish,
    lambda: ['modes_covered', 'mode_kl'],
    {
      'judge': judge.name,
      'judge_accuracy': judge.accuracy,
      'judge_checksum': judge.checksum[:16],
      'modes': classes**stacked.CHANNELS,
    },
  )
