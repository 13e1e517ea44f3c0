"""A linear probe: how well the classes can be read off the latents, which are left as they are."""

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.errors import UserError
from vaejax.types import Eval, Example, Learner, Method


def make(method: Method, config, example: Example) -> Learner:
  """`probe_accuracy`: of a logistic regression from posterior means to labels, which scikit-learn
  fits to the whole training split, its images prepared as those of the test split are.

  Raises UserError for a method without latents, or whose latents are found with the label; for data
  without labels; and where there is no scikit-learn.
  """
  try:
    from sklearn.linear_model import LogisticRegression
  except ImportError:
    raise UserError("probe needs scikit-learn: pip install '.[probe]'") from None
  if 'encode' not in method.predict:
    raise UserError(f'probe needs latents, which {config.method} has not: leave it out of --evals')
  if config.model.get('conditional', False):
    raise UserError('probe: latents of a conditional run are found with the label: leave it out')

  def look(variables, batch, key):
    if 'label' not in batch:
      raise UserError(f'probe needs labels, which {config.data.name} has not')
    # Of a video all frames' side by side, of several latents all that are real numbers.
    means = jax.tree.leaves(method.predict['encode'](variables, batch, key)['mean'])
    means = [x.reshape(x.shape[0], -1) for x in means if jnp.issubdtype(x.dtype, jnp.floating)]
    return {'mean': jnp.concatenate(means, axis=-1), 'label': batch['label']}

  def fit(seen) -> Eval:
    model = LogisticRegression(max_iter=1000).fit(seen['mean'], seen['label'])
    classes = np.asarray(model.classes_, np.int32)
    weight, bias = (np.asarray(x, np.float32) for x in (model.coef_.T, model.intercept_))
    if len(classes) == 2:  # of two classes it keeps the second's weights alone
      weight, bias = np.pad(weight, ((0, 0), (1, 0))), np.pad(bias, (1, 0))

    def stats(variables, batch, key, hyper):
      found = look(variables, batch, key)
      top = jnp.asarray(classes)[jnp.argmax(found['mean'] @ weight + bias, axis=-1)]
      mask = batch['mask']
      return {'right': jnp.sum(mask * (top == found['label'])), 'examples': jnp.sum(mask)}

    def finish(sums):
      return {'probe_accuracy': float(sums['right'] / sums['examples'])}

    return Eval(stats, finish, {'probe': 'logistic regression', 'fitted': len(seen['label'])})

  return Learner(look, fit)
