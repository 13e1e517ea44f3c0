"""Tasks: a file becomes a verb and a method, with files, scores and errors of one line."""

import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import vaejax
from vaejax.api import tasks
from vaejax.cli.main import main
from vaejax.cli.trained import run_task
from vaejax.errors import UserError
from vaejax.estimates import Estimate
from vaejax.task_type import Result, Score, in_words


def picture(path, height, width):
  values = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
  path.parent.mkdir(exist_ok=True)
  Image.fromarray(values).save(path)


def test_a_verb_writes_picture_array_and_scores(blend, copied, capsys):
  assert main(['blend', f'--workdir={copied}', '--n=6', '--weight=0.25']) == 0
  shown = capsys.readouterr().out
  assert shown.startswith('error 0.') and 'reconstruction' in shown
  assert np.load(copied / 'tasks' / 'blend.npy').shape == (6, 8, 8, 1)
  saved = json.loads((copied / 'tasks' / 'blend.json').read_text())
  score, protocol = saved['scores']['error'], saved['protocol']
  # The error of the blend is 1/16 of that of the reconstruction.
  assert score['value'] == pytest.approx(score['baseline_value'] / 16, rel=1e-4)
  assert score['baseline'] == 'reconstruction' and score['n'] == 6 and score['difference'] < 0
  assert protocol['settings'] == {'weight': 0.25, 'how': 'mean'} and protocol['split'] == 'test'
  png = Image.open(copied / 'tasks' / 'blend.png')
  assert png.text['command'].startswith('python launch.py blend ') and png.size[0] > 4 * 64


def test_a_method_gives_the_same(blend, copied):
  run = vaejax.load(copied)
  x = np.random.default_rng(0).integers(0, 17, (3, 8, 8, 1)).astype(np.float32) / 16
  result = run.blend(x, 0.0)
  assert np.allclose(np.asarray(result), x) and not result.scores
  assert result._repr_png_()[:4] == b'\x89PNG'
  assert len(result.figure().axes) == 1 and 'blend' in dir(run)
  with pytest.raises(AttributeError, match="did you mean 'blend'"):
    run.blnd  # noqa: B018


def test_files_and_folders(blend, copied, tmp_path, capsys):
  for i in range(3):
    picture(tmp_path / 'p' / f'{i}.png', 40, 40)
  assert main(['blend', f'--workdir={copied}', f'--inputs={tmp_path / "p"}']) == 0
  assert np.load(copied / 'tasks' / 'blend.npy').shape == (3, 8, 8, 1)
  two = ','.join(str(tmp_path / 'p' / f'{i}.png') for i in (2, 0))
  assert main(['blend', f'--workdir={copied}', f'--inputs={two}', '--n=1']) == 0
  assert len(np.load(copied / 'tasks' / 'blend.npy')) == 1
  # The user's pictures are no held-out rows, so there is no score.
  assert not (copied / 'tasks' / 'blend.json').exists()


@pytest.mark.parametrize(
  ('words', 'text'),
  [
    ('--weight=3', 'weight=3.0 is out of range. Use 0 to 1'),
    ('--weight=a', "--weight: 'a' is not a number"),
    ('--how=max', "invalid choice: 'max'"),
    ('--wieght=1', "did you mean '--weight'"),
    ('--inputs=MIXED', '40x40 pixels'),
    ('--inputs=MIXED/text.png', 'cannot be read: no format of pictures'),
    ('--inputs=EMPTY', 'has no pictures'),
    ('--inputs=nowhere.png', 'there is no file or folder nowhere.png'),
    ('--inputs=', "'' names no pictures"),
    (f'--inputs={",".join(f"picture_{i}.png" for i in range(40))}', 'picture_0.png'),
    ('--inputs=MIXED --split=test', 'exclude each other'),
    ('--out=nowhere/x.png', 'there is no folder nowhere'),
    ('--out=x.pdf', 'Use a name that ends in .png'),
    ('--out=x.mp4', 'Use a name that ends in .png'),
    ('--split=tset', "has no split 'tset'"),
  ],
)
def test_bad_input_is_one_line(blend, copied, tmp_path, capsys, words, text):
  picture(tmp_path / 'mixed' / 'a.png', 40, 40)
  picture(tmp_path / 'mixed' / 'b.png', 20, 30)
  (tmp_path / 'mixed' / 'text.png').write_text('none')
  (tmp_path / 'empty').mkdir()
  if 'text.png' not in words:
    (tmp_path / 'mixed' / 'text.png').unlink()
  words = words.replace('MIXED', str(tmp_path / 'mixed')).replace('EMPTY', str(tmp_path / 'empty'))
  assert main(['blend', f'--workdir={copied}', *words.split()]) == 2
  shown = capsys.readouterr().err
  assert shown.startswith('error: ') and shown.count('\n') == 1 and text in shown
  assert not (copied / 'tasks').exists()


def test_scores_are_beside_the_picture_if_the_run_cannot_be_written(blend, copied, tmp_path):
  (copied / 'tasks').write_text('in the way')
  words = f'--workdir={copied}', '--n=2', f'--out={tmp_path / "x.png"}'
  assert main(['blend', *words]) == 0
  assert 'error' in json.loads((tmp_path / 'blend.json').read_text())['scores']


def test_scores_do_not_outlive_the_outputs_that_they_are_of(blend, copied, tmp_path):
  picture(tmp_path / 'p' / 'a.png', 8, 8)
  scores, inputs = copied / 'tasks' / 'blend.json', f'--inputs={tmp_path / "p"}'
  assert main(['blend', f'--workdir={copied}', '--n=2']) == 0
  assert main(['blend', f'--workdir={copied}', inputs, f'--out={tmp_path / "x.png"}']) == 0
  assert scores.is_file()  # that is of the picture beside it
  assert main(['blend', f'--workdir={copied}', inputs]) == 0
  assert not scores.exists()


def test_an_unscored_task_has_no_scores_of_an_earlier_one(blend, copied, tmp_path):
  picture(tmp_path / 'p' / 'a.png', 8, 8)
  run = partial(run_task, copied, data_dir=None, out=tmp_path / 'out')
  assert 'error' in run(['blend', '--n=2'])
  assert run(['blend', f'--inputs={tmp_path / "p"}']) == {}


def test_mixed_sizes_are_fitted_on_demand(blend, copied, tmp_path):
  picture(tmp_path / 'mixed' / 'a.png', 40, 40)
  picture(tmp_path / 'mixed' / 'b.png', 20, 30)
  assert main(['blend', f'--workdir={copied}', f'--inputs={tmp_path / "mixed"}', '--fit=pad']) == 0


def test_arguments_of_methods_are_checked(blend, copied):
  run = vaejax.load(copied)
  x = np.zeros((2, 8, 8, 1), np.float32)
  for call, text in (
    (lambda: run.blend(), 'needs pictures'),
    (lambda: run.blend(x[:, :7]), 'has the shape'),
    (lambda: run.blend(x[:0]), 'there are none'),
    (lambda: run.blend(x, 0.1, weight=0.2), 'was given weight twice'),
    (lambda: run.blend(x, wieght=1.0), "did you mean 'weight'"),
    (lambda: run.blend(x, 'half'), "weight='half' is not a number"),
    (lambda: run.blend(x, 0.1, 'mean'), 'takes 1 arguments after the images, but got 2'),
    (lambda: run.blend(x, how='max'), 'how='),
    (lambda: run.blend(x, seed=-1), 'seed=-1'),
  ):
    with pytest.raises(UserError, match=text):
      call()


def test_a_score_has_paired_differences():
  ours, other = np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.5, 2.5])
  values = Score(ours, {'weak': ours - 9, 'strong': other}).to_json()
  assert values['baseline'] == 'strong' and values['difference'] == pytest.approx(2 / 3)
  assert values['difference_error'] == pytest.approx(np.std(ours - other, ddof=1) / 3**0.5)
  lower = Score(ours, {'a': ours + 1, 'b': other}, 'lower').to_json()
  assert lower['baseline'] == 'b'
  paired = Score(Estimate(3.0, 0.3), {'a': Estimate(1.0, 0.4)}, 'lower', {'a': Estimate(2.0, 0.1)})
  assert paired.to_json()['difference_error'] == 0.1
  known = Score(Estimate(3.0, 0.3), {'a': Estimate(1.0, 0.4)}).to_json()
  assert known['difference'] == 2.0 and known['difference_error'] == pytest.approx(0.5)
  assert in_words('psnr', Score(ours, {})) == 'psnr 2.0000 ± 0.5774'


def test_progress_is_a_line_every_ten_seconds(monkeypatch):
  clock, lines = iter([0.0, 1.0, 12.0, 13.0, 30.0]), []
  monkeypatch.setattr(tasks.time, 'monotonic', lambda: next(clock))
  show = tasks.progress('blend', lines.append)
  for done in (1, 2, 3, 4):
    show(done, 4)
  assert lines == ['blend: 50%, 12 s left']


def test_a_result_without_a_picture_shows_none():
  assert Result(np.zeros((1, 2, 2, 1)))._repr_png_() is None


def test_a_folder_is_no_place_of_outputs(tmp_path):
  run = SimpleNamespace(folder=tmp_path / 'run')
  (tmp_path / 'b.png').mkdir()
  for place in (tmp_path, tmp_path / 'b'):
    with pytest.raises(UserError, match='it is a folder'):
      tasks.check_out(run, place, ('.png', '.gif'))
  assert tasks.check_out(run, tmp_path / 'a', ('.png', '.gif')) == tmp_path / 'a.png'
