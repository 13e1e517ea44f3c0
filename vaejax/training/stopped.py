"""A run that a signal has ended."""

import signal


class Stopped(Exception):
  """A signal with this `number` ended the run, which can be resumed."""

  def __init__(self, number: int, step: int):
    name = signal.Signals(number).name
    super().__init__(f'stopped by {name} at step {step}; the same command resumes from there')
    self.number = number
