"""What devices ask each other in a chunk of steps, as the compiled program says."""

import math
import re
from pathlib import Path

import jax
import pytest

from vaejax.config.load import load_config
from vaejax.core.devices import ANY_LAYOUT, Layout
from vaejax.sweeps import axes
from vaejax.sweeps.partition import compiled
from vaejax.training.setup import set_up

CONFIGS = Path(__file__).parent.parent.parent / 'configs'
COLLECTIVE = re.compile(
  r'= (.*?) (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(?:-start)?\('
)


def collectives(config, members=(), layout=ANY_LAYOUT):
  """(kind, floats) of each one, and the floats of the parameters of a member."""
  setup = set_up(config, None, members, layout)
  text = compiled(setup).as_text()
  shapes = lambda kind: (
    map(int, filter(None, s.split(','))) for s in re.findall(r'f32\[(.*?)\]', kind)
  )
  found = [(m[2], sum(map(math.prod, shapes(m[1])))) for m in COLLECTIVE.finditer(text)]
  params = jax.eval_shape(setup.create).variables.params
  sizes = [x.size for x in jax.tree.leaves(params)]
  return found, sum(sizes) // max(1, len(members))


def config(stem):
  return load_config(f'{CONFIGS}/{stem}.py:smoke')


@pytest.mark.parametrize('stem', ['vae', pytest.param('gan', marks=pytest.mark.slow)])
def test_data_parallel_sums_the_gradients_once(stem):
  found, parameters = collectives(config(stem))
  assert {kind for kind, _ in found} == {'all-reduce'} and len(found) <= 4
  # Every gradient once, and beside them a metric or statistic here and there.
  assert sum(size for _, size in found) == pytest.approx(parameters, rel=0.05)


def test_a_sweep_over_devices_asks_nothing():
  members = axes.make_sweep(f'{CONFIGS}/vae.py:smoke', [], [('grid', 'seed=0:8')]).groups[0].members
  assert collectives(config('vae'), members) == ([], collectives(config('vae'))[1])


@pytest.mark.slow
def test_members_over_two_devices_each_sum_their_own_gradients():
  members = axes.make_sweep(f'{CONFIGS}/vae.py:smoke', [], [('grid', 'seed=0:4')]).groups[0].members
  found, parameters = collectives(config('vae'), members, Layout(4, 2))
  assert {kind for kind, _ in found} == {'all-reduce'}
  assert sum(size for _, size in found) == pytest.approx(parameters, rel=0.05)


@pytest.mark.slow
def test_divided_parameters_are_gathered():
  wide = load_config(f'{CONFIGS}/vae.py:smoke,widths=1024')
  whole, _ = collectives(wide)
  assert 'all-gather' not in {kind for kind, _ in whole}
  divided, _ = collectives(wide, layout=Layout(fsdp=True))
  assert 'all-gather' in {kind for kind, _ in divided}
