"""Rates and values of whole training loops through the Python interface."""

import json
import resource
import tempfile
from pathlib import Path

import jax

import vaejax

# Of images that are binarised dynamically.
NETS = {
  'mlp': 'configs/vae.py:mnist,widths=500',
  'conv': 'configs/vae.py:mnist,net=conv,model.channels=32,64,widths=(),latents=32',
}


def config(spec: str, steps: int, log_every: int, **fields):
  """The config of a spec that logs every so many steps, and tests and saves at the end alone."""
  made = vaejax.get_config(spec)
  fixed = {'steps': steps, 'eval.log_every': log_every, 'eval.every': 0, 'checkpoint.every': steps}
  made.update_from_flattened_dict(fixed | fields)
  return made


def train(config, data: dict, members: int = 1) -> tuple[list[float], list[dict]]:
  """Steps per second between the rows of the log, and the test values of every member.

  One member is a single run, several are seeds in one program. The first row, which waits for the
  compiler, and the last, which waits for the test's, are left out.
  """
  with tempfile.TemporaryDirectory() as folder:
    if members == 1:
      values = [vaejax.train(config, folder, data=data)]
    else:
      values = vaejax.sweep(config, folder, grid={'seed': range(members)}, data=data)
    lines = (Path(folder) / 'metrics.jsonl').read_text().splitlines()
  rows = [row for row in map(json.loads, lines) if row['split'] == 'train']
  by_step = {row['step']: row['steps_per_s'] for row in rows}
  return list(by_step.values())[1:-1], values


def peak_memory() -> tuple[float, str]:
  """The most GiB that this process has used so far, and of what."""
  stats = jax.local_devices()[0].memory_stats() or {}
  if 'peak_bytes_in_use' in stats:
    return stats['peak_bytes_in_use'] / 2**30, 'device memory'
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 'memory of the process'
