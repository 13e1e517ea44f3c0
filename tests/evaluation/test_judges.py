"""A judge is the workdir of its run: kept by validation, found by its data, asked by command."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from vaejax.cli.main import main
from vaejax.data import splits
from vaejax.errors import UserError
from vaejax.evaluation import judges
from vaejax.evaluation.judge_cache import cache_path, keep
from vaejax.evaluation.judges import find
from vaejax.runs.trained import open_run
from vaejax.types import averaged

pytestmark = pytest.mark.slow  # a judge is trained

ROOT = Path(__file__).parents[2]
DATA = ConfigDict({'name': 'digits', 'size': 0, 'channels': 0})


def train(config, folder) -> Path:
  assert main(['train', f'--config={ROOT}/configs/{config}', f'--workdir={folder}']) == 0
  return folder


@pytest.fixture(scope='module')
def judged(tmp_path_factory):
  """The workdir of a judge of the digits, which is not kept in a cache."""
  place = tmp_path_factory.mktemp('judge')
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(place / 'cache'))
    return train('judge.py:smoke,steps=60,lr=1e-2', place / 'run')


@pytest.fixture(scope='module')
def conditional(tmp_path_factory):
  """The workdir of a run that takes labels."""
  return train('cvae.py:smoke', tmp_path_factory.mktemp('conditional') / 'run')


@pytest.fixture
def cache(tmp_path, monkeypatch):
  """An empty cache."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  return tmp_path / 'cache' / 'vaejax' / 'judges'


def test_what_it_says_and_saw_comes_back(judged, cache):
  run, judge = open_run(judged, print, 'best'), find(str(judged), DATA)
  rows = splits.table(run.config.data, 'test', None).load()
  batch = {'image': jnp.round(rows['image'] / 255 * 16) / 16}  # digits have 17 levels
  there = run.method.predict['classify'](averaged(run.state), batch, jax.random.key(0))
  said = judge.method.predict['classify'](judge.variables, batch, jax.random.key(0))
  np.testing.assert_allclose(said['logits'], there['logits'], rtol=1e-5, atol=1e-5)
  top, features = np.asarray(there['logits']).argmax(-1), np.float64(there['features'])
  assert judge.accuracy == pytest.approx((top == rows['label']).mean())
  assert 0.2 < judge.accuracy < 1
  np.testing.assert_allclose(judge.shares, np.bincount(top, minlength=10) / 297)
  np.testing.assert_allclose(judge.test.mean, features.mean(0), rtol=1e-4)
  np.testing.assert_allclose(judge.test.covariance, np.cov(features.T), rtol=1e-3, atol=1e-5)
  assert not np.allclose(judge.train.mean, judge.test.mean, rtol=1e-3)
  assert (judge.name, judge.read) == ('digits', 'digits test, 297 rows')
  assert judge.example == run.example


def test_what_it_made_of_its_data_is_kept_and_made_again_where_damaged(judged, cache, monkeypatch):
  first, looked = find(str(judged), DATA), []
  look = judges.classify_split
  monkeypatch.setattr(judges, 'classify_split', lambda *args: looked.append(1) or look(*args))
  assert find(str(judged), DATA).accuracy == first.accuracy and not looked
  (path,) = (cache / 'statistics').iterdir()
  whole = path.read_bytes()
  flipped = bytearray(whole)
  flipped[whole.index(first.shares.tobytes())] ^= 1
  for damaged in (b'', b'garbage', whole[:1000], bytes(flipped)):
    path.write_bytes(damaged)
    looked.clear()
    again = find(str(judged), DATA)
    assert len(looked) == 2 and again.accuracy == first.accuracy
    np.testing.assert_array_equal(again.shares, first.shares)


def test_it_is_found_by_dataset_or_by_name(judged, cache):
  with pytest.raises(UserError, match=r'no judge of digits\. .*configs/judge\.py:digits'):
    find('', DATA)
  said = []
  keep(judged, said.append)
  assert cache_path(DATA) == cache / 'digits.json' and str(cache_path(DATA)) in said[-1]
  assert find('', DATA).checksum == find(str(judged), DATA).checksum
  for other in ({'name': 'mnist'}, {'size': 16}, {'channels': 3}):
    with pytest.raises(UserError, match='there is no judge of'):
      find('', ConfigDict(DATA.to_dict() | other))
  with pytest.raises(UserError, match='no judge of mnist, and no labels to train one with'):
    find('', ConfigDict(DATA.to_dict() | {'name': 'mnist'}), labelled=False)
  with pytest.raises(UserError, match='contains no run'):
    find(str(judged.parent), DATA)


def test_the_better_on_validation_stays(judged, cache):
  keep(judged)
  about = json.loads(cache_path(DATA).read_text())
  rows = [json.loads(line) for line in (judged / 'metrics.jsonl').read_text().splitlines()]
  best = max(row['accuracy'] for row in rows if row['split'] == 'validation')
  assert about['value'] == pytest.approx(best) and about['metric'] == 'accuracy'
  assert about['workdir'] == str(judged.absolute())
  other = shutil.copytree(judged, cache.parent / 'other')
  for value, stays in ((0.999, True), (0.001, False)):
    cache_path(DATA).write_text(json.dumps(about | {'value': value, 'workdir': str(other)}))
    said = []
    keep(judged, said.append)
    assert (json.loads(cache_path(DATA).read_text())['value'] == value) == stays
    assert (f'eval.judge.workdir={judged}' in said[-1]) == stays
  # One that can no longer be read gives way, however good it was.
  for text in ('damaged', '[]', json.dumps(about | {'value': 0.999, 'workdir': '/none'})):
    cache_path(DATA).write_text(text)
    with pytest.raises(UserError):
      find('', DATA)
    keep(judged)
    assert json.loads(cache_path(DATA).read_text()) == about


def test_a_judge_that_changed_or_went_is_one_line(judged, cache):
  other = shutil.copytree(judged, cache.parent / 'other')
  keep(other)
  about = json.loads(cache_path(DATA).read_text())
  cache_path(DATA).write_text(json.dumps(about | {'checksum': 'x'}))
  with pytest.raises(UserError, match='has changed since') as error:
    find('', DATA)
  assert '\n' not in str(error.value)
  cache_path(DATA).write_text(json.dumps(about))
  shutil.rmtree(other)
  with pytest.raises(UserError, match='names a judge that cannot be read') as error:
    find('', DATA)
  assert '\n' not in str(error.value)


def test_without_validation_none_is_kept(cache, tmp_path):
  words = 'judge.py:smoke,validation=0,best='
  train(words, tmp_path / 'run')
  assert not cache_path(DATA).exists()


def test_a_cache_that_cannot_be_written_is_done_without(judged, tmp_path, monkeypatch):
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  said = []
  keep(judged, said.append)
  assert f'eval.judge.workdir={judged}' in said[-1]
  assert find(str(judged), DATA).accuracy > 0


def test_one_of_other_styles_or_that_reads_another_field_is_refused(judged):
  styled = ConfigDict(DATA.to_dict() | {'styles': 'digits'})
  for data, field in ((styled, 'label'), (DATA, 'style'), (styled, 'style')):
    with pytest.raises(UserError, match='predicts the label of images in 0 styles, but a judge of'):
      find(str(judged), data, field)


def test_judges_of_styles_have_files_of_their_own(cache):
  styled = ConfigDict(DATA.to_dict() | {'styles': 'digits'})
  assert cache_path(styled) == cache / 'digits-digits_styles.json'
  assert cache_path(styled, 'style') == cache / 'digits-digits_styles-style.json'
  for target, word in (('label', 'content'), ('style', 'style')):
    with pytest.raises(UserError, match=rf'by {word}\. .*configs/judge.py:digits,{word} '):
      find('', styled, target)


def test_transfers_are_judged_by_command(cache, tmp_path, capsys):
  run = train('style.py:smoke', tmp_path / 'run')
  judge = ['evaluate', f'--workdir={run}', '--evals=style']
  assert main(judge) == 2 and 'there is no judge of digits by content' in capsys.readouterr().err
  for word in ('content', 'style'):
    train(f'judge.py:smoke,{word}', tmp_path / word)
  assert sorted(path.name for path in cache.glob('*.json')) == [
    'digits-digits_styles-style.json',
    'digits-digits_styles.json',
  ]
  assert main(judge) == 0
  styled = ConfigDict(DATA.to_dict() | {'styles': 'digits'})
  reads = {'content': 'label', 'style': 'style'}
  recorded = json.loads((run / 'evaluation.json').read_text())
  shares = {
    name: recorded[name]['value']
    for name in recorded
    if name.startswith(('transfer_', 'reconstruction_'))
  }
  kept = recorded['content_kept']['value']
  assert kept * shares['reconstruction_content'] == pytest.approx(shares['transfer_content'])
  assert all(0 <= share <= 1 for share in shares.values())
  for name in ('transfer_content', 'transfer_style', 'content_kept', 'reconstruction_style'):
    for word in ('content', 'style'):
      checksum = find(str(tmp_path / word), styled, reads[word]).checksum[:16]
      assert recorded[name][f'{word}_judge_checksum'] == checksum
  assert sorted(path.name for path in (run / 'images').glob('transfers_*')) == [
    'transfers_00000010.png',
    'transfers_00000020.png',
  ]


@pytest.mark.slow
def test_a_run_is_judged_by_command(judged, conditional, cache, tmp_path, capsys):
  run = shutil.copytree(conditional, tmp_path / 'run')
  judge = ['evaluate', f'--workdir={run}', '--evals=judge']
  assert main(judge) == 2 and 'there is no judge of digits' in capsys.readouterr().err
  assert main([*judge, f'--config.eval.judge.workdir={judged}']) == 0
  shown = capsys.readouterr().out
  recorded = json.loads((run / 'evaluation.json').read_text())
  names = 'classes_covered', 'class_entropy', 'confidence', 'judge_accuracy'
  for name in (*names, 'label_agreement', 'label_agreement_least'):
    assert name in shown and recorded[name]['judge'] == 'digits'
    assert recorded[name]['judge_checksum'] == find(str(judged), DATA).checksum[:16]
    assert recorded[name]['error'] is not None
  workdirs = [f'--config.eval.{name}.workdir={judged}' for name in ('frechet', 'kernel')]
  assert main(['evaluate', f'--workdir={run}', '--evals=frechet,kernel', *workdirs]) == 0
  recorded = json.loads((run / 'evaluation.json').read_text())
  for name in ('frechet_digits', 'frechet_digits_floor', 'kernel_digits', 'kernel_digits_floor'):
    assert recorded[name]['judge_checksum'] == find(str(judged), DATA).checksum[:16]
    assert recorded[name]['interval'] and set(recorded[name]['content']) == {'image', 'label'}
  found, floor = (recorded[f'frechet_digits{end}']['value'] for end in ('', '_floor'))
  assert found > floor > 0
  keep(judged)
  other = train('judge.py:smoke,data.size=16', tmp_path / 'other')  # trained, so kept for its size
  assert cache_path(ConfigDict(DATA.to_dict() | {'size': 16})).is_file()
  capsys.readouterr()
  for wrong, said in (
    (other, 'judge of digits needs images of (16, 16, 1), but the run has images of (8, 8, 1)'),
    (tmp_path, 'contains no run'),
  ):
    assert main([*judge, f'--config.eval.judge.workdir={wrong}']) == 2
    told = capsys.readouterr().err
    assert said in told and told.splitlines()[-1].startswith('error: ') and 'Trace' not in told
  # A judge generates nothing: it is neither sampled nor judged.
  assert main(['sample', f'--workdir={other}']) == 2
  assert main(['evaluate', f'--workdir={other}', '--evals=judge']) == 2
  told = capsys.readouterr().err
  assert 'a run of classifier has no sample' in told and 'judge eval needs samples' in told


def test_a_label_of_a_conditional_run_is_asked_by_command(conditional, tmp_path, capsys):
  found, out = [], tmp_path / 'found.npy'
  sample = ['sample', f'--workdir={conditional}', '--n=4', f'--out={out}']
  for label in (7, 7, 3):
    assert main([*sample, f'--label={label}']) == 0
    found.append(np.load(out))
  np.testing.assert_array_equal(found[0], found[1])
  assert np.abs(found[0] - found[2]).max() > 1e-3
  assert main([*sample, '--label=10']) == 2
  assert 'not a class from 0 to 9' in capsys.readouterr().err


def test_a_judge_whose_test_split_has_no_labels_is_not_kept(cache, tmp_path, capsys):
  random, path = np.random.default_rng(0), tmp_path / 'set.npz'
  arrays = {'train_images': random.integers(0, 256, (60, 8, 8, 1), np.uint8)}
  arrays['train_labels'] = np.arange(60) % 3
  arrays['test_images'], arrays['test_labels'] = arrays['train_images'][:9], np.full(9, -1)
  np.savez(path, **arrays)
  train(f'judge.py:{path},smoke', tmp_path / 'run')
  shown = capsys.readouterr()
  assert 'its test split has no labels, so its accuracy is unknown' in shown.err
  assert not list(cache.glob('*.json'))
  assert find(str(tmp_path / 'run'), DATA).accuracy is None


def test_a_judge_whose_data_is_replaced_is_no_judge(judged, monkeypatch):
  run = judges.open_judge(judged)
  other = {**run.data, 'test': {**run.data['test'], 'content': {'image': 'x'}, 'sample': None}}
  monkeypatch.setattr(judges, 'open_judge', lambda *_: run._replace(data=other))
  with pytest.raises(UserError, match=r'no longer what it was trained on \(test: digits test'):
    find(str(judged), DATA)
