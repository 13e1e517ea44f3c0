"""Edits: the change, which rows are edited, true results, and what is written."""

import copy

import numpy as np
import pytest
from given import pictures, small

from vaejax.cli.main import main
from vaejax.data.variants import untoned
from vaejax.errors import UserError
from vaejax.evaluation import attribute_rows
from vaejax.evaluation.attribute_rows import Rows
from vaejax.evaluation.learned_change import learn
from vaejax.evaluation.sides import Side
from vaejax.tasks import edit

SETTINGS = {name: setting.default for name, setting in edit.SETTINGS.items()}


def test_the_decoded_change_is_added_to_the_picture():
  run = small('vae')
  x, added, removed = (pictures(run, n).image for n in (5, 3, 4))
  added, removed = np.round(added * 4) / 16, np.round(8 + removed * 8) / 16
  result = run.edit(x, added, removed, strength=0.5)
  z = run.encode(x)
  v = 0.5 * (run.encode(added).mean(0) - run.encode(removed).mean(0))
  expected = np.clip(x + run.decode(z + v) - run.decode(z), 0, 1)
  assert result.images.shape == (5, 1, 8, 8, 1)
  assert np.allclose(result.images[:, 0], expected, atol=1e-5)
  decoded = run.edit(x, added, removed, strength=0.5, decoded=True).images[:, 0]
  assert np.allclose(decoded, run.decode(z + v), atol=1e-5)
  assert np.allclose(run.edit(x, added, removed, strength=0.0).images[:, 0], x, atol=1e-6)
  assert len(result.frames) == 2 * edit.MOVES


def test_what_a_change_is_learned_from():
  z = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
  values = np.repeat([0, 1, 2], 40)
  z[values == 1] = z[values == 0] + [1, 0, 0]
  keys, groups = list(np.tile(np.arange(40), 3)), np.tile(np.arange(40), 3)
  rows = Rows(z, values, keys, groups)
  by = lambda vector, a, b, rows=rows: learn(None, rows, a, b, vector, 0)
  zero, one = Side('0', 0), Side('1', 1)
  paired = by('pairs', zero, one)
  assert np.allclose(paired.shift.offset, [1, 0, 0], atol=1e-5) and paired.how == '40 pairs'
  assert paired.weights.sum() == pytest.approx(0) and (paired.weights[:40] < 0).all()
  assert np.allclose(by('regression', zero, one).shift(z[:4]), [1, 0, 0], atol=1e-4)
  # There are too few pairs for the regression, so the means are taken by default.
  assert by('auto', zero, one).how == 'means of 40 rows minus 40'
  rest = by('means', Side('the rest'), one)
  assert np.allclose(rest.shift.offset, z[values == 1].mean(0) - z[values != 1].mean(0), atol=1e-5)
  with pytest.raises(UserError, match='Use vector=means'):
    by('pairs', Side('the rest'), one)
  one_group = rows._replace(groups=np.zeros(120, int))
  with pytest.raises(UserError, match='two groups of variants'):
    by('regression', zero, one, one_group)
  with pytest.raises(UserError, match='no training row has 7'):
    by('auto', Side('7', 7), one)


def test_the_label_of_a_conditional_model_is_changed():
  run = small('cvae')
  given = pictures(run, 40)
  settings = SETTINGS | {'add': '3', 'decoded': True}
  result = edit.run(run, given, settings, 0, lambda *_: None)
  label = given.fields['label']
  z = run.encode(given.image, label=label)
  assert np.allclose(result.images[:, 0], run.decode(z, label=np.full(40, 3)), atol=1e-5)
  assert result.protocol['learned'] == ['the label that the model is given']


def test_classes_that_are_named_by_other_numbers():
  run = copy.copy(small('cvae'))
  run.example = run.example._replace(class_names=tuple(map(str, range(1, 11))))
  given = pictures(run, 40)
  settings = SETTINGS | {'add': '3', 'decoded': True}  # the class of number 2
  result = edit.run(run, given, settings, 0, lambda *_: None)
  plain, label = small('cvae'), given.fields['label']
  z = plain.encode(given.image, label=label)
  assert np.allclose(result.images[:, 0], plain.decode(z, label=np.full(40, 2)), atol=1e-5)


def test_a_folder_is_added_to_data_without_labels():
  run = small('vae')
  x = pictures(run, 8).image
  given = pictures(run, 8)  # its training rows are these, and have no labels
  given = given._replace(split='test')
  result = edit.run(run, given, SETTINGS | {'add': x[:2], 'decoded': True}, 0, lambda *_: None)
  z = run.encode(x)
  v = z[:2].mean(0) - z.mean(0)
  assert np.allclose(result.images[:, 0], run.decode(z + v), atol=1e-5)


def test_rows_of_a_split_have_what_is_removed_or_lack_what_is_added():
  given = pictures(small('vae'), 5, 'test', label=np.array([0, 1, 2, 1, 0]))
  index = lambda *sides: edit.chosen(given, None, *sides).tolist()
  rest = Side('the rest')
  assert index(Side('1', 1), [Side('2', 2)]) == [1, 3]
  assert index(rest, [Side('0', 0)]) == [1, 2, 3]
  assert index(Side('folder', None, given.image), [Side('0', 0)]) == [0, 1, 2, 3, 4]
  with pytest.raises(UserError, match='no row of test has 7'):
    index(Side('7', 7), [rest])


def test_true_results_are_the_rows_of_the_value_that_was_added(monkeypatch):
  factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0, 2]])
  given = pictures(small('vae'), 5, 'test', factors=factors)
  keys = [(designer,) for designer, _ in factors]
  monkeypatch.setattr(attribute_rows, 'known', lambda *_: (keys, np.arange(5)))
  truth = edit.partners(
    None, given, 1, np.array([0, 2]), Side('0', 0), [Side('1', 1), Side('2', 2)]
  )
  assert truth.tolist() == [[1, 4], [3, -1]]
  same = given._replace(image=given.image[[0, 0, 2, 3, 4]])  # rows 0 and 1 are one picture
  sides = Side('0', 0), [Side('1', 1), Side('2', 2)]
  assert edit.partners(None, same, 1, np.array([0, 2]), *sides).tolist() == [[-1, 4], [3, -1]]
  # Copying is exact for none, the true rows would be.
  outputs = {'ours': given.image[np.maximum(truth, 0)]}
  outputs['copy'] = np.repeat(given.image[[0, 2]][:, None], 2, axis=1)
  run = small('vae')
  negative_error = lambda x, y: {'psnr': -np.square(x - y).mean((1, 2, 3))}
  monkeypatch.setattr(edit, 'similarities', negative_error)
  scores, about = edit.score(run, given, '', np.array([0, 2]), outputs, truth, 1, [])
  assert scores['psnr'].ours.tolist() == [0, 0] and scores['psnr'].baselines['copy'].max() < 0
  assert about['true_results'].startswith('3 of 2 groups')


def test_the_rows_that_change_most_are_shown():
  x = np.zeros((20, 1, 1, 1), np.float32)
  y = np.stack([x, x], axis=1)
  y[[3, 11], 1] = [[[[0.5]]], [[[-0.7]]]]
  nothing = np.full((20, 2), -1)
  assert {3, 11} <= set(edit.most_changed(x, y, nothing).tolist())
  assert len(edit.most_changed(x, y, nothing)) == edit.SHOWN
  truth = nothing.copy()
  truth[[2, *range(4, 11), 12], 0] = 0  # nine rows with a true result, none of which changes
  y[12, 0] = 0.1
  assert edit.most_changed(x, y, truth).tolist() == [2, *range(4, 10), 12]


def test_means_over_groups_of_variants():
  means = edit.group_means(np.array([1.0, 3, 5, 7]), np.array([9, 9, 2, 9]))
  assert means == pytest.approx([5, 11 / 3])


def test_names_without_skin_tones():
  assert untoned('google/1f468-1f3fb-200d-1f4bb.png') == 'google/1f468-200d-1f4bb.png'
  assert untoned('twitter/261d-fe0f.png') == untoned('twitter/261d-1f3ff.png')
  assert untoned('1f3fb.png') == '1f3fb.png' and untoned('a-b/my-cat.png') == 'a-b/my-cat.png'


def test_the_mean_change_of_pixels_is_a_weighted_sum():
  x = np.random.default_rng(0).random((6, 2, 2, 1)).astype(np.float32)
  weights = np.array([[1, 0], [-1, 0], [0, 0.5], [0, 0.5], [0, -1], [0, 0]])
  parts = iter([{'image': x[:4]}, {'image': x[4:]}])
  images = attribute_rows.weighted_images(parts, 'image', weights)
  assert np.allclose(images[0], x[0] - x[1]) and np.allclose(images[1], (x[2] + x[3]) / 2 - x[4])


def test_the_verb_edits_held_out_rows(copied, project, capsys):
  words = ['--remove=1', '--add=7,2', '--rows=400', '--n=60']
  assert main(['edit', f'--workdir={copied}', *words]) == 0
  y, rows = (np.load(copied / 'tasks' / f'{name}.npy') for name in ('edit', 'edit_rows'))
  assert y.shape == (len(rows), 2, 8, 8, 1) and 0 < len(rows) < 20
  capsys.readouterr()
  assert main(['edit', f'--workdir={copied}', '--factor=tone', '--add=1']) == 2
  assert main(['edit', f'--workdir={copied}']) == 2
  lines = capsys.readouterr().err.splitlines()
  assert 'has no factors' in lines[0] and 'edit needs what to add' in lines[1] and len(lines) == 2
