"""The verb show prints what training would build, and writes nothing."""

import jax
import pytest

from vaejax.cli.main import main
from vaejax.cli.show import show
from vaejax.config.load import load_config
from vaejax.core import factory
from vaejax.data import sources, splits


@pytest.mark.parametrize(
  'spec',
  [
    'vae.py:smoke',
    pytest.param('gan.py:smoke,hinge,conditional', marks=pytest.mark.slow),
    pytest.param('rvae.py:smoke', marks=pytest.mark.slow),
    pytest.param('vae.py:smoke,prior=mixture', marks=pytest.mark.slow),
    pytest.param('style.py:smoke', marks=pytest.mark.slow),
  ],
)
def test_every_net_has_its_table_and_all_parameters_are_counted(project, spec):
  config = load_config(f'configs/{spec}')
  text = show(config)
  example = sources.example(config.data, splits.table(config.data, 'train', None))
  method = factory.make_method(config, example)
  params = jax.eval_shape(lambda: factory.initial_state(method, config, example)).variables.params
  count = lambda tree: sum(x.size for x in jax.tree.leaves(tree))
  assert f'parameters: {count(params):,} (' in text
  for name, tree in params.items():
    assert f'{name} {count(tree):,}' in text
    total = text.split(f'\n{name}:\n')[1].split('Total Parameters: ')[1].split()[0]
    assert int(total.replace(',', '')) >= count(tree)  # it counts statistics too
  for player in method.players:
    assert f'{player.name}: trains {", ".join(player.owns)}; ' in text
  assert max(map(len, text.splitlines())) <= 120


def test_fields_of_a_frozen_net_and_of_overrides(project, capsys, tmp_path, monkeypatch):
  words = ['show', '--config=configs/vae.py:smoke', '--config.train=decoder', '--config.clip=2']
  assert main([*words, f'--workdir={tmp_path}/none']) == 0
  text = capsys.readouterr().out
  assert "train = ('decoder',)" in text and 'not trained: encoder' in text
  assert 'vae: trains decoder; adam (clip=2), hyper.lr=0.001 (constant)' in text
  assert not (tmp_path / 'none').exists()


def test_a_workdir_needs_no_data(trained, capsys):
  before = sorted(trained.rglob('*'))
  assert main(['show', f'--workdir={trained}']) == 0
  text = capsys.readouterr().out
  assert 'batch_size = 11' in text and 'hyper.lr=0.001 (cosine)' in text
  assert sorted(trained.rglob('*')) == before


def test_mistakes_are_those_of_training(project, capsys):
  assert main(['show', '--config=configs/vae.py:smoke,net=rsenet']) == 2
  assert "did you mean 'resnet'" in capsys.readouterr().err
