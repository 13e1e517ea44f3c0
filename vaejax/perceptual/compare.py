"""Similarity of pairs of pictures on the host, in batches: PSNR, SSIM and LPIPS with two nets."""

from functools import cache

import jax
import numpy as np

from vaejax.errors import UserError
from vaejax.metrics.similarity import WINDOW, psnr, ssim
from vaejax.perceptual import lpips

AT_ONCE = 100  # pairs
BETTER = {'psnr': 'higher', 'ssim': 'higher', 'lpips_alex': 'lower', 'lpips_vgg': 'lower'}


def similarities(x, y, names=tuple(BETTER)) -> dict[str, np.ndarray]:
  """Similarities of pictures and their references, [N, H, W, C] in [0, 1] each: {name: [N]}.

  Args:
    names: of 'psnr' in dB, 'ssim', 'lpips_alex' and 'lpips_vgg'. SSIM is left out if pictures are
      smaller than its window, LPIPS if the extra `perceptual` is missing.
  """
  names = measures_of(np.shape(x)[1:], tuple(names))
  program = compiled(names)
  x, y = (np.clip(np.asarray(images, np.float32), 0, 1) for images in (x, y))
  parts = []
  for first in range(0, len(x), AT_ONCE):
    a, b = (images[first : first + AT_ONCE] for images in (x, y))
    count = len(a)
    if len(x) > AT_ONCE:  # one shape, so that it is compiled once
      a, b = (np.pad(i, [(0, AT_ONCE - count), *[(0, 0)] * 3]) for i in (a, b))
    parts.append({name: np.asarray(rows)[:count] for name, rows in program(a, b).items()})
  return {name: np.concatenate([part[name] for part in parts]) for name in names}


@cache
def compiled(names: tuple[str, ...]):
  """A jitted function of two batches of pictures, which returns {name: [N]}. The nets of LPIPS take
  seconds to compile, so it is made once."""
  every = {'psnr': psnr, 'ssim': ssim}
  nets = {f'lpips_{net}': lpips.distance(net) for net in ('alex', 'vgg') if f'lpips_{net}' in names}
  measures = {name: (every | nets)[name] for name in names}
  return jax.jit(lambda x, y: {name: measure(x, y) for name, measure in measures.items()})


def measures_of(shape, names: tuple[str, ...]) -> tuple[str, ...]:
  """Those of the measures that can be computed of pictures [H, W, C]."""
  known = {'psnr'} | ({'ssim'} if min(shape[:2]) >= WINDOW else set())
  for net in ('alex', 'vgg'):
    if f'lpips_{net}' in names and shape[-1] in (1, 3):
      try:
        lpips.distance(net)
      except UserError:
        break
      known.add(f'lpips_{net}')
  return tuple(name for name in names if name in known)


def protocol(shape) -> dict[str, str]:
  """How pictures of a shape [H, W, C] are compared, for a protocol."""
  nets = {f'lpips_{net}': lpips.describe(net, shape) for net in ('alex', 'vgg')}
  missing = dict.fromkeys(nets, 'not computed: pip install -e .[perceptual]')
  there = measures_of(shape, tuple(nets))
  return {name: nets[name] if name in there else missing[name] for name in nets}
