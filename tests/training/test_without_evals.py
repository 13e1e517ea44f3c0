"""Evals have no effect on training: parameters are the same, bit for bit, without them."""

import pytest
from running import values

import vaejax

# {family: (config, its evals)}
FAMILIES = {
  'vae': ('configs/vae.py:digits,smoke', ('elbo', 'nll', 'latent', 'probe')),
  'gan': ('configs/gan.py:digits,smoke', ('image',)),
}
PART = 'eval.every=3,eval.size=16,eval.images=4'


@pytest.mark.parametrize('family', FAMILIES)
def test_all_that_is_saved_is_the_same_without_evals(project, tmp_path, family):
  words, evals = FAMILIES[family]
  states = {}
  for name, settings in (('with', f'{PART},evals={"+".join(evals)}'), ('without', 'eval.every=0')):
    config = vaejax.get_config(f'{words},steps=10,checkpoint.every=10,{settings}')
    vaejax.train(config, tmp_path / name)
    states[name] = values(tmp_path / name, 10)
  one, other = states['with'], states['without']
  assert one.keys() == other.keys() and len(one) > 10
  assert [key for key in one if one[key].tobytes() != other[key].tobytes()] == []
