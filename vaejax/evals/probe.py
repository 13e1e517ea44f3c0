"""Probes: how well a linear classifier, and the nearest neighbours, predict the label from the
latents."""

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.errors import UserError
from vaejax.estimates import Estimate, mean
from vaejax.eval_type import Eval
from vaejax.types import Example, Method

SETTINGS = {'neighbours': 5}
RANGES = {'neighbours': (1, 10_000)}


def make(method: Method, config, example: Example) -> Eval:
  """Accuracy of predicting labels from posterior means, fitted to the training split by
  scikit-learn, with its images prepared like those of the test split:

    probe_accuracy: of a logistic regression.
    knn_accuracy: of a majority vote of the `config.eval.probe.neighbours` nearest training rows, or
      of all if there are fewer.

  Rows without a label are ignored; `probe_unlabelled` is their number in the tested split.

  Raises UserError for a method without latents or with a posterior that depends on the label, for
  data without labels, and if scikit-learn is not installed.
  """
  try:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
  except ImportError:
    raise UserError(
      "the probe eval needs scikit-learn, which is not installed. Run pip install -e '.[probe]'"
    ) from None
  if 'encode' not in method.predict:
    raise UserError(f'the probe eval needs latents, but the method {config.method!r} has none')
  if method.latent and 'label' in method.latent.conditions:
    raise UserError(
      'the probe eval cannot be used for a conditional run, because its posterior q(z|x, y) is '
      'already given the label'
    )
  if 'label' not in example.fields:
    raise UserError(f'the probe eval needs labels, but the dataset {config.data.name!r} has none')

  if example.classes == 1:
    raise UserError(
      f'the probe eval needs two classes or more, but the dataset {config.data.name!r} has one'
    )
  neighbours = config.eval.probe.neighbours

  def extract(variables, batch, key, hyper):
    # The latents of all frames of a video are concatenated. Discrete latents are left out.
    means = jax.tree.leaves(method.predict['encode'](variables, batch, key)['mean'])
    means = [x.reshape(x.shape[0], -1) for x in means if jnp.issubdtype(x.dtype, jnp.floating)]
    return {}, {'latents': jnp.concatenate(means, axis=-1), 'label': batch['label']}

  def finish(sums, rows):
    labelled = lambda fields: {k: x[fields['label'] >= 0] for k, x in fields.items()}
    train, test = labelled(rows['train']), labelled(rows['test'])
    classes, n = len(np.unique(train['label'])), len(test['label'])
    if classes < 2 or not n:
      raise UserError(
        f'it needs labelled training rows of two classes and labelled tested rows, but there are '
        f'{classes} classes and {n} rows'
      )
    models = {
      'probe_accuracy': LogisticRegression(max_iter=1000),
      'knn_accuracy': KNeighborsClassifier(min(neighbours, len(train['label']))),
    }
    metrics = {}
    for name, model in models.items():
      model.fit(train['latents'], train['label'])
      right = model.predict(test['latents']) == test['label']
      metrics[name] = mean(right)._replace(n=n)
    unlabelled = len(rows['test']['label']) - n
    return metrics | ({'probe_unlabelled': Estimate(float(unlabelled))} if unlabelled else {})

  protocol = {'probe': 'logistic regression', 'neighbours': neighbours}
  names = ['probe_accuracy', 'knn_accuracy']
  return Eval({'train': extract, 'test': extract}, finish, lambda: names, protocol)
