"""The two errors that end a command with one line."""


class UserError(ValueError):
  """A mistake by the user. The message says what is wrong, what would work and what to do next;
  `launch.py` prints it as one line and exits with status 2. Each argument is a message."""

  def __str__(self) -> str:
    return '; '.join(map(str, self.args))


class RunError(RuntimeError):
  """A run that cannot continue, for example a non-finite loss or a full disk. Exit status 1; the
  last good checkpoint is kept."""
