"""Describes a config without training: its fields, data, players, and nets layer by layer."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.config.fields import flat
from vaejax.core import factory, optim, prune
from vaejax.core.step import unowned
from vaejax.data import sources, splits
from vaejax.data.classes import describe
from vaejax.types import Example, Method, Variables, zeros

WIDTH = 120  # of a table of layers, in characters


def show(config, example: Example | None = None, data_dir: str | None = None) -> str:
  """Returns the description as text. Nothing is computed or written.

  `example` describes the data; None: read it from the dataset. Raises UserError as training does.
  """
  if example is None:
    example = sources.example(config.data, splits.table(config.data, 'train', data_dir))
  method = factory.make_method(config, example)
  calls, depth = [], 0

  def record(run, args, kwargs, context):
    nonlocal depth
    if depth == 0 and context.method_name == '__call__':
      calls.append((context.module, args, kwargs))
    depth += 1
    output = run(*args, **kwargs)
    depth -= 1
    return output

  with nn.intercept_methods(record):
    variables = jax.eval_shape(lambda: method.init(jax.random.key(0), zeros(example, 1)))
  parts = [
    'config:',
    *(f'  {name} = {value!r}' for name, value in flat(config).items()),
    '',
    'one example of the data:',
    *(f'  {name}: {f.dtype.name}{list(f.shape)}' for name, f in example.fields.items()),
    f'  {example.data} from {example.low:g} to {example.high:g}',
    *([f'  {describe(example.class_names, example.classes)}'] if example.classes else []),
    '',
    'players, in the order of their turns:',
    *players(config, method, variables),
    '',
    *tables(variables, calls),
  ]
  return '\n'.join(parts)


def players(config, method: Method, variables: Variables) -> list[str]:
  """Returns a line for each player: the nets that it trains, its optimizer and its rate."""
  lines = []
  for player in method.players:
    name, clip, given = optim.settings(config.optimizer, player.name)
    settings = ', '.join(
      f'{k}={v:g}' for k, v in (given | ({'clip': clip} if clip else {})).items()
    )
    schedule, pruned = config.schedule[player.lr], prune.target(config.optimizer, player.name)
    lines.append(
      f'  {player.name}: trains {", ".join(player.owns)}; {name}{settings and f" ({settings})"}, '
      f'hyper.{player.lr}={config.hyper[player.lr]:g} ({schedule})'
      + (f', {player.turns} turns' if player.turns > 1 else '')
      + (f', {player.batches} batches' if player.batches > 1 else '')
      + (f', {100 * pruned:g} % pruned ({config.optimizer.prune_by})' if pruned else '')
    )
  fixed = unowned(method.players, variables)
  return [*lines, f'  not trained: {", ".join(fixed)}'] if fixed else lines


def tables(variables: Variables, calls) -> list[str]:
  """Returns Linen's table of each net, from the calls that initialised it, and the totals."""
  parts, names = [], sorted(variables.params)
  if len(calls) == len(names):
    for name, (module, args, kwargs) in zip(names, calls, strict=True):
      blank = lambda x: jnp.zeros(x.shape, x.dtype) if hasattr(x, 'shape') else x
      args, kwargs = jax.tree.map(blank, (args, kwargs))
      console = {'force_terminal': False, 'width': WIDTH, 'no_color': True}
      table = module.clone(parent=None, name=None).tabulate(
        jax.random.key(0), *args, console_kwargs=console, **kwargs
      )
      lines = [line.rstrip() for line in table.strip().splitlines() if line.strip()]
      parts.append('\n'.join([f'{name}:', *lines, '']))
  count = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))
  per_net = ', '.join(f'{name} {count(variables.params[name]):,}' for name in names)
  statistics = count(variables.extra)
  more = f'; statistics: {statistics:,}' if statistics else ''
  parts.append(f'parameters: {count(variables.params):,} ({per_net}){more}')
  return parts
