"""Complete pictures of which a part is missing, in several versions.

Any run of a latent-variable model will do. Its latents are those of the largest posterior density
given what is seen (--how=optimise), the ends of pseudo-Gibbs chains (gibbs; Rezende et al. 2014,
arXiv:1401.4082, appendix F), or draws weighted by the likelihood of what is seen (importance). A
conditional VAE that was trained with data.source=mask:... draws them at once (model; Sohn et al.
2015).

Scores are of the missing part: PSNR, SSIM, LPIPS of the completed picture, and agreement, the
proportion that the cached judge of the data classifies as their label. best_of_N_METRIC is of the
version that is best by this metric, which takes the truth to know. The baselines are the mean of
the training pictures, the nearest training row by the seen part (for best_of_N the best of the N
nearest), the picture's own mirror image, and scikit-image's biharmonic inpainting (the extra
`restore`). If the mirror image can be used, asymmetric_METRIC is of the pictures whose mean
absolute difference from their mirror image is above ASYMMETRIC.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vaejax.data.device.masks import MASKS
from vaejax.data.picture_files import decoded
from vaejax.data.readers import pictures as files
from vaejax.errors import UserError
from vaejax.lookup import nearest
from vaejax.restoration import fills, how, problem, result, versions
from vaejax.task_type import Pictures, Progress, Result, Setting, part_of

SETTINGS = {
  'mask': Setting(
    '',
    'what is missing: half (the right one), centre, stripes, random (boxes), any, or the path '
    'of a picture that is black there; by default what the run was trained for, else half',
    arrays=True,
  ),
  **how.SETTINGS,
}
ARGUMENTS = ('mask',)
ROWS = 128
WHITE = 255, 255, 255  # behind what is transparent in a mask
USER = 'mask:any'  # the source of masks that a user gives
ASYMMETRIC = 0.02


def run(
  model: Any, pictures: Pictures, settings: Mapping[str, Any], seed: int, progress: Progress
) -> Result:
  """See task_type."""
  how.check_pictures(model)
  kind, mask = mask_of(settings['mask'], model)
  way = how.choose(model, kind, settings)
  image = pictures.image
  if mask is None:
    given = problem.degrade_rows(kind, image, seed)
  else:
    given = problem.hidden(image, mask, kind)
  made = versions.make(model, way, given, pictures, settings, seed, part_of(progress, 0, 0.6))
  baselines, protocol = {}, {}
  if pictures.split:
    baselines, protocol = fill(image, given.seen, pictures, settings['versions'])
  subsets = {}
  if 'mirror' in baselines:
    rows = np.abs(image - image[:, :, ::-1]).mean((1, 2, 3)) > ASYMMETRIC
    if 1 < rows.sum() < len(rows):
      subsets = {'asymmetric': rows}
      protocol['asymmetric'] = f'mean |x - mirror of x| > {ASYMMETRIC}: {rows.sum()} rows'
  rest = part_of(progress, 0.6, 1), subsets, protocol
  shown = given.source[..., :-1]
  return result.make(model, given, made, pictures, shown, baselines, *rest)


def mask_of(chosen: Any, model: Any) -> tuple[str, np.ndarray | None]:
  """The source of a mask as in data.source, and, if a user gives the mask, where it is seen
  [H, W, 1]. Raises UserError."""
  shape = model.example.fields['image'].shape[:2]
  if not isinstance(chosen, str):
    return USER, check_mask(np.asarray(chosen), 'the mask', shape)
  trained = how.trained_for(model)
  chosen = chosen or (trained.partition(':')[2] if trained.startswith('mask:') else 'half')
  if chosen in MASKS:
    return f'mask:{chosen}', None
  path = Path(chosen).expanduser()
  if not path.is_file():
    raise UserError(
      f'mask={chosen!r} is no mask and no file{nearest(chosen, MASKS)}. Use '
      f'{", ".join(MASKS)}, or a picture that is black where pictures are missing'
    )
  image = decoded(files.decode, path, 1, WHITE)
  white = 1.0 if image.dtype.kind == 'f' else np.iinfo(image.dtype).max
  return USER, check_mask(image / white, str(path), shape)


def check_mask(mask: np.ndarray, name: str, shape: tuple[int, int]) -> np.ndarray:
  """Where pictures are seen, float32 [H, W, 1] of ones and zeros. Raises UserError for another
  size, and for a mask that hides nothing or everything."""
  mask = mask.reshape(mask.shape[:2]) if mask.ndim == 3 and mask.shape[2] == 1 else mask
  if mask.shape != shape or mask.dtype.kind not in 'biuf':
    size = ' x '.join(map(str, mask.shape))
    raise UserError(
      f'{name} has the size {size}, but pictures of this run have {shape[0]} x {shape[1]}. Give '
      'one value for each of these pixels'
    )
  seen = (mask > (0.5 if mask.dtype.kind == 'f' else 0)).astype(np.float32)[..., None]
  if seen.min() == seen.max():
    what = 'hides nothing' if seen.max() else 'hides all pixels'
    raise UserError(f'{name} {what}. Make it black where pictures are missing, and white elsewhere')
  return seen


def fill(
  image: np.ndarray, seen: np.ndarray, pictures: Pictures, count: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """The baselines {name: pictures}, and their protocol."""
  rows, size = (part['image'] for part in pictures.train(None)), [0]

  def counted():
    for part in rows:
      size[0] += len(part)
      yield part

  found, mean = fills.nearest(image, seen, counted(), count)
  baselines = {'training mean': fills.paste(image, seen, mean), 'nearest training row': found}
  protocol = {
    'nearest training row': f'of {size[0]:,} training rows, by squared error of the seen part'
  }
  mirrored = fills.mirror(image, seen)
  if mirrored is not None:
    baselines['mirror'] = mirrored
  if fills.has_skimage():
    baselines['biharmonic'] = fills.biharmonic(image, seen)
  else:
    protocol['without_biharmonic'] = f'it needs scikit-image: {fills.EXTRA}'
  return baselines, protocol
