"""What one does with a trained model, one use a file: each is a verb of launch.py and a method of
Run.

A task defines SETTINGS {name: task_type.Setting}, and
run(model, pictures, settings, seed, progress) -> task_type.Result, see vaejax/task_type.py. It
raises UserError before any work for a model that lacks what it needs. A task may also define

  reads(model, settings) -> (field, shape): what the pictures of --inputs are, by default
    ('image', the shape of the run's images).
  ARGUMENTS: the settings that Run's method takes by position after the images.
  NEEDS_PICTURES = False: if it uses none unless they are given.
  ROWS: the default of --n.
  ENDINGS: {ending: setting}: further endings of --out, and the setting that each turns on, or ''.
"""
