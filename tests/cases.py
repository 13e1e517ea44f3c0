"""Every config at its smoke size, made ready to run; and states compared."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from chunks import averaged_chunk, jit_as_users

from vaejax.config.load import load_config
from vaejax.core import factory, optim
from vaejax.core.step import create_state, make_step
from vaejax.data import sources, splits
from vaejax.data.source import Source
from vaejax.types import Method, State

CONFIGS = Path(__file__).parent.parent / 'configs'

BATCH_NORM = {'net': 'conv', 'model.channels': '8', 'norm': 'batch', 'ema': '0.9'}
RESNET = {'net': 'resnet', 'model.channels': '8', 'likelihood': 'sigma_vae', 'accumulate': '2'}
GAUSSIAN = {'likelihood': 'gaussian_pixel', 'clip': '10', 'optimizer.name': 'adamw'}
BINARY = {'likelihood': 'bernoulli', 'data.binarise': 'dynamic', 'bias': 'data'}
# {id: (config, settings)}: every config as it is, and some in other shapes.
# Without those that differ from another one only in what images are predicted from.
SAME = 'colourise', 'denoise', 'translate'
STEMS = sorted(path.stem for path in CONFIGS.glob('*.py') if path.stem not in SAME)
SETTINGS = {stem: (stem, {}) for stem in STEMS}
SETTINGS |= {
  f'source, {system}': (f'source:{system}', {})
  for system in ('conv28', 'shared_mlp', 'conv32', 'style')
}
# So small a critic takes more steps at its own rate than a test has.
SMALL_CRITIC = {'model.critic.channels': '8,8', 'hyper.lr_critic': '2e-3'}
SETTINGS['superres'] = 'superres:adversarial', SMALL_CRITIC
SETTINGS['imagenet'] = 'imagenet', {'data.size': '8'}
SETTINGS |= {
  'gan, wasserstein': ('gan:wasserstein', {}),
  'gan, hinge, conditional': ('gan:hinge,conditional', {}),
  'gan, packing, conditional, r1': (
    'gan:conditional',
    {'objective.packing': '2', 'objective.penalty': 'r1'},
  ),
  'vaegan, paper': (
    'vaegan:paper',
    {
      'net': 'conv',
      'model.critic.net': 'conv',
      'model.critic.layer': '2',
      'hyper.lr': '1e-3',  # the paper's 3e-4 takes more steps than a test has
      'hyper.lr_critic': '1e-3',
    },
  ),
  'conv, batch norm, ema': ('vae', BATCH_NORM),
  'resnet, sigma_vae, accumulate': ('beta_vae', RESNET),
  'iwae, gaussian, clip': ('iwae', GAUSSIAN),
  'iwae, two, paper': ('iwae:two,paper', BINARY),
  'iwae, conditional': ('iwae:conditional,vae', {}),
  'tcvae': ('beta_vae:tcvae', {}),
  'factor': ('beta_vae:factor', {}),
  'dip_ii, sigma_vae, accumulate': (
    'beta_vae:dip_ii',
    {'likelihood': 'sigma_vae', 'accumulate': '2'},
  ),
}
# One game of one player and one of two in seconds; all the others in the slow tests.
DEFAULT = ('vae', 'gan')
# RMSprop divides small gradients by their size, which magnifies how another program rounds.
SENSITIVE = ('source, conv32',)
CASES = [pytest.param(id, marks=[] if id in DEFAULT else pytest.mark.slow) for id in SETTINGS]
# Which nets have statistics, as batch normalisation has; those of all other cases have none.
STATISTICS = {
  'gan': {'generator'},
  'gan, wasserstein': {'generator'},
  'gan, hinge, conditional': {'generator', 'critic'},
  'gan, packing, conditional, r1': {'generator'},
  'vaegan, paper': {'encoder', 'decoder', 'critic'},
  'judge': {'classifier'},
  'unit': {'critic_image', 'critic_source'},
  'superres': {'critic'},
  'vaegan': {'encoder', 'decoder', 'critic'},
  'source, conv32': {'decoder'},
  'iwae, two, paper': {'decoder'},
  'conv, batch norm, ema': {'encoder'},
  'resnet, sigma_vae, accumulate': {'decoder'},
  'dip_ii, sigma_vae, accumulate': {'decoder'},
}


# Nets whose only statistics are constants, from the first batch.
CONSTANT = {'iwae, two, paper': {'decoder'}}


class Case(NamedTuple):
  """A config made ready to run, and its own chunk compiled."""

  id: str
  config: Any
  rows: Any
  method: Method
  source: Source
  init: Any  # (key, hyper) -> the first state
  state: State
  chunk: Any
  traces: list


def build(id: str) -> Case:
  name, settings = SETTINGS[id]
  stem, _, words = name.partition(':')
  config = load_config(f'{CONFIGS}/{stem}.py:smoke,{words}', settings.items())
  rows = splits.table(config.data, 'train', None)
  method = factory.make_method(config, sources.example(config.data, rows))
  leave_out, n = 'left_out' in config.hyper, examples(config, method)
  source = sources.train(config.data, rows, n, config.seed, leave_out=leave_out)
  optimizer, traces = config.optimizer, []
  step = make_step(
    method,
    optim.schedules(config.schedule, config.steps),
    optimizer.ema,
    optimizer.accumulate,
  )

  def counted(state, batch):
    traces.append(1)
    return step(state, batch)

  def init(key, hyper):
    state = create_state(method, key, hyper, source.example)
    return state.replace(ema=state.variables) if optimizer.ema else state

  init = jax.jit(init)
  state = init(jax.random.key(config.seed), dict(config.hyper))
  chunk = compiler(id)(averaged_chunk(counted, source.draw))
  return Case(id, config, rows, method, source, init, state, chunk, traces)


def compiler(id: str):
  """As users compile in the default cases. In the others half of the time would go into it, and
  what is compared there is of one program or within a tolerance."""
  return jit_as_users if id in (*DEFAULT, *SENSITIVE) else jax.jit


def examples(config, method: Method) -> int:
  """How many one step draws."""
  return config.batch_size * method.batches


def run(case: Case, *lengths: int, state=None):
  """The state after chunks of these lengths, and each chunk's metrics."""
  state, every = case.state if state is None else state, []
  (buffer, _), *_ = case.source.buffers(int(state.step), case.config.steps)
  for length in lengths:
    state, metrics = case.chunk(state, buffer, np.int32(length))
    every.append(jax.device_get(metrics))
  return state, every


def assert_identical(a: State, b: State):
  """Bit for bit, in every leaf."""
  a, b = (jax.device_get(s.replace(key=jax.random.key_data(s.key))) for s in (a, b))
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for (path, x), y in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
    assert x.dtype == y.dtype and x.tobytes() == y.tobytes(), jax.tree_util.keystr(path)


def identical(a, b) -> bool:
  """Whether two trees have the same bits."""
  pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
  return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in pairs)


def first_batch(case: Case):
  """The batch of the first step."""
  (buffer, _), *_ = case.source.buffers(0, 1)
  return jax.jit(case.source.draw)(buffer, case.state.key, case.state.step)


def flat(tree) -> np.ndarray:
  """All leaves as one vector."""
  return np.concatenate([np.ravel(x) for x in jax.device_get(jax.tree.leaves(tree))])
