"""README's first run, in full: its number is the one that its config records."""

import ast
import json
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_default_run_gives_the_recorded_number(launch, tmp_path):
  text = ast.get_docstring(ast.parse((ROOT / 'configs' / 'vae.py').read_text()))
  recorded = re.search(r'mean (-[\d.]+) nats, standard deviation ([\d.]+) nats', text)
  mean, deviation = map(float, recorded.groups())
  result = launch('train', '--config=configs/vae.py', f'--workdir={tmp_path}')
  assert result.status == 0, result.err
  elbo = json.loads((tmp_path / 'evaluation.json').read_text())['elbo']
  assert (elbo['split'], elbo['n'], elbo['step']) == ('test', 297, 3000)
  assert abs(elbo['value'] - mean) < 4 * deviation
