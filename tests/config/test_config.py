"""Overrides, types and ranges, config files, and configs through JSON and back."""

import json
import traceback
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from vaejax.config.base import base, player
from vaejax.config.fields import assign, check, flat
from vaejax.config.load import available_configs, config_name, load_config
from vaejax.config.serialise import config_from_json, config_to_json, differences
from vaejax.config.words import parse_words
from vaejax.data import sets
from vaejax.errors import UserError

CONFIGS = sorted((Path(__file__).parents[2] / 'configs').glob('*.py'))
VAE = str(next(path for path in CONFIGS if path.stem == 'vae'))


@pytest.fixture
def config():
  return load_config(f'{VAE}:smoke')


def fails(call, *arguments) -> str:
  """Returns the message, one line, of the UserError that a call raises."""
  with pytest.raises(UserError) as error:
    call(*arguments)
  message = str(error.value)
  assert message and '\n' not in message and len(message) < 1500
  return message


@pytest.mark.parametrize(
  'field, text, value',
  [
    ('seed', '3', 3),
    ('steps', '1e4', 10_000),
    ('steps', '10_000', 10_000),
    ('hyper.beta', '1', 1.0),
    ('beta', '4', 4.0),  # by the last part of its name
    ('optimizer.b1', '0', 0.0),
    ('b2', '0.5', 0.5),
    ('data.seed', '7', 7),
    ('flip', 'True', True),
    ('data.augment.flip', 'false', False),
    ('optimizer.name', 'sgd', 'sgd'),
    ('net', '5', '5'),  # a text is taken as it is
    ('checkpoint.best', '', ''),
    ('widths', '64,32', (64, 32)),
    ('widths', '64', (64,)),
    ('widths', '(64, 32)', (64, 32)),
    ('widths', '[64]', (64,)),
    ('widths', '()', ()),
    ('data.seed', 'None', None),
    ('optimizer.eps', 'None', None),
  ],
)
def test_a_field_is_set_from_text(config, field, text, value):
  assign(config, field, text)
  fields = flat(config)
  name = next(n for n in [field, *fields] if n in fields and f'.{n}'.endswith(f'.{field}'))
  assert fields[name] == value and type(fields[name]) is type(value)
  check(config)


def test_a_placeholder_goes_back_to_none(config):
  for text, value in (('0.5', 0.5), ('None', None), ('1', 1.0)):
    assign(config, 'b1', text)
    assert config.optimizer.b1 == value


@pytest.mark.parametrize(
  'field, text, message',
  [
    ('hyper.bta', '4', "unknown config field 'hyper.bta' (did you mean 'hyper.beta'?)"),
    ('latent', '4', "(did you mean 'latents'?)"),
    ('model', '4', "unknown config field 'model'"),
    ('', '4', "unknown config field ''"),
    ('batch_size', '', "batch_size='' is not a whole number"),
    ('size', '8', 'is ambiguous. Use one of data.size, eval.size'),
    ('seed', 'True', "seed='True' is not a whole number"),
    ('steps', '1.5', 'is not a whole number'),
    ('steps', 'many', 'is not a whole number'),
    ('steps', 'None', 'is not a whole number'),
    ('steps', '1e999', 'is not a whole number'),
    ('steps', '9' * 6000, 'is not a whole number'),
    ('hyper.lr', 'fast', "hyper.lr='fast' is not a number"),
    ('hyper.lr', 'nan', 'is not a number'),
    ('hyper.lr', '1e999', 'is not a number'),
    ('hyper.lr', '1' + '0' * 400, 'is not a number'),
    ('hyper.lr', '1j', 'is not a number'),
    ('hyper.lr', 'None', 'is not a number'),
    ('hyper.lr', '__import__("os")', 'is not a number'),
    ('flip', '1', "data.augment.flip='1' is not True or False"),
    ('widths', '64,x', 'is not whole numbers such as 64,32'),
    ('widths', '64,0.5', 'is not whole numbers'),
    ('widths', 'True', 'is not whole numbers'),
    ('widths', '((1,),)', 'is not whole numbers'),
    ('widths', '(' * 5000, 'is not whole numbers'),
    ('widths', '\0', 'is not whole numbers'),
  ],
)
def test_a_text_of_another_type_is_an_error(config, field, text, message):
  before = config_to_json(config)
  assert message in fails(assign, config, field, text)
  assert config_to_json(config) == before


@pytest.mark.parametrize(
  'field, text, message',
  [
    ('seed', '-1', 'seed=-1 is out of range. Use 0 to 4,294,967,295'),
    ('seed', '2e10', 'out of range'),
    ('steps', '0', 'steps=0 is out of range. Use 1 to'),
    ('hyper.lr', '-1', 'hyper.lr=-1.0 is out of range. Use at least 0'),
    ('hyper.beta', '-0.1', 'at least 0'),
    ('optimizer.b1', '1', 'optimizer.b1=1.0 is out of range. Use 0 to 0.999999'),
    ('optimizer.eps', '-1', 'at least 0'),
    ('optimizer.ema', '1', 'out of range'),
    ('widths', '64,0', 'model.widths=0 is out of range'),
    ('latents', '0', 'out of range'),
    ('accumulate', '3', 'batch_size=16 is not a multiple of optimizer.accumulate=3'),
    ('data.channels', '2', 'data.channels=2 is not possible. Use 1, 3, 4, or 0'),
  ],
)
def test_values_out_of_range(config, field, text, message):
  assign(config, field, text)
  assert message in fails(check, config)
  assert message in fails(load_config, f'{VAE}:smoke', [(field, text)])


def test_words():
  assert parse_words('', 'digits') == ('digits', False, (), ())
  assert parse_words(None, 'digits') == parse_words('', 'digits')
  arg = 'mnist:3.0.1,smoke,latents=8,paper,schedule.lr=cosine'
  words = parse_words(arg, 'digits', ('paper',))
  assert words.dataset == 'mnist:3.0.1' and words.smoke and words.options == ('paper',)
  assert words.settings == (('latents', '8'), ('schedule.lr', 'cosine'))
  assert parse_words('widths=64,32,shapes', 'digits')[::3] == ('shapes', (('widths', '64,32'),))
  assert 'mnist and shapes' in fails(parse_words, 'mnist,shapes', 'digits')


def test_a_config_reads_its_words():
  config = load_config(f'{VAE}:shapes,smoke,latents=7,steps=30', [('steps', '40')])
  assert (config.data.name, config.model.latents, config.steps) == ('shapes', 7, 40)
  assert (
    load_config(f'{VAE}:mnist:3.0.1').data.binarise
    == load_config(f'{VAE}:mnist').data.binarise
    == 'dynamic'
  )
  assert 'unknown config field' in fails(load_config, f'{VAE}:latnets=3')
  assert 'model.latents' in fails(load_config, f'{VAE}:latents=x')


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_has_the_fields_and_a_smoke_size(path):
  full, smoke = (load_config(f'{path}{arg}') for arg in ('', ':smoke'))
  named = 'seed steps batch_size method hyper schedule optimizer data model eval checkpoint'
  assert {*named.split(), 'optimizer.name', 'hyper.lr'} <= {*flat(full), *full}
  assert flat(full).keys() == flat(smoke).keys()
  assert smoke.steps <= 50 and smoke.steps < full.steps
  assert sets.reader(smoke.data.name)
  assert full.hyper.keys() == full.schedule.keys()
  with pytest.raises(AttributeError):
    smoke.new = 1  # locked


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize('arg', ['', ':smoke,b1=0.5,data.seed=3'])
def test_json_keeps_the_value_and_type_of_every_field(path, arg):
  config = load_config(f'{path}{arg}')
  back = config_from_json(json.loads(json.dumps(config_to_json(config))))
  before, after = flat(config), flat(back)
  assert list(before) == list(after)
  for field, value in before.items():
    assert after[field] == value and type(after[field]) is type(value), field
  assert differences(config, back) == []
  # The types are those of before.
  for field, text in (('b1', '0.25'), ('b1', 'None'), ('data.seed', '1'), ('hyper.lr', '1')):
    assign(back, field, text)
  assert back.optimizer.b1 is None and back.data.seed == 1 and back.hyper.lr == 1.0
  fails(assign, back, 'steps', 'None')
  fails(assign, back, 'data.seed', '0.5')
  with pytest.raises(AttributeError):
    back.new = 1


BROKEN = {
  'steps': ['many', 0],
  'eval.every': ['often'],
  'optimizer.b1': ['half', 2.0],
  'data.seed': [0.5],
  'schedule.lr': [3],
  'hyper.lr': ['fast', float('nan'), None],
  'model': [3, None],
  'model.widths': [[0], [1, [2]]],
}


@pytest.mark.parametrize('path', BROKEN)
def test_json_that_is_not_a_config_is_an_error(config, path):
  """One of the errors that runs.workdir.read_config turns into one line."""
  for value in BROKEN[path]:
    saved = config_to_json(config)
    *outer, last = path.split('.')
    section = saved
    for name in outer:
      section = section[name]
    section[last] = value
    with pytest.raises((UserError, LookupError, TypeError, ValueError, AttributeError)):
      config_from_json(saved)


def test_an_incomplete_config_is_an_error():
  for saved in (None, [], {}, {'method': 'vae'}):
    with pytest.raises((TypeError, LookupError)):
      config_from_json(saved)


def test_a_field_that_a_workdir_lacks_takes_its_default(config):
  saved = config_to_json(config)
  del saved['train'], saved['data']['validation'], saved['optimizer']['b1'], saved['checkpoint']
  restored = config_from_json(saved)
  assert restored.train == () and restored.optimizer.b1 is None
  assert config_to_json(restored)['checkpoint'] == config_to_json(base('', {}))['checkpoint']
  restored.optimizer.b1 = 0.5  # of the type that the field has


def test_fields_of_names(config):
  for text in ('elbo,nll', 'elbo+nll'):
    assign(config, 'evals', text)
    assert config.evals == ('elbo', 'nll')
  assign(config, 'evals', '')
  assert config.evals == ()
  assert config_from_json(config_to_json(config)).evals == ()


def test_differences_that_a_resume_may_not_have(config):
  config.schedule.lr = 'constant'
  new = config.copy_and_resolve_references()
  new.steps += 1  # may change
  new.hyper.beta, new.eval.every, new.checkpoint.keep = 2.5, 7, 9
  assert differences(config, new) == ['hyper.beta is 1.0 there, 2.5 here']
  config.schedule.lr = 'cosine'  # spans the run
  new = config.copy_and_resolve_references()
  new.steps += 1
  assert differences(config, new) == ['steps is 20 there, 21 here, and a schedule spans them']
  for one in (config, new):
    one.schedule.lr = 'cosine:steps=10'
  assert differences(config, new) == []
  for one in (config, new):
    one.optimizer.prune = 0.8
  assert differences(config, new) == ['steps is 20 there, 21 here, and pruning spans them']
  for one in (config, new):  # at once
    one.optimizer.prune_start = one.optimizer.prune_end = 0.0
  assert differences(config, new) == []
  with new.unlocked():
    new.model.fresh = 1
    del new.model.latents
  assert differences(config, new) == [
    'model.latents is 4 there, absent here',
    'model.fresh is absent there, 1 here',
  ]


FILES = {
  'empty.py': ('', 'has no get_config'),
  'nothing.py': ('def get_config(arg):\n  pass\n', 'is not complete'),
  'little.py': (
    'from ml_collections import ConfigDict\n\n\ndef get_config(arg):\n  return ConfigDict()\n',
    'is not complete',
  ),
  'config.txt': ('', 'not a Python file'),
}


@pytest.mark.parametrize('name', FILES)
def test_files_that_are_not_configs(tmp_path, name):
  text, expected = FILES[name]
  (tmp_path / name).write_text(text)
  message = fails(load_config, str(tmp_path / name))
  assert expected in message and name in message


BUGS = {
  'syntax': ('def get_config(arg:\n', SyntaxError, 1),
  'broken': ('import json\n\nnothing.here\n', NameError, 3),
  'missing': ('import no_such_module\n', ModuleNotFoundError, 1),
  'inside': ('import json\n\n\ndef get_config(arg):\n  return json.loads("{")\n', ValueError, 5),
}


@pytest.mark.parametrize('name', BUGS)
def test_a_bug_in_a_config_shows_its_own_line(tmp_path, name):
  text, kind, line = BUGS[name]
  path = tmp_path / f'{name}.py'
  path.write_text(text)
  with pytest.raises(kind) as error:
    load_config(str(path))
  shown = ''.join(traceback.format_exception(error.value))
  assert f'File "{path}", line {line}' in shown


def test_a_config_may_be_a_module_anywhere(tmp_path, monkeypatch):
  (tmp_path / 'mylab' / 'configs').mkdir(parents=True)
  text = (CONFIGS[0].parent / 'vae.py').read_text()
  (tmp_path / 'mylab' / 'configs' / 'flow.py').write_text(text)
  monkeypatch.syspath_prepend(tmp_path)
  assert load_config('mylab.configs.flow:smoke').steps == 20
  for name in ('mylab.configs.none', 'nolab.flow', 'mylab..flow', 'os'):
    assert f'there is no config {name!r}' in fails(load_config, name)
  specs = 'configs/vae.py:mnist', 'mylab.configs.vae:mnist', '/a.b/vae.py'
  assert {config_name(spec) for spec in specs} == {'vae'}


def test_a_config_file_may_raise_its_own_error(tmp_path):
  text = 'from vaejax.errors import UserError\n\n\ndef get_config(arg):\n  raise UserError(arg)\n'
  (tmp_path / 'own.py').write_text(text)
  assert fails(load_config, f'{tmp_path}/own.py:as I say') == 'as I say'


def test_which_configs_exist(monkeypatch, tmp_path):
  monkeypatch.chdir(CONFIGS[0].parent.parent)
  assert available_configs() == [f'configs/{path.name}' for path in CONFIGS]
  message = fails(load_config, 'configs/vea.py')
  assert "did you mean 'configs/vae.py'" in message
  assert ', '.join(available_configs()) in message
  assert 'no config' in fails(load_config, 'configs')
  monkeypatch.chdir(tmp_path)
  # The clone's configs can be named from anywhere.
  assert load_config('configs/vae.py').method == 'vae' and available_configs() != []
  assert 'did you mean' in fails(load_config, 'configs/vea.py')


def test_the_base_has_a_schedule_for_every_entry_of_hyper():
  config = base('vae', {'lr': 0.5, 'other': 2.0})
  assert isinstance(config, ConfigDict) and config.method == 'vae'
  assert dict(config.schedule) == {'lr': 'constant', 'other': 'constant'}
  check(config)


def test_a_players_optimizer_is_set_checked_and_comes_back():
  config = base('gan', {'lr': 1e-4})
  config.optimizer.critic = player(b1=0.0)
  config.lock()
  assign(config, 'optimizer.critic.b2', '0.9')
  assign(config, 'optimizer.critic.name', 'rmsprop')
  check(config)
  back = config_from_json(json.loads(json.dumps(config_to_json(config))))
  assert back.optimizer.critic.to_dict() == config.optimizer.critic.to_dict()
  assign(back, 'optimizer.critic.clip', '1')  # a field that was not set takes its type
  assert back.optimizer.critic.clip == 1.0
  assign(back, 'optimizer.critic.b1', '2')
  with pytest.raises(UserError, match=r'optimizer.critic.b1=2.0 is out of range'):
    check(back)


def test_a_path_may_have_a_comma_or_an_equals_sign(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for name in ('a,b', 'lr=3'):
    (tmp_path / name).mkdir()
    words = parse_words(f'./{name},smoke,lr=1', 'digits')
    assert (words.dataset, words.smoke, words.settings) == (f'./{name}', True, (('lr', '1'),))
