"""What must hold on an accelerator: `pytest -m gpu`.

Skipped where JAX has none; VAEJAX_GPU_TESTS=any runs them on a CPU all the same.
"""

import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest

import vaejax

pytestmark = pytest.mark.gpu

CONFIGS = Path(__file__).parent.parent / 'configs'
VARIANTS = (
  *(f'source:{name}' for name in ('conv28', 'shared_mlp', 'conv32', 'gan', 'rvae', 'style')),
  'gan:hinge,conditional',
  'gan:wasserstein',
  'vae:net=conv,model.channels=8,norm=batch,ema=0.9',
  'vae:net=resnet,model.channels=8,likelihood=sigma_vae',
)
# Those of most use come first, should the time be short.
FIRST = ('vae', 'gan', 'cvae', 'iwae', 'rvae', 'vaegan', 'style', 'm2')
OTHERS = sorted({path.stem for path in CONFIGS.glob('*.py')} - set(FIRST))


@pytest.fixture(autouse=True)
def accelerator():
  if jax.default_backend() == 'cpu' and os.environ.get('VAEJAX_GPU_TESTS') != 'any':
    pytest.skip('JAX has no accelerator here; VAEJAX_GPU_TESTS=any runs this on a CPU')


def smoke(spec: str, steps: int = 20, **fields):
  """A config at its smoke size, of constant rates: one that is stretched over a run's steps cannot
  be given more."""
  stem, _, words = spec.partition(':')
  config = vaejax.get_config(f'{CONFIGS}/{stem}.py:smoke,{words}')
  config.schedule.update(dict.fromkeys(config.schedule, 'constant'))
  config.update_from_flattened_dict({'steps': steps, **fields})
  return config


def leaves(folder: Path, weights: str = 'raw', member=None) -> dict[str, np.ndarray]:
  """All that the nets of a run hold, by name."""
  run = vaejax.load(folder, weights=weights, member=member)
  pairs = jax.tree.leaves_with_path(jax.device_get(run.variables))
  return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in pairs}


def rows(folder: Path) -> list[dict]:
  """The rows of training, without what a clock decides."""
  every = map(json.loads, (folder / 'metrics.jsonl').read_text().splitlines())
  train = [row for row in every if row['split'] == 'train']
  return [{k: v for k, v in row.items() if k not in ('seconds', 'steps_per_s')} for row in train]


@pytest.mark.parametrize('spec', (*FIRST, *OTHERS, *VARIANTS))
def test_it_trains_and_goes_on_bit_for_bit(spec, tmp_path):
  whole, parts = tmp_path / 'whole', tmp_path / 'parts'
  vaejax.train(smoke(spec), whole)
  logged = rows(whole)
  assert logged[-1]['step'] == 20
  assert all(np.isfinite(list(r.values())[2:]).all() for r in logged)
  if 'loss' in logged[0]:  # of a method of one player
    assert logged[-1]['loss'] < logged[0]['loss']
  vaejax.train(smoke(spec, steps=10), parts)
  vaejax.train(smoke(spec), parts)
  for weights in ('raw', 'ema'):
    one, other = leaves(whole, weights), leaves(parts, weights)
    assert one.keys() == other.keys()
    apart = {
      name: float(np.abs(one[name].astype(float) - other[name].astype(float)).max())
      for name in one
      if one[name].tobytes() != other[name].tobytes()
    }
    assert not apart, f'it trains, but {len(apart)} of {len(one)} arrays differ: {apart}'
  assert rows(parts) == logged


# Adam's first steps turn rounding into steps of full size, so runs that take another path through
# the same maths are compared under SGD; and TF32 would round by a thousandth.
@pytest.mark.parametrize('spec', ['vae', 'vae:net=conv,model.channels=8'])
def test_a_sweep_is_its_single_runs(spec, tmp_path):
  plain = {'optimizer.name': 'sgd', 'hyper.lr': 1e-4}
  with jax.default_matmul_precision('highest'):
    for seed in range(2):
      vaejax.train(smoke(spec, steps=10, seed=seed, **plain), tmp_path / f'seed{seed}')
    vaejax.sweep(smoke(spec, steps=10, **plain), tmp_path / 'sweep', grid={'seed': range(2)})
  one, other = (leaves(tmp_path / f'seed{seed}') for seed in range(2))
  assert max(np.abs(one[name] - other[name]).max() for name in one) > 1e-3
  for seed, alone in enumerate((one, other)):
    member = leaves(tmp_path / 'sweep', member=seed)
    for name, value in alone.items():
      np.testing.assert_allclose(member[name], value, rtol=1e-5, atol=2e-6, err_msg=name)
