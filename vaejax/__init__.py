"""Latent-variable and adversarial image models in JAX.

  run = vaejax.load('runs/m')
  z = run.encode(images)
  values = vaejax.train('configs/vae.py:digits', 'runs/n', data={'train': x, 'test': y})
  values = vaejax.evaluate('runs/m', ['elbo', 'nll'])

Nothing is imported before it is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from vaejax.errors import RunError, UserError

if TYPE_CHECKING:
  from vaejax.api.evaluate import evaluate
  from vaejax.api.load import load
  from vaejax.api.run import Run
  from vaejax.api.train import get_config, sweep, train

__all__ = ['Run', 'RunError', 'UserError', 'evaluate', 'get_config', 'load', 'sweep', 'train']

_MODULES = {
  'Run': 'vaejax.api.run',
  'evaluate': 'vaejax.api.evaluate',
  'get_config': 'vaejax.api.train',
  'load': 'vaejax.api.load',
  'sweep': 'vaejax.api.train',
  'train': 'vaejax.api.train',
}


def __getattr__(name: str) -> Any:
  if name not in _MODULES:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
  return sorted({*globals(), *_MODULES})
