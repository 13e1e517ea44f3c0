"""Recorded values with their errors and protocols, as texts."""

from collections.abc import Iterable, Mapping
from typing import Any

from vaejax.reporting.page import format_number, is_number

# Fields of a recorded value: those of the estimate, and those that come first in a table.
ESTIMATE = 'value', 'error', 'interval', 'draws_error', 'note'
FIRST = 'split', 'n', 'seed', 'step', 'weights', 'code'


def with_error(value: Any, error: Any = None) -> str:
  """A value with its error as text: '98.43 ± 0.051', or '–' if it is not finite."""
  if not is_number(value):
    return '–'
  return format_number(value) + (f' ± {error:.2g}' if is_number(error) else '')


def interval_text(result: Mapping[str, Any]) -> str:
  """The 95 % interval of a recorded value: its own, or value ± 1.96 standard errors."""
  value, error, interval = result.get('value'), result.get('error'), result.get('interval')
  if interval is None and is_number(value) and is_number(error):
    interval = value - 1.96 * error, value + 1.96 * error
  if not isinstance(interval, list | tuple) or not all(map(is_number, interval)):
    return '–'
  return ' to '.join(map(format_number, interval))


def protocol_of(result: Mapping[str, Any]) -> dict[str, Any]:
  """The fields of a recorded value that are its protocol: first those that every value has."""
  rest = {field: x for field, x in result.items() if field not in ESTIMATE}
  return {field: rest[field] for field in FIRST if field in rest} | rest


def table_of(results: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
  """The head and rows of a table of recorded values, with the fields FIRST."""
  fields = [field for field in FIRST if any(field in result for result in results.values())]
  extra = [f for f in ('draws_error', 'note') if any(r.get(f) for r in results.values())]
  rows = [
    [name, with_error(result.get('value'), result.get('error')), interval_text(result)]
    + [show(result.get(field)) for field in extra]
    + [show(result.get(field)) for field in fields]
    for name, result in results.items()
  ]
  return ['metric', 'value', '95 % interval', *(f.replace('_', ' ') for f in extra), *fields], rows


def details_of(results: Mapping[str, Mapping[str, Any]], besides=FIRST) -> list[str]:
  """What recorded values depend on besides some fields: a line for all values that share it,
  'recon, kl: read digits test, draws 4'."""
  names = {}
  for name, result in results.items():
    rest = {field: x for field, x in protocol_of(result).items() if field not in besides}
    names.setdefault(lines_of([rest]), []).append(name)
  return [f'{", ".join(values)}: {line}' for line, values in names.items() if line]


def show(x: Any) -> str:
  """A field of a protocol as a text; '' for None."""
  if x is None:
    return ''
  if isinstance(x, Mapping):
    return ', '.join(f'{name} {show(value)}' for name, value in x.items())
  return format_number(x) if type(x) is float else str(x)


def lines_of(protocols: Iterable[Mapping[str, Any]]) -> str:
  """All values of each field of several protocols: 'split test, n 297, step 20 / 30'. The field
  'seed' is called evaluation seed, because it is not that of a training."""
  fields = {}
  for protocol in protocols:
    for field, x in protocol_of(protocol).items():
      name = 'evaluation seed' if field == 'seed' else field
      fields.setdefault(name, {})[show(x)] = None
  return ', '.join(f'{field} {" / ".join(xs)}' for field, xs in fields.items() if any(xs))
