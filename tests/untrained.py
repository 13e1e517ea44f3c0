"""A run that was not trained: its nets are at their first values."""

from functools import cache
from pathlib import Path

import jax

from vaejax.api.run import Run
from vaejax.config.load import load_config
from vaejax.core.factory import initial_state, make_method
from vaejax.data import sources, splits
from vaejax.runs.trained import TrainedRun

ROOT = Path(__file__).parent.parent


@cache
def untrained(config: str) -> Run:
  """The run of a config such as 'vae.py:smoke', without a folder."""
  config = load_config(f'{ROOT}/configs/{config}')
  table = splits.table(config.data, 'test', None)
  example = sources.test(config.data, table).example
  method = make_method(config, example)
  state = jax.jit(lambda: initial_state(method, config, example))()
  return Run(TrainedRun(Path('none'), config, example, None, method, state, {}), 'raw')
