"""What the processes beside the first have in place of a log and of checkpoints: nothing. Process 0
writes for all; see reporting.log.Log and runs.checkpoint.Checkpoints for what is left out here."""


class Log:
  """The log of a process that leaves it to process 0."""

  def scalars(self, step, split, seconds, values, final=False) -> None:
    """Appends no row."""

  def members(self, step, split, seconds, rows, mean, final=False) -> None:
    """Appends no rows."""

  def images(self, step, name, image) -> None:
    """Writes no picture."""

  def progress(self, step, values) -> None:
    """Shows nothing."""

  def away(self, seconds) -> None:
    """Counts nothing."""

  def say(self, text) -> None:
    """Says nothing."""


class Checkpoints:
  """The checkpoints of a process that leaves them to process 0."""

  def save(self, state, metrics=(), row=None) -> None:
    """Saves nothing."""

  def wait(self) -> None:
    """Waits for nothing."""

  def standing(self) -> str:
    """What stands, in words."""
    return 'process 0 knows what stands'
