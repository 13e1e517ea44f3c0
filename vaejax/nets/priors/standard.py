"""N(0, 1) in every dimension, for every label."""

from vaejax.distributions import standard
from vaejax.types import Prior


def make(model, shape, example, classes=0) -> Prior:
  """The prior of latents of `shape`. It has no parameters."""
  return Prior(
    nets={},
    inputs=lambda n, label: {},
    of=lambda nets, posterior: lambda v, n, given: (standard((n, *shape)), v),
  )
