"""Latent-variable and adversarial image models in JAX.

  run = vaejax.load('runs/m')
  z = run.encode(images)
  values = vaejax.train('configs/vae.py:digits', 'runs/n', data={'train': x, 'test': y})

Nothing is imported until it is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from vaejax.errors import RunError, UserError

if TYPE_CHECKING:
  from vaejax.api.run import Run, load
  from vaejax.api.train import get_config, sweep, train

__all__ = ['Run', 'RunError', 'UserError', 'get_config', 'load', 'sweep', 'train']

_HOMES = {
  'Run': 'vaejax.api.run',
  'load': 'vaejax.api.run',
  'get_config': 'vaejax.api.train',
  'sweep': 'vaejax.api.train',
  'train': 'vaejax.api.train',
}


def __getattr__(name: str) -> Any:
  if name not in _HOMES:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
  return sorted({*globals(), *_HOMES})
