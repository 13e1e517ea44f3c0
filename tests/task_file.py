"""A task in a file that is there only for a test."""

import textwrap

import pytest

import vaejax.tasks
from vaejax import lookup

BLEND = '''
  """Blend pictures with their reconstructions. A trial."""
  import numpy as np

  from vaejax.task_type import Result, Score, Setting

  SETTINGS = {
    'weight': Setting(0.5, 'share of the reconstruction', high=1),
    'how': Setting('mean', 'kind of blend', ('mean', 'none')),
  }
  ARGUMENTS = ('weight',)

  def run(model, pictures, settings, seed, progress):
    y = model.reconstruct(pictures.image, **model.conditions(pictures.fields))
    out = (1 - settings['weight']) * pictures.image + settings['weight'] * y
    error = lambda a: np.mean((a - pictures.image) ** 2, (1, 2, 3))
    scores = {'error': Score(error(out), {'reconstruction': error(y)}, 'lower')}
    rows = [('input', pictures.image[:4]), ('blend', out[:4])]
    return Result(out, rows, scores=scores if pictures.held_out else {})
'''


@pytest.fixture
def blend(tmp_path, monkeypatch, project):
  """A task of a file that is there only for the test."""
  folder = tmp_path / 'tasks'
  folder.mkdir()
  (folder / 'blend.py').write_text(textwrap.dedent(BLEND).lstrip())
  monkeypatch.setattr(vaejax.tasks, '__path__', [*vaejax.tasks.__path__, str(folder)])
  lookup.task_names.cache_clear()
  yield
  lookup.task_names.cache_clear()
