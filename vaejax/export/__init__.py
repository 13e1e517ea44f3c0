"""A trained run outside of Python: its functions as files of several formats."""
