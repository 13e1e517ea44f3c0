"""What is reported when metrics are not finite, and the error that ends a run."""

import contextlib
import math
from collections.abc import Mapping

from vaejax.core.stack import Member
from vaejax.distributed import processes
from vaejax.errors import RunError
from vaejax.runs import checkpoint
from vaejax.runs.resume import hyper_in_words, member_in_words
from vaejax.types import Method


def reasons(
  method: Method,
  hyper: Mapping[str, float],
  metrics: Mapping[int, Mapping[str, float]],
  first: int,
  last: int,
) -> dict[int, str]:
  """{place: which metrics of which players are not finite} of the members that have such metrics.

  Args:
    metrics: {place: the metrics of a member, or of the run, in steps first to last}.
  """
  players = [player.name for player in method.players]
  result = {}
  for place, values in metrics.items():
    if bad := [name for name, value in values.items() if not math.isfinite(value)]:
      bad = [name for name in bad if name not in hyper] or bad
      at_fault = [name for name in players if f'loss_{name}' in bad] or players
      result[place] = (
        f'{", ".join(bad)} of the player {", ".join(at_fault)} became {values[bad[0]]} in steps '
        f'{first} to {last}'
      )
  return result


def freezing(member: Member, reason: str, last: bool) -> str:
  """The line about a member that is frozen for a reason; `last` if all are frozen now."""
  others = 'all members are frozen now' if last else 'the others go on'
  return f'{member_in_words(member)}: {reason}. It is frozen at its last good step; {others}'


def fail(
  reason: str, hyper: Mapping[str, float], checkpoints: checkpoint.Checkpoints | None
) -> None:
  """Raises RunError on all processes, once the last checkpoint is saved; `checkpoints` are those of
  process 0."""

  def last_checkpoint() -> str:
    with contextlib.suppress(RunError):  # a full disk is not the reason
      checkpoints.wait()
    return checkpoints.describe_latest()

  raise RunError(
    f'{reason} ({hyper_in_words(hyper)}): {processes.broadcast(last_checkpoint)}. Try a smaller '
    'hyper.lr, or optimizer.clip=1, in another workdir'
  )
