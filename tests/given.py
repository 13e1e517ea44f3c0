"""Small runs with their first weights, and what a task is given with them."""

import numpy as np
import untrained

from vaejax.api.run import Run
from vaejax.task_type import Pictures


def small(words: str) -> Run:
  """The untrained run of a config at its smoke size, such as 'vae:digits,latents=3'."""
  stem, _, rest = words.partition(':')
  return untrained.untrained(f'{stem}.py:smoke,{rest}')


def pictures(run: Run, n: int, split: str = '', **fields) -> Pictures:
  """n random pictures of a run's form, whose training rows are the same."""
  random, example = np.random.default_rng(0), run.example
  shape = n, *example.fields['image'].shape
  image = random.integers(0, 17, shape).astype(np.float32) / 16  # levels of digits
  if 'label' in run.method.given:
    fields = {'label': random.integers(0, example.classes, n).astype(np.int32)} | fields
  part = {'image': image, **fields}
  return Pictures(image, fields, split=split, train=lambda n: iter([part]))
