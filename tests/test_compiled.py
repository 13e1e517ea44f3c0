"""Bits that tests compare (chunks.jit_as_users) are those of a process as users start it."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from cases import build, flat
from chunks import averaged_chunk, jit_as_users

from vaejax.core.step import make_step

HERE = Path(__file__).parent


def digest(jit) -> str:
  """Of the weights after 20 steps from weights that nothing was compiled for."""
  case = build('vae')
  random, variables = np.random.default_rng(0), case.state.variables
  params = jax.tree.map(lambda x: 0.1 * random.normal(size=x.shape).astype('f'), variables.params)
  state = case.state.replace(variables=variables.replace(params=params))
  (buffer, _), *_ = case.source.buffers(0, 20)
  chunk = jit(averaged_chunk(make_step(case.method), case.source.draw))
  return hashlib.sha256(flat(chunk(state, buffer, np.int32(20))[0].variables.params)).hexdigest()


@pytest.mark.slow
def test_what_is_compared_is_compiled_as_users_compile():
  code = 'import jax, test_compiled; print(test_compiled.digest(jax.jit))'
  paths = os.pathsep.join([str(HERE), str(HERE.parent)])
  environment = os.environ | {'PYTHONPATH': paths, 'JAX_NUM_CPU_DEVICES': '8'}
  environment.pop('XLA_FLAGS', None)
  users = subprocess.run(
    [sys.executable, '-c', code], env=environment, check=True, capture_output=True, text=True
  ).stdout.strip()
  assert digest(jit_as_users) == users
  if '--xla_backend_optimization_level=0' in os.environ.get('XLA_FLAGS', ''):
    assert digest(jax.jit) != users  # else the above shows nothing
