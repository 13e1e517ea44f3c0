"""What the page can do with a run: its controls, and the latents that it shows."""

from pathlib import Path
from typing import Any

import numpy as np

from vaejax.api.run import Run
from vaejax.errors import UserError
from vaejax.explore.latents import Latents
from vaejax.explore.pictures import can_read
from vaejax.restoration import how

SHOWN = 10  # latents with a slider
RANGE = 3.0  # of a slider, in standard deviations
MAX_CLASSES = 200  # with a button each


def controls(run: Run, latents: Latents | None) -> tuple[str, ...]:
  """The names of the operations of operations.py that a run has. Raises UserError if there is
  nothing to explore."""
  example, predict = run.example, run.method.predict
  readable, sourced = can_read(example), 'source' in run.method.given
  names = []
  if latents:
    names += ['decode', 'draw']
  elif run.method.sample and not sourced:
    names.append('sample')
  if readable:
    # Of pictures: all of them need 'read'.
    video = example.data == 'video' and 'video' in run.method.given
    has = {
      'encode': latents is not None and latents.encode is not None,
      'complete': completes(run),
      'continue': video,
      'transfer': 'transfer' in predict,
      'translate': bool(source_shape(run)) and ('to_image' in predict or sourced),
    }
    names += (taking := [name for name in has if has[name]])
    names += ['read'] if taking else []
  if not names:
    raise UserError(
      f'there is nothing to explore in a run of {run.config.method}, which makes no pictures. Use '
      'a VAE, a GAN, or a run that translates'
    )
  return tuple(names)


def completes(run: Run) -> bool:
  """Whether a run completes pictures of which a part is missing."""
  kind = f'mask:{trained_mask(run)}' if trained_mask(run) else 'mask:any'
  try:
    how.choose(run, kind, {'how': 'auto'})
  except UserError:
    return False
  return not set(run.method.latent.conditions) - {'label', 'source'}


def trained_mask(run: Run) -> str:
  """The only kind of masks that a run completes, which it was trained for; '' for any mask."""
  kind, _, mask = how.trained_for(run).partition(':')
  return mask if kind == 'mask' and mask != 'any' else ''


def source_shape(run: Run) -> tuple[int, ...] | None:
  """The shape of the pictures that a run translates; None for one that does not, or of masks."""
  field = run.example.fields.get('source')
  is_mask = str(run.config.data.get('source') or '').startswith('mask')
  if field is None or is_mask or field.shape[-1] not in (1, 3, 4):
    return None
  return tuple(field.shape)


def given_labels(run: Run) -> int:
  """The number of classes, one of which a run is given; 0 if it is given none."""
  return (run.example.classes or 0) if 'label' in run.method.given else 0


def needs_label(run: Run, latents: Latents | None) -> bool:
  """Whether every picture of a run is given a label: by its densities, or with the latents."""
  return run.method.conditional or (latents is not None and latents.takes_label)


def about(run: Run, latents: Latents | None, activity: np.ndarray | None) -> dict[str, Any]:
  """What the page is told: JSON without a path of this machine. Raises UserError for a run whose
  latents or pictures are not finite."""
  example = run.example
  values = (latents.centre, latents.scale, activity) if latents else ()
  if not all(np.isfinite(x).all() for x in values):
    raise UserError(
      f'this run has diverged: at step {run.step} its latents or its pictures are not finite '
      'numbers. Choose an earlier step with --checkpoint=STEP, or train it again'
    )
  *frames, height, width, channels = example.fields[example.data].shape
  classes = given_labels(run)
  names = example.class_names or tuple(map(str, range(classes)))
  source = source_shape(run)
  kind = 'conditional ' * run.method.conditional + run.config.method
  return {
    'title': f'{kind} · {Path(str(run.config.data.name)).name}',
    'step': run.step,
    'frames': frames[0] if frames else 1,
    'height': height,
    'width': width,
    'channels': channels,
    'controls': list(controls(run, latents)),
    'classes': list(names[:MAX_CLASSES]) if classes else [],
    'needs_label': needs_label(run, latents),
    'mask': trained_mask(run),
    'source': None if source is None else {'height': source[0], 'width': source[1]},
    'latents': None if latents is None else latents_json(latents, activity),
  }


def latents_json(latents: Latents, activity: np.ndarray) -> dict[str, Any]:
  """The latents in JSON: the SHOWN of the largest activity, in its order, and what all of them
  are."""
  order = np.argsort(-activity, kind='stable')[:SHOWN]
  largest = max(float(activity.max()), 1e-12)
  shown = [
    {'index': int(i), 'name': latents.names[i], 'activity': round(float(activity[i]) / largest, 4)}
    for i in order
  ]
  return {
    'size': len(latents.names),
    'parts': [length for _, length in latents.parts],
    'centre': latents.centre.tolist(),
    'scale': latents.scale.tolist(),
    'range': RANGE,
    'shown': shown,
  }
