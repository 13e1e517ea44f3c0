"""The second stage: another prior moves, and nothing else of the trained model."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vaejax
from vaejax.config.load import load_config
from vaejax.config.serialise import config_from_json
from vaejax.errors import UserError
from vaejax.methods import prior, vae
from vaejax.types import Example

CONFIG = 'configs/prior.py'


def test_only_the_prior_has_a_gradient_and_it_is_that_of_the_bound(project):
  config = load_config('configs/vae.py:smoke,prior=mixture,components=3')
  fields = {'image': jax.ShapeDtypeStruct((4, 4, 1), jnp.float32)}
  base = vae.make(config, Example(fields))
  batch = {'image': jax.random.uniform(jax.random.key(1), (6, 4, 4, 1))}
  v = base.init(jax.random.key(0), batch)
  (player,) = prior.prior(base).players
  assert player.owns == ('prior',)
  key, hyper = jax.random.key(2), {'beta': 1.0}
  loss = lambda player: jax.grad(
    lambda p: player.loss(v.replace(params={**v.params, 'prior': p}), batch, key, hyper)[0]
  )(v.params['prior'])
  # At the same draw of z, log p(z) is all that the bound has of the prior.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
    loss(player),
    loss(base.players[0]),
  )


@pytest.mark.slow
def test_a_trained_model_keeps_all_but_its_prior(project, trained, tmp_path):
  first = shutil.copytree(trained, tmp_path / 'first')
  spec = f'{CONFIG}:{first},prior=mixture,components=3,steps=30,checkpoint.every=10,lr=0.05'
  values = vaejax.train(spec, tmp_path / 'second')
  before = vaejax.load(first)
  one, two = before.variables.params, vaejax.load(tmp_path / 'second', weights='raw').variables
  for net in ('encoder', 'decoder'):
    jax.tree.map(np.testing.assert_array_equal, one[net], two.params[net])
  rows = (tmp_path / 'second' / 'metrics.jsonl').read_text().splitlines()
  rows = [row for row in map(json.loads, rows) if row['split'] == 'train']
  assert rows[-1]['loss'] < rows[0]['loss'] and np.isfinite(values['elbo'])
  # A second stage of a second stage, and to go on when the first is gone.
  vaejax.train(
    f'{CONFIG}:{tmp_path / "second"},prior=vampprior,components=3,steps=10', tmp_path / 'w'
  )
  shutil.rmtree(first)
  saved = json.loads((tmp_path / 'second' / 'config.json').read_text())
  assert saved['config']['objective']['base'] == 'vae' and saved['init']['nets'] == [
    'decoder',
    'encoder',
  ]
  vaejax.train(config_from_json(saved['config']), tmp_path / 'second')


@pytest.mark.slow
def test_a_member_of_a_sweep_is_a_first_stage(project, tmp_path):
  vaejax.sweep('configs/vae.py:smoke', tmp_path / 's', grid={'seed': range(2)})
  vaejax.train(f'{CONFIG}:{tmp_path}/s/members/1,prior=mixture,steps=5', tmp_path / 'p')
  saved = json.loads((tmp_path / 'p' / 'config.json').read_text())
  assert saved['init']['member'] == 1 and saved['config']['seed'] == 1


def test_what_has_no_prior_to_choose_is_refused(project, tmp_path, trained):
  with pytest.raises(UserError, match='no workdir'):
    load_config(f'{CONFIG}:{tmp_path}/none')
  copy = shutil.copytree(trained, tmp_path / 'run')
  path = copy / 'config.json'
  saved = json.loads(path.read_text())
  del saved['config']['model']['prior'], saved['config']['model']['components']
  path.write_text(json.dumps(saved))
  with pytest.raises(UserError, match=r'is a run of vae, which has no model\.prior'):
    load_config(f'{CONFIG}:{copy}')
  still = load_config('configs/prior.py:smoke,prior=standard')
  fields = {'image': jax.ShapeDtypeStruct((4, 4, 1), jnp.float32)}
  with pytest.raises(UserError, match='has nothing to learn'):
    prior.make(still, Example(fields))
