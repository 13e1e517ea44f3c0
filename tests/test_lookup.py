"""A name is a module name, and a wrong one is answered in one line."""

import pytest

from vaejax.errors import UserError
from vaejax.lookup import lookup, names, nearest


def test_a_name_gives_its_module():
  import vaejax.methods.vae
  import vaejax.nets.conv

  assert lookup('methods', 'vae') is vaejax.methods.vae
  assert lookup('nets', 'conv', attribute='encoder') is vaejax.nets.conv


def test_names_lists_the_modules_that_define_the_attribute():
  assert names('nets', 'encoder') == ['conv', 'conv28', 'conv32', 'conv64', 'mlp', 'resnet']
  assert 'vae' in names('methods', 'make') and {'elbo', 'nll'} <= set(names('evals', 'make'))
  with pytest.raises(
    UserError, match=r"unknown net 'lens'\. Choose one of conv, conv28, conv32, conv64, mlp, resnet"
  ):
    lookup('nets', 'lens', attribute='encoder')


def test_a_near_miss_is_guessed():
  with pytest.raises(UserError, match=r"unknown net 'resent' \(did you mean 'resnet'\?\)\. Choose"):
    lookup('nets', 'resent', attribute='encoder')
  assert nearest('bta', ['lr', 'beta']) == " (did you mean 'beta'?)"
  assert nearest('zzz', ['lr', 'beta']) == ''
  assert nearest(3, [1, 30]) == " (did you mean '30'?)"


@pytest.mark.parametrize('name', ['', '.', 'vae.make', '../vae', 'os', '__init__', None, 3, 'a b'])
def test_what_is_no_name_is_refused_in_one_line(name):
  with pytest.raises(UserError, match='unknown method') as error:
    lookup('methods', name)
  assert '\n' not in str(error.value) and 'vae' in str(error.value).split('hoose one of ')[1]


def test_a_dotted_name_is_a_module_anywhere(tmp_path, monkeypatch):
  (tmp_path / 'mylab').mkdir()
  (tmp_path / 'mylab' / 'flow.py').write_text('def make(config, example):\n  return config\n')
  (tmp_path / 'mylab' / 'other.py').write_text('x = 1\n')
  (tmp_path / 'mylab' / 'broken.py').write_text('import no_such_package\n')
  monkeypatch.syspath_prepend(tmp_path)
  assert lookup('methods', 'mylab.flow').make(3, None) == 3
  with pytest.raises(UserError, match="cannot be used as a method: it does not define 'make'"):
    lookup('methods', 'mylab.other')
  for name in ('mylab.none', 'nolab.flow', 'mylab.flow.deeper'):
    with pytest.raises(UserError, match=f"unknown method '{name}'"):
      lookup('methods', name)
  with pytest.raises(ModuleNotFoundError, match='no_such_package'):
    lookup('methods', 'mylab.broken')


def test_a_module_that_breaks_is_not_called_unknown(monkeypatch):
  def broken(name):
    raise ZeroDivisionError

  monkeypatch.setattr('vaejax.lookup.importlib.import_module', broken)
  with pytest.raises(ZeroDivisionError):
    lookup('methods', 'vae')
