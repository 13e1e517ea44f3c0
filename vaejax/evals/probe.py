"""A linear probe: how well the classes can be read off the latents, which are left as they are."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.errors import UserError
from vaejax.evals.means import mean
from vaejax.types import Eval, Example, Method


def make(method: Method, config, example: Example) -> Eval:
  """`probe_accuracy`: of a logistic regression from posterior means to labels, which scikit-learn
  fits to the training split, its images prepared as those of the test split are. Rows without a
  label are left out of both; `probe_unlabelled` tells how many of the tested split were.

  Raises UserError for a method without latents, or whose latents are found with the label; for data
  without labels; and where there is no scikit-learn.
  """
  try:
    from sklearn.linear_model import LogisticRegression
  except ImportError:
    raise UserError("probe needs scikit-learn: pip install '.[probe]'") from None
  if 'encode' not in method.predict:
    raise UserError(f'probe needs latents, which {config.method} has not')
  if method.latent and 'label' in method.latent.conditions:
    raise UserError('probe: latents of a conditional run are found with the label')
  if 'label' not in example.fields:
    raise UserError(f'probe needs labels, which {config.data.name} has not')

  def look(variables, batch, key, hyper):
    # Of a video all frames' side by side, of several latents all that are real numbers.
    means = jax.tree.leaves(method.predict['encode'](variables, batch, key)['mean'])
    means = [x.reshape(x.shape[0], -1) for x in means if jnp.issubdtype(x.dtype, jnp.floating)]
    return {}, {'latents': jnp.concatenate(means, axis=-1), 'label': batch['label']}

  def finish(sums, rows):
    known = {stream: found['label'] >= 0 for stream, found in rows.items()}
    seen = {s: {k: x[known[s]] for k, x in found.items()} for s, found in rows.items()}
    train, test = seen['train'], seen['test']
    found = {'probe_accuracy': (math.nan, None)}
    if len(np.unique(train['label'])) > 1 and len(test['label']):
      model = LogisticRegression(max_iter=1000).fit(train['latents'], train['label'])
      found['probe_accuracy'] = mean(model.predict(test['latents']) == test['label'])
    left_out = int(np.sum(~known['test']))
    return found | ({'probe_unlabelled': (float(left_out), None)} if left_out else {})

  protocol = {'probe': 'logistic regression'}
  return Eval({'train': look, 'test': look}, finish, lambda: ['probe_accuracy'], protocol)
