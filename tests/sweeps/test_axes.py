"""The axes of a sweep: its members, their order, and their groups."""

import math
from pathlib import Path

import pytest

from vaejax.config.load import load_config
from vaejax.errors import UserError
from vaejax.sweeps import axes

CONFIGS = Path(__file__).parents[2] / 'configs'
VAE = f'{CONFIGS}/vae.py:smoke'


def make(*texts, spec=VAE, overrides=(), **settings):
  return axes.make_sweep(spec, overrides, [tuple(text.split(' ', 1)) for text in texts], **settings)


def test_the_last_axis_varies_fastest_and_members_are_their_values():
  sweep = make('grid seed=0:3', 'grid beta=1,4')
  assert [tuple(one.values()) for one in sweep.values] == [
    ('0', '1'), ('0', '4'), ('1', '1'), ('1', '4'), ('2', '1'), ('2', '4'),
  ]  # fmt: skip
  (group,) = sweep.groups
  assert [member.number for member in group.members] == list(range(6))
  assert [(member.seed, member.hyper['beta']) for member in group.members][:3] == [
    (0, 1.0), (0, 4.0), (1, 1.0),
  ]  # fmt: skip
  # What is not swept is the config's, an override's too.
  sweep = make('grid seed=7,9', overrides=[('beta', '3'), ('steps', '5')])
  assert {member.hyper['beta'] for member in sweep.groups[0].members} == {3.0}
  assert sweep.groups[0].config.steps == 5 and sweep.groups[0].config.seed == 7


@pytest.mark.parametrize(
  'text, values',
  [
    ('seed=0:4', ['0', '1', '2', '3']),
    ('seed=1:9:4', ['1', '5']),
    ('beta=4:0:-2', ['4', '2']),
    ('beta=1e-3, .5', ['1e-3', '.5']),
    ('model.widths=8,(16,4)', ['8', '(16,4)']),
  ],
)
def test_the_values_of_an_axis(text, values):
  assert [next(iter(one.values())) for one in make(f'grid {text}').values] == values


def test_other_fields_split_a_sweep_into_groups():
  sweep = make('grid seed=0:2', 'grid model.latents=3,5', 'grid beta=1,2')
  assert [group.config.model.latents for group in sweep.groups] == [3, 5]
  assert [[m.number for m in group.members] for group in sweep.groups] == [
    [0, 1, 4, 5],
    [2, 3, 6, 7],
  ]
  for group in sweep.groups:
    for member in group.members:
      assert sweep.values[member.number]['model.latents'] == str(group.config.model.latents)
      assert float(sweep.values[member.number]['hyper.beta']) == member.hyper['beta']


def test_zipped_axes_go_together_and_cross_the_others():
  sweep = make('zip seed=0,1', 'grid beta=1,2', 'zip lr=1e-3,1e-2')
  values = [(one['seed'], one['hyper.lr'], one['hyper.beta']) for one in sweep.values]
  assert values == [('0', '1e-3', '1'), ('0', '1e-3', '2'), ('1', '1e-2', '1'), ('1', '1e-2', '2')]


def test_draws_are_of_their_range_and_seed():
  draws = lambda text, seed=0: [
    float(next(iter(one.values()))) for one in make(f'grid {text}', draws=400, seed=seed).values
  ]
  rates = draws('lr=log:1e-4:1e-2')
  assert rates == draws('lr=log:1e-4:1e-2') != draws('lr=log:1e-4:1e-2', seed=1)
  assert min(rates) >= 1e-4 and max(rates) <= 1e-2
  # Uniform in the logarithm: its mean is -3, with a standard error of 0.03.
  assert abs(sum(map(math.log10, rates)) / 400 + 3) < 0.12
  flat = draws('beta=uniform:2:6')
  assert min(flat) >= 2 and max(flat) <= 6 and abs(sum(flat) / 400 - 4) < 0.24
  # Two ranges are one axis of independent draws.
  both = make('grid lr=log:1e-4:1e-2', 'grid seed=0:2', 'grid beta=uniform:0:1', draws=3).values
  assert len(both) == 6 and len({one['hyper.beta'] for one in both}) == 3
  assert [one['seed'] for one in both] == ['0', '1'] * 3  # it stands where the first range does


def test_a_seed_that_chooses_the_labelled_rows_is_no_axis_of_one_program():
  spec = f'{CONFIGS}/m2.py:smoke'
  assert len(make('grid seed=0:2', spec=spec).groups) == 2
  assert len(make('grid seed=0:2', spec=spec, overrides=[('data.seed', '0')]).groups) == 1
  data = 'grid data.seed=None,5'
  assert len(make(data, 'grid seed=0:2', spec=spec, overrides=[('data.seed', '0')]).groups) == 4


@pytest.mark.parametrize(
  'texts, message',
  [
    ((), 'a sweep needs an axis'),
    (('grid sed=0:3',), "unknown config field 'sed' (did you mean 'seed'?)"),
    (('grid seed',), '--grid seed is not FIELD=VALUES'),
    (('grid seed=3:3',), '--grid seed=3:3 has no values'),
    (('grid seed=',), 'has no values'),
    (('grid seed=0:9:0',), 'has no values'),
    (('grid seed=1,1',), 'repeats a value'),
    (('grid beta=a',), 'is not a number'),
    (('grid beta=1,-1',), 'hyper.beta=-1.0 is out of range'),
    (('grid batch_size=0',), 'batch_size=0 is out of range'),
    (('grid seed=0:2', 'grid config.seed=1'), 'unknown config field'),
    (('grid seed=0:2', 'grid seed=4'), 'seed is an axis already'),
    (('grid beta=1', 'grid hyper.beta=2'), 'hyper.beta is an axis already'),
    (('zip seed=0:2', 'zip beta=1'), 'but seed has 2, hyper.beta has 1'),
    (('grid lr=log:1e-4:1e-2',), 'has a range, but no number of draws'),
    (('grid seed=uniform:0:9',), 'only fields of hyper'),
    (('grid lr=uniform:-1:1',), 'hyper.lr=-1.0 is out of range'),
    (('grid lr=log:0:1',), 'LOW below HIGH and above 0'),
    (('grid lr=uniform:2:1',), 'LOW below HIGH'),
    (('grid lr=log:1',), '--grid lr=log:1 is not log:LOW:HIGH'),
    (('grid lr=log:1:b',), 'is not a number'),
    (('grid seed=0:200000',), '200,000 values, more than 100,000'),
    (('grid seed=0:4294967295',), 'more than 100,000'),
    (('grid seed=0:' + '9' * 5000,), 'is not a whole number'),
    (('grid beta=1,1e39',), 'at most 1e+38'),
    (('grid model.widths=(64,32',), 'is not a list of values'),
    (('grid seed=0:1000', 'grid beta=0:1000'), 'more than 100,000 members'),
  ],
)
def test_mistakes_are_one_line(texts, message):
  with pytest.raises(UserError) as error:
    make(*texts)
  assert message in str(error.value) and '\n' not in str(error.value)


def test_draws_need_a_range():
  with pytest.raises(UserError, match='needs a range'):
    make('grid seed=0:2', draws=3)


def test_every_config_can_be_swept():
  for path in sorted(CONFIGS.glob('*.py')):
    sweep = make('grid seed=0:2', 'grid lr=1e-4,1e-3', spec=f'{path}:smoke')
    assert len(sweep.values) == 4
    assert sum(len(group.members) for group in sweep.groups) == 4
    assert set(sweep.groups[0].members[0].hyper) == set(load_config(f'{path}:smoke').hyper)
