"""The schedules that a config can name, such as cosine:warmup=100, and their arguments."""

from vaejax.errors import UserError
from vaejax.lookup import nearest

# {name: {argument: default}}; steps=0 is the whole run, None: any STEP=FACTOR.
SCHEDULES = {
  'constant': {},
  'linear': {'start': 0.0, 'end': 1.0, 'steps': 0.0},
  'cosine': {'warmup': 0.0, 'end': 0.0, 'steps': 0.0},
  'exponential': {'rate': 0.5, 'every': 0.0, 'staircase': 0.0},
  'piecewise': None,
}
INTEGERS = ('steps', 'warmup', 'every')


def parse(field: str, text: str) -> tuple[str, dict[str, float]]:
  """Returns ('cosine', {'warmup': 100.0, ...}) for 'cosine:warmup=100'. Raises UserError."""
  name, _, rest = text.partition(':')
  if name not in SCHEDULES:
    raise UserError(
      f'{field}={text!r} is unknown{nearest(name, SCHEDULES)}. Use {", ".join(SCHEDULES)}, with '
      'arguments after a colon, for example cosine:warmup=100,end=0.1'
    )
  defaults, arguments = SCHEDULES[name], {}
  for part in filter(None, rest.split(',')):
    key, _, value = part.partition('=')
    known = key in defaults if defaults is not None else number(key, integer=True) is not None
    value = number(value, integer=key in INTEGERS)
    if not known or value is None or key in arguments:
      form = 'STEP=FACTOR' if defaults is None else ', '.join(f'{k}=NUMBER' for k in defaults)
      raise UserError(
        f'{field}={text!r} has the argument {part!r}, but {name} takes {form or "nothing"}'
      )
    arguments[key] = value
  if name == 'piecewise' and not arguments:
    raise UserError(f'{field}={text!r} has no STEP=FACTOR. Use for example piecewise:1000=0.1')
  if name == 'exponential' and not (arguments.get('every') and arguments.get('rate', 1)):
    raise UserError(
      f'{field}={text!r} needs a rate above 0 and every=STEPS. Use for example '
      'exponential:rate=0.5,every=1000'
    )
  return name, {**(defaults or {}), **arguments}


def number(text: str, integer: bool) -> float | None:
  """Parses a number from 0 to below 2^31; None for any other text."""
  try:
    value = float(text)
  except ValueError:
    return None
  return value if 0 <= value < 2**31 and not (integer and value % 1) else None


def depends_on_steps(text: str) -> bool:
  """Whether a schedule spans the whole run."""
  return parse('schedule', text)[1].get('steps', 1) == 0
