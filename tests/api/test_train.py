"""Training from Python: arrays, threads, event loops, any folder, silence; and sweeps."""

import asyncio
import json
import signal
import threading
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

import vaejax
from vaejax.cli.main import main
from vaejax.runs import sweep_files
from vaejax.training import train

ROOT = Path(__file__).parents[2]
CONFIG = f'{ROOT}/configs/vae.py:smoke'
RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (40, 6, 6, 1), dtype=np.uint8)
BYTES = {'train': BYTES, 'test': BYTES[:24]}
REALS = RANDOM.normal(3, 20, (40, 6, 6, 1))
REALS = {'train': REALS, 'test': REALS[:24]}


@pytest.fixture
def place(tmp_path, monkeypatch):
  """An empty folder, as the working directory."""
  monkeypatch.chdir(tmp_path)
  return tmp_path


def variables(folder):
  return jax.device_get(vaejax.load(folder).variables)


def test_python_trains_the_same_run_as_the_shell(place, capfd):
  assert main(['train', f'--config={CONFIG}', '--workdir=shell']) == 0
  before = signal.getsignal(signal.SIGINT)
  capfd.readouterr()
  values = {'main': vaejax.train(CONFIG, 'main'), 'again': vaejax.train(CONFIG, place / 'again')}

  def train_in_thread():
    values['thread'] = vaejax.train(CONFIG, 'thread')

  thread = threading.Thread(target=train_in_thread)
  thread.start()
  thread.join()

  async def loop():
    values['loop'] = vaejax.train(CONFIG, 'loop')
    return vaejax.load('loop').sample(2)

  assert asyncio.run(loop()).shape == (2, 8, 8, 1)
  assert capfd.readouterr().out == ''
  recorded = json.loads((place / 'shell' / 'evaluation.json').read_text())
  expected = {name: one['value'] for name, one in recorded.items()}
  assert expected.keys() == values['main'].keys() > {'elbo'}
  assert values.keys() == {'main', 'again', 'thread', 'loop'}
  for name, found in values.items():
    assert found == expected, name
    jax.tree.map(np.testing.assert_array_equal, variables(name), variables('shell'))
  assert signal.getsignal(signal.SIGINT) is before


def test_it_is_silent_unless_asked(place, capfd):
  vaejax.train(CONFIG, 'run')
  assert capfd.readouterr() == ('', '')
  vaejax.train(CONFIG, 'run', progress=True)
  assert 'run: finished at step 20 of 20' in capfd.readouterr().err


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_raised_again_once_all_is_saved(place, monkeypatch, number):
  heard = []

  def stop(*_):
    raise train.Stopped(number, 10)

  monkeypatch.setattr(train, 'run_steps', stop)
  monkeypatch.setattr(signal, 'raise_signal', heard.append)
  with pytest.raises(train.Stopped):
    vaejax.train(CONFIG, 'run')
  assert heard == [number]


def test_configs_are_texts_files_modules_or_objects(place, monkeypatch):
  (place / 'mine').mkdir()
  (place / 'mine' / 'flow.py').write_text(
    'from vaejax.config.base import base\n'
    'from vaejax.config.words import finish, parse_words\n'
    'def get_config(arg=""):\n'
    '  return finish(base("vae", {"lr": 1e-3}), parse_words(arg, "digits"), {})\n'
  )
  monkeypatch.syspath_prepend(place)
  assert vaejax.get_config('mine.flow:steps=7').steps == 7
  assert vaejax.get_config('mine/flow.py:steps=7').steps == 7
  config = vaejax.get_config(CONFIG)
  before = config.to_json_best_effort()
  config.steps = 5
  vaejax.train(config, 'run')
  assert vaejax.load('run').step == 5
  config.steps = 20
  vaejax.train(config, 'arrays', data=BYTES)
  assert config.to_json_best_effort() == before
  for spec, message in (
    (ConfigDict({'steps': 3}), 'is not complete'),
    (3, 'config is of type int. Use a config or a str'),
    ('mine.flaw', 'no config'),
  ):
    with pytest.raises(vaejax.UserError, match=message):
      vaejax.train(spec, 'other')
  assert not (place / 'other').exists()


def test_arrays_of_bytes_are_a_set_like_any_other(place):
  given = {k: {'image': x, 'label': np.arange(len(x)) % 3} for k, x in BYTES.items()}
  vaejax.train(CONFIG, 'run', data=given)
  run = vaejax.load('run')
  assert (run.example.levels, run.example.classes) == (256, 3)
  assert run.encode(BYTES['test']).shape == (24, 4) and run.sample(2).shape == (2, 6, 6, 1)
  vaejax.train(CONFIG, 'run', data=given)  # is finished
  vaejax.train(CONFIG, 'grey', data={k: x[..., 0] for k, x in BYTES.items()})
  jax.tree.map(np.testing.assert_array_equal, variables('grey'), variables('run'))
  other = {**given, 'test': {'image': BYTES['test'] ^ 1, 'label': given['test']['label']}}
  with pytest.raises(vaejax.UserError, match='was trained on other data'):
    vaejax.train(CONFIG, 'run', data=other)


def test_arrays_are_split_as_their_file_is(place):
  x, y = BYTES['train'], np.asarray(['owl', 'cat'])[np.arange(40) % 2]
  np.savez('a.npz', images=x, labels=y)
  vaejax.train(CONFIG, 'file', data=Path('a.npz'))
  vaejax.train(CONFIG, 'arrays', data={'images': x, 'labels': y})
  jax.tree.map(np.testing.assert_array_equal, variables('file'), variables('arrays'))
  assert vaejax.load('file').example.class_names == ('cat', 'owl')
  vaejax.train(CONFIG, 'images', data=x)
  jax.tree.map(np.testing.assert_array_equal, variables('images'), variables('arrays'))


def test_the_shell_explains_that_arrays_are_not_saved(place, capsys):
  vaejax.train(CONFIG, 'run', data=BYTES)
  for words in (['evaluate'], ['encode'], ['train']):
    assert main([*words, '--workdir=run']) == 2
    said = capsys.readouterr().err
    assert 'arrays that were given to vaejax.train and are not saved' in said
    assert said.count('\n') == 1
  assert main(['sample', '--workdir=run', '--n=2']) == 0


def test_real_numbers_stay_in_their_units(place):
  words = ',likelihood=gaussian_scalar,steps=200,lr=0.02'
  values = vaejax.train(CONFIG + words, 'run', data=REALS)
  run = vaejax.load('run')
  x = REALS['test']
  assert run.example.levels == 0 and run.example.units.high[0] > 40
  found = run.reconstruct(x)
  np.testing.assert_allclose(run.decode(run.encode(x)), found, atol=1e-4)
  # It knows the units: closer than the mean of all, which is far from [0, 1].
  assert np.square(found - x).mean() < np.square(x - x.mean()).mean()
  assert abs(found.mean() - x.mean()) < 3
  assert run.log_prob(x, samples=1).mean() == pytest.approx(values['elbo'], rel=0.02)
  with pytest.raises(vaejax.UserError, match='uint8, but this run needs real numbers in their own'):
    run.encode(BYTES['test'])


@pytest.mark.parametrize(
  ('words', 'said'),
  [
    ('', 'likelihood=logistic does not fit data of real numbers. Set it to one of gaussian,'),
    (',likelihood=bernoulli', 'likelihood=bernoulli does not fit data of real'),
    (',likelihood=categorical', 'likelihood=categorical does not fit data of real'),
    (',likelihood=gaussian,binarise=dynamic', "binarise=dynamic needs 8-bit.*='none', or give"),
    (',likelihood=gaussian,data.scale=symmetric', 'data.scale=symmetric needs 8-bit'),
  ],
)
def test_what_real_numbers_cannot_be(place, words, said):
  with pytest.raises(vaejax.UserError, match=said):
    vaejax.train(CONFIG + words, 'run', data=REALS)
  assert not (place / 'run').exists()


@pytest.mark.slow
def test_a_sweep_has_the_rows_of_its_single_runs(place):
  grid = {'seed': range(2), 'beta': [1, np.float32(4.0)]}
  rows = vaejax.sweep(CONFIG, 'sweep', grid=grid, data=BYTES)
  assert [(r['member'], r['seed'], r['hyper.beta']) for r in rows] == [
    (0, 0, 1.0),
    (1, 0, 4.0),
    (2, 1, 1.0),
    (3, 1, 4.0),
  ]
  single = vaejax.train(f'{CONFIG},seed=1,beta=4', 'single', data=BYTES)
  found = {name: rows[3][name] for name in single}
  assert found == pytest.approx(single, rel=1e-5) and not rows[3]['frozen']
  assert rows[1]['elbo'] != rows[3]['elbo']
  x = BYTES['test']
  member = vaejax.load('sweep', member=3)
  np.testing.assert_allclose(member.encode(x), vaejax.load('single').encode(x), atol=1e-4)
  assert vaejax.sweep(vaejax.get_config(CONFIG), 'sweep', grid=grid, data=BYTES) == rows
  assert sweep_files.read_sweep(Path('sweep'))['values'][3] == {'seed': '1', 'hyper.beta': '4.0'}


@pytest.mark.parametrize(
  ('settings', 'said'),
  [
    ({'grid': {'seed': 3}}, r'seed=3 is not an axis. Use a list of values such as \[3\]'),
    ({'grid': {'bata': [1]}}, 'bata'),
    ({}, 'a sweep needs an axis'),
    ({'grid': {'seed': range(2)}, 'data': 5}, 'data is of type int'),
    ({'grid': {'seed': range(2)}, 'data_dir': 'none'}, 'there is no folder none'),
  ],
)
def test_a_mistake_in_a_sweep_is_one_line(place, settings, said):
  with pytest.raises(vaejax.UserError, match=said):
    vaejax.sweep(CONFIG, 'sweep', **settings)
  assert not (place / 'sweep').exists()


@pytest.mark.slow
def test_axes_over_other_fields_and_draws(place):
  zipped = {'widths': [(16,), (8, 8)], 'latents': [2, 3]}
  rows = vaejax.sweep(CONFIG, 'zipped', zip=zipped, data=BYTES)
  assert [(r['model.widths'], r['model.latents']) for r in rows] == [((16,), 2), ((8, 8), 3)]
  rows = vaejax.sweep(CONFIG, 'drawn', grid={'lr': 'log:1e-4:1e-2'}, random=3, data=BYTES)
  assert len({row['hyper.lr'] for row in rows}) == 3
