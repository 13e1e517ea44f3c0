"""Schedules as a config has them: their names, their arguments, and how a text says both."""

from vaejax.errors import UserError
from vaejax.lookup import nearest

# The arguments of each schedule, with their defaults; steps=0 stands for the whole run.
SCHEDULES = {
  'constant': {},
  'linear': {'start': 0.0, 'end': 1.0, 'steps': 0.0},
  'cosine': {'warmup': 0.0, 'end': 0.0, 'steps': 0.0},
  'exponential': {'rate': 0.5, 'every': 0.0, 'staircase': 0.0},
  'piecewise': None,
}
WHOLE = ('steps', 'warmup', 'every')


def parse(field: str, text: str) -> tuple[str, dict[str, float]]:
  """'cosine:warmup=100' -> ('cosine', {'warmup': 100.0, ...}). Raises UserError."""
  name, _, rest = text.partition(':')
  if name not in SCHEDULES:
    raise UserError(
      f'{field}={text!r} is unknown{nearest(name, SCHEDULES)}: it takes {", ".join(SCHEDULES)}, '
      'with arguments after a colon as in cosine:warmup=100,end=0.1'
    )
  defaults, arguments = SCHEDULES[name], {}
  for part in filter(None, rest.split(',')):
    key, _, value = part.partition('=')
    known = key in defaults if defaults is not None else number(key, whole=True) is not None
    value = number(value, whole=key in WHOLE)
    if not known or value is None or key in arguments:
      form = 'STEP=FACTOR' if defaults is None else ', '.join(f'{k}=NUMBER' for k in defaults)
      raise UserError(f'{field}={text!r}: cannot read {part!r}; {name} takes {form or "nothing"}')
    arguments[key] = value
  if name == 'piecewise' and not arguments:
    raise UserError(f'{field}={text!r}: piecewise needs STEP=FACTOR, as in piecewise:1000=0.1')
  if name == 'exponential' and not (arguments.get('every') and arguments.get('rate', 1)):
    raise UserError(
      f'{field}={text!r}: exponential needs every=STEPS, those of one factor, and a rate above 0'
    )
  return name, {**(defaults or {}), **arguments}


def number(text: str, whole: bool) -> float | None:
  """A number from 0 up that a step can be, or None where the text is not one."""
  try:
    value = float(text)
  except ValueError:
    return None
  return value if 0 <= value < 2**31 and not (whole and value % 1) else None


def depends_on_steps(text: str) -> bool:
  """Whether a schedule stretches over the run's own number of steps."""
  return parse('schedule', text)[1].get('steps', 1) == 0
