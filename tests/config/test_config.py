"""Overrides, types and ranges, config files, and the way through JSON and back."""

import copy
import json
import random
import traceback
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from vaejax.config.base import base, player
from vaejax.config.fields import assign, check, flat
from vaejax.config.load import available_configs, config_name, load_config
from vaejax.config.serialise import config_from_json, config_to_json, differences
from vaejax.config.words import words
from vaejax.data import sets
from vaejax.errors import UserError

CONFIGS = sorted((Path(__file__).parents[2] / 'configs').glob('*.py'))
VAE = str(next(path for path in CONFIGS if path.stem == 'vae'))


@pytest.fixture
def config():
  return load_config(f'{VAE}:smoke')


def fails(call, *arguments) -> str:
  """The one line of the UserError that a call ends in."""
  with pytest.raises(UserError) as error:
    call(*arguments)
  said = str(error.value)
  assert said and '\n' not in said and len(said) < 1500
  return said


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
    ('data.flip', 'false', False),
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
def test_a_field_is_set_from_its_text(config, field, text, value):
  assign(config, field, text)
  fields = flat(config)
  found = fields[next(n for n in [field, *fields] if n in fields and f'.{n}'.endswith(f'.{field}'))]
  assert found == value and type(found) is type(value)
  check(config)


def test_a_placeholder_goes_back_to_none(config):
  for text, value in (('0.5', 0.5), ('None', None), ('1', 1.0)):
    assign(config, 'b1', text)
    assert config.optimizer.b1 == value


@pytest.mark.parametrize(
  'field, text, said',
  [
    ('hyper.bta', '4', "unknown config field 'hyper.bta' (did you mean 'hyper.beta'?)"),
    ('latent', '4', "(did you mean 'latents'?)"),
    ('model', '4', "unknown config field 'model'"),
    ('', '4', "unknown config field ''"),
    ('batch_size', '', "batch_size='': it takes a whole number"),
    ('size', '8', 'there are data.size, eval.size'),
    ('seed', 'True', "seed='True': it takes a whole number"),
    ('steps', '1.5', 'it takes a whole number'),
    ('steps', 'many', 'it takes a whole number'),
    ('steps', 'None', 'it takes a whole number'),
    ('steps', '1e999', 'it takes a whole number'),
    ('steps', '9' * 6000, 'it takes a whole number'),
    ('hyper.lr', 'fast', "hyper.lr='fast': it takes a number"),
    ('hyper.lr', 'nan', 'it takes a number'),
    ('hyper.lr', '1e999', 'it takes a number'),
    ('hyper.lr', '1' + '0' * 400, 'it takes a number'),
    ('hyper.lr', '1j', 'it takes a number'),
    ('hyper.lr', 'None', 'it takes a number'),
    ('hyper.lr', '__import__("os")', 'it takes a number'),
    ('flip', '1', "data.flip='1': it takes True or False"),
    ('widths', '64,x', 'it takes whole numbers, as in 64,32'),
    ('widths', '64,0.5', 'it takes whole numbers'),
    ('widths', 'True', 'it takes whole numbers'),
    ('widths', '((1,),)', 'it takes whole numbers'),
    ('widths', '(' * 5000, 'it takes whole numbers'),
    ('widths', '\0', 'it takes whole numbers'),
  ],
)
def test_what_a_field_does_not_take(config, field, text, said):
  before = config_to_json(config)
  assert said in fails(assign, config, field, text)
  assert config_to_json(config) == before


@pytest.mark.parametrize(
  'field, text, said',
  [
    ('seed', '-1', 'seed=-1 is out of range: it takes 0 to 4,294,967,295'),
    ('seed', '2e10', 'out of range'),
    ('steps', '0', 'steps=0 is out of range: it takes 1 to'),
    ('hyper.lr', '-1', 'hyper.lr=-1.0 is out of range: it takes at least 0'),
    ('hyper.beta', '-0.1', 'at least 0'),
    ('optimizer.b1', '1', 'optimizer.b1=1.0 is out of range: it takes 0 to 0.999999'),
    ('optimizer.eps', '-1', 'at least 0'),
    ('optimizer.ema', '1', 'out of range'),
    ('widths', '64,0', 'model.widths=0 is out of range'),
    ('latents', '0', 'out of range'),
    ('accumulate', '3', 'batch_size=16 does not split into optimizer.accumulate=3 equal parts'),
    ('data.channels', '2', 'data.channels=2: it takes 1, 3, or 0'),
  ],
)
def test_values_out_of_range(config, field, text, said):
  assign(config, field, text)
  assert said in fails(check, config)
  assert said in fails(load_config, f'{VAE}:smoke', [(field, text)])


def test_words():
  assert words('', 'digits') == ('digits', False, (), ())
  assert words(None, 'digits') == words('', 'digits')
  found = words('mnist:3.0.1,smoke,latents=8,paper,schedule.lr=cosine', 'digits', ('paper',))
  assert found.dataset == 'mnist:3.0.1' and found.smoke and found.flags == ('paper',)
  assert found.settings == (('latents', '8'), ('schedule.lr', 'cosine'))
  assert words('widths=64,32,shapes', 'digits')[::3] == ('shapes', (('widths', '64,32'),))
  assert 'mnist and shapes' in fails(words, 'mnist,shapes', 'digits')


def test_a_config_reads_its_words():
  found = load_config(f'{VAE}:shapes,smoke,latents=7,steps=30', [('steps', '40')])
  assert (found.data.name, found.model.latents, found.steps) == ('shapes', 7, 40)
  assert (
    load_config(f'{VAE}:mnist:3.0.1').data.binarise
    == load_config(f'{VAE}:mnist').data.binarise
    == 'dynamic'
  )
  assert 'unknown config field' in fails(load_config, f'{VAE}:latnets=3')
  assert 'model.latents' in fails(load_config, f'{VAE}:latents=x')


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_has_the_fields_and_a_smoke_size(path):
  whole, smoke = (load_config(f'{path}{arg}') for arg in ('', ':smoke'))
  named = 'seed steps batch_size method hyper schedule optimizer data model eval checkpoint'
  assert {*named.split(), 'optimizer.name', 'hyper.lr'} <= {*flat(whole), *whole}
  assert flat(whole).keys() == flat(smoke).keys()
  assert smoke.steps <= 50 and smoke.steps < whole.steps
  assert sets.maker(smoke.data.name)
  assert whole.hyper.keys() == whole.schedule.keys()
  with pytest.raises(AttributeError):
    smoke.new = 1  # locked


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize('arg', ['', ':smoke,b1=0.5,data.seed=3'])
def test_through_json_and_back_every_field_keeps_value_and_type(path, arg):
  config = load_config(f'{path}{arg}')
  back = config_from_json(json.loads(json.dumps(config_to_json(config))))
  before, after = flat(config), flat(back)
  assert list(before) == list(after)
  for field, value in before.items():
    assert after[field] == value and type(after[field]) is type(value), field
  assert differences(config, back) == []
  # What was settable stays so, and nothing else.
  for field, text in (('b1', '0.25'), ('b1', 'None'), ('data.seed', '1'), ('hyper.lr', '1')):
    assign(back, field, text)
  assert back.optimizer.b1 is None and back.data.seed == 1 and back.hyper.lr == 1.0
  fails(assign, back, 'steps', 'None')
  fails(assign, back, 'data.seed', '0.5')
  with pytest.raises(AttributeError):
    back.new = 1


def test_what_is_no_config(config):
  saved = config_to_json(config)

  def broken(path, value):
    found = copy.deepcopy(saved)
    *outer, last = path.split('.')
    inner = found
    for name in outer:
      inner = inner[name]
    inner[last] = value
    return fails(config_from_json, found)

  assert fails(config_from_json, None) == fails(config_from_json, []) == 'it holds no config'
  assert (
    fails(config_from_json, {})
    == fails(config_from_json, {'method': 'vae'})
    == 'it holds no config'
  )
  assert 'steps' in broken('steps', None)
  assert 'eval.every' in broken('eval.every', None)
  assert 'eval.every' in broken('eval.every', 'often')
  assert 'optimizer.b1' in broken('optimizer.b1', 'half')
  assert 'data.seed' in broken('data.seed', 0.5)
  assert 'data.flip' in broken('data.flip', 1)
  assert 'schedule.lr' in broken('schedule.lr', 3)
  assert 'hyper.lr' in broken('hyper.lr', 'fast')
  assert 'hyper.lr' in broken('hyper.lr', 10**400)
  assert 'hyper.lr' in broken('hyper.lr', float('nan'))
  assert 'model' in broken('model', 3)
  assert 'model.widths' in broken('model.widths', [1, [2]])
  assert 'model.latents' in broken('model.latents', 'x')
  assert 'not the name of a field' in broken('model', {'a.b': 1})
  assert 'hyper and schedule' in broken('hyper', {'lr': 0.1})


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
  assert 'evals' in fails(config_from_json, {**config_to_json(config), 'evals': [1]})


VALUES = [None, True, -1, 0, 10**400, 0.5, -1e300, float('nan'), float('inf'), '', 'x', [], [0]]
VALUES += [['a'], [[1]], {}, {'': 1}, {'a.b': {}}, {'lr': None}, {'lock': {'lr': 1}}]


def test_random_json_gives_a_config_or_one_line(config):
  """Nothing but UserError, and what passes is a config that can be saved and compared."""
  chance, saved, passed, refused = random.Random(0), config_to_json(config), 0, 0
  places = [(section, name) for section in saved if isinstance(saved[section], dict)
            for name in saved[section]]  # fmt: skip
  places += [(name,) for name in saved]
  for _ in range(1500):
    crafted = copy.deepcopy(saved)
    for *outer, last in chance.choices(places, k=chance.choice([1, 1, 2])):
      inner = crafted
      for name in outer:
        inner = inner.get(name) if isinstance(inner, dict) else None
      if isinstance(inner, dict):
        inner[last] = chance.choice(VALUES)
        if chance.random() < 0.1:
          del inner[last]
    try:
      found = config_from_json(crafted)
    except UserError as error:
      assert '\n' not in str(error) and len(str(error)) < 300
      refused += 1
    else:
      differences_or_refused(config, found)
      assert config_from_json(config_to_json(found)) == found
      passed += 1
  assert passed > 50 and refused > 500


def differences_or_refused(old, new):
  """A schedule's text is only read when it is needed: it may still turn out to be none."""
  try:
    assert isinstance(differences(old, new), list)
  except UserError as error:
    assert 'schedule.' in str(error) or 'schedule' in str(error)


def test_differences_that_a_resume_may_not_have(config):
  config.schedule.lr = 'constant'
  new = config.copy_and_resolve_references()
  new.steps += 1  # may change
  new.hyper.beta, new.eval.every, new.checkpoint.keep = 2.5, 7, 9
  assert differences(config, new) == ['hyper.beta: 1.0 -> 2.5']
  config.schedule.lr = 'cosine'  # stretches over the steps
  new = config.copy_and_resolve_references()
  new.steps += 1
  assert differences(config, new) == ['steps: 20 -> 21, over which a schedule stretches']
  for one in (config, new):
    one.schedule.lr = 'cosine:steps=10'
  assert differences(config, new) == []
  with new.unlocked():
    new.model.fresh = 1
    del new.model.latents
  assert differences(config, new) == ['model.latents: 4 -> absent', 'model.fresh: absent -> 1']


FILES = {
  'empty.py': ('', 'has no get_config'),
  'nothing.py': ('def get_config(arg):\n  pass\n', 'gives no config'),
  'little.py': (
    'from ml_collections import ConfigDict\n\n\ndef get_config(arg):\n  return ConfigDict()\n',
    'gives no config',
  ),
  'config.txt': ('', 'not a Python file'),
}


@pytest.mark.parametrize('name', FILES)
def test_config_files_that_are_none(tmp_path, name):
  text, said = FILES[name]
  (tmp_path / name).write_text(text)
  found = fails(load_config, str(tmp_path / name))
  assert said in found and name in found


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
    assert f'no config {name!r}' in fails(load_config, name)
  specs = 'configs/vae.py:mnist', 'mylab.configs.vae:mnist', '/a.b/vae.py'
  assert {config_name(spec) for spec in specs} == {'vae'}


def test_a_config_file_may_refuse_with_its_own_words(tmp_path):
  text = 'from vaejax.errors import UserError\n\n\ndef get_config(arg):\n  raise UserError(arg)\n'
  (tmp_path / 'own.py').write_text(text)
  assert fails(load_config, f'{tmp_path}/own.py:as I say') == 'as I say'


def test_which_configs_exist(monkeypatch, tmp_path):
  monkeypatch.chdir(CONFIGS[0].parent.parent)
  assert available_configs() == [f'configs/{path.name}' for path in CONFIGS]
  said = fails(load_config, 'configs/vea.py')
  assert "did you mean 'configs/vae.py'" in said and ', '.join(available_configs()) in said
  assert 'no config' in fails(load_config, 'configs')
  monkeypatch.chdir(tmp_path)
  # That of the clone is found from anywhere.
  assert load_config('configs/vae.py').method == 'vae' and available_configs() != []
  assert 'did you mean' in fails(load_config, 'configs/vea.py')


def test_the_base_has_a_schedule_for_every_entry_of_hyper():
  found = base('vae', {'lr': 0.5, 'other': 2.0})
  assert isinstance(found, ConfigDict) and found.method == 'vae'
  assert dict(found.schedule) == {'lr': 'constant', 'other': 'constant'}
  check(found)


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
