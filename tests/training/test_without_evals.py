"""Evals have no effect on training: parameters are the same, bit for bit, without them."""

import pytest
from running import values

import vaejax

FAST = ('vae', 'gan')
OF_SAMPLES = 'image', 'judge', 'frechet', 'kernel', 'precision_recall'
OF_CODES = 'elbo', 'nll', 'latent', 'probe'
# {id: (config, its evals; () are those that it has)}: steps, and evals of samples and codes.
CASES = {
  'vae': ('vae.py:smoke', ()),
  'gan': ('gan.py:smoke', ()),
  'm2': ('m2.py:smoke', ()),
  'style': ('style.py:smoke', ()),
  'vae, many': ('vae.py:digits,smoke', (*OF_CODES, *OF_SAMPLES)),
  'vae, factors': ('vae.py:shapes,smoke,data.size=16', ('disentangle', 'latent')),
  'vaegan, many': ('vaegan.py:digits,smoke', ('elbo', 'fidelity', *OF_SAMPLES)),
  'anomaly, many': ('anomaly.py:smoke', ('anomaly', 'elbo', 'nll')),
  'rvae, video': ('rvae.py:smoke', ('elbo', 'video')),
  'gan of points': ('gan.py:gaussian_grid,smoke', ('gaussians',)),
}
PART = 'eval.every=5,eval.size=16,eval.images=4'


def train(words, folder, settings):
  vaejax.train(vaejax.get_config(f'configs/{words},{settings}'), folder)


@pytest.fixture(scope='session')
def judge(tmp_path_factory):
  """The workdir of a judge of digits."""
  folder = tmp_path_factory.mktemp('judges') / 'judge'
  train('judge.py:digits,smoke', folder, 'keep_as_judge=False')
  return folder


@pytest.mark.parametrize(
  'case', [pytest.param(id, marks=[pytest.mark.slow] * (id not in FAST)) for id in CASES]
)
def test_all_that_is_saved_is_the_same_without_evals(project, request, tmp_path, case):
  (words, evals), states = CASES[case], {}
  settings = f'{PART},evals={"+".join(evals)}' if evals else PART
  if 'judge' in evals:
    folder = request.getfixturevalue('judge')
    judged = ('judge', 'frechet', 'kernel', 'precision_recall')
    settings += ''.join(f',eval.{name}.workdir={folder}' for name in judged)
  for name, of_run in (('with', settings), ('without', 'eval.every=0')):
    train(words, tmp_path / name, f'steps=10,checkpoint.every=10,{of_run}')
    states[name] = values(tmp_path / name, 10)
  one, other = states['with'], states['without']
  assert one.keys() == other.keys() and len(one) > 10
  assert [key for key in one if one[key].tobytes() != other[key].tobytes()] == []
