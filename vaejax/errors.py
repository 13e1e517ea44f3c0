"""The two errors that end a command in one line."""


class UserError(ValueError):
  """A mistake in what was asked: the message says what was wrong, what would be accepted and what
  to do next. `launch.py` prints it in one line and exits with status 2."""


class RunError(RuntimeError):
  """A run that cannot go on: a loss that is not a number, a full disk. Exit status 1; the last good
  checkpoint stands."""
