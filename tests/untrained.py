"""Runs of any config at its smoke size with their first weights, as `load` gives them."""

from functools import cache
from pathlib import Path

import jax
import numpy as np

from vaejax.api.run import Run
from vaejax.config.load import load_config
from vaejax.core import factory
from vaejax.data import sources, splits
from vaejax.runs.trained import TrainedRun
from vaejax.task_type import Pictures

CONFIGS = Path(__file__).parent.parent / 'configs'


@cache
def untrained(words: str, folder: str = 'untrained') -> Run:
  """The run of a config such as 'vae:digits,latents=3', with random weights."""
  stem, _, rest = words.partition(':')
  config = load_config(f'{CONFIGS}/{stem}.py:smoke,{rest}', ())
  rows = splits.table(config.data, 'train', None)
  example = sources.example(config.data, rows)
  method = factory.make_method(config, example)
  state = jax.jit(lambda: factory.initial_state(method, config, example))()
  return Run(TrainedRun(Path(folder), config, example, None, method, state, {}), 'ema')


def pictures(run: Run, n: int, split: str = '', **fields) -> Pictures:
  """n random pictures of a run's form, whose training rows are as many."""
  random, example = np.random.default_rng(0), run.example
  image = random.random((n, *example.fields['image'].shape)).astype(np.float32)
  if 'label' in run._conditions:
    fields = {'label': random.integers(0, example.classes, n).astype(np.int32)} | fields
  part = {'image': image, **fields}
  return Pictures(image, fields, split=split, train=lambda n: iter([part]))
