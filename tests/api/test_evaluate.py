"""vaejax.evaluate: the values that it returns are those of the shell, and are recorded."""

import json

import pytest

import vaejax
from vaejax.cli.main import main


def test_values_are_those_of_the_shell(copied, capsys):
  path = copied / 'evaluation.json'
  settings = {'nll.samples': 3}
  values = vaejax.evaluate(copied, ['elbo', 'nll'], 10, seed=2, settings=settings)
  recorded = json.loads(path.read_text())
  assert recorded['nll']['step'] == 10 and recorded['nll']['samples'] == 3
  for name, e in values.items():
    assert recorded[name] == recorded[name] | e.to_json()
  path.unlink()
  words = ['--evals=elbo,nll', '--checkpoint=10', '--seed=2', '--config.eval.nll.samples=3']
  assert capsys.readouterr() == ('', '')
  assert main(['evaluate', f'--workdir={copied}', *words]) == 0
  again = json.loads(path.read_text())
  assert again == {name: recorded[name] for name in again} and again.keys() == values.keys()


def test_without_names_it_computes_the_evals_of_the_config(copied):
  assert vaejax.evaluate(str(copied)).keys() == vaejax.evaluate(copied, 'elbo').keys()


def test_an_eval_that_does_not_fit_is_a_warning(copied):
  with pytest.warns(UserWarning, match='style is skipped') as caught:
    assert 'elbo' in vaejax.evaluate(copied, ['elbo', 'style'])
  assert [w.filename for w in caught if 'skipped' in str(w.message)] == [__file__]


@pytest.mark.parametrize(
  ('settings', 'message'),
  [
    ({'evals': ['nil']}, "did you mean 'nll'"),
    ({'split': 'dev'}, "no split 'dev'"),
    ({'settings': {'nll.sample': 3}}, "did you mean 'eval.nll.samples'"),
    ({'checkpoint': 7}, 'checkpoint=7'),
  ],
)
def test_a_mistake_is_a_user_error(trained, settings, message):
  with pytest.raises(vaejax.UserError, match=message):
    vaejax.evaluate(trained, **settings)
