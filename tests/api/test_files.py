"""The verbs encode and reconstruct write what a run in Python returns for a split."""

import io

import numpy as np
import pytest
from PIL import Image

import vaejax
from vaejax.api import files
from vaejax.cli.main import main
from vaejax.data import splits


def digits(run, split):
  return splits.table(run.config.data, split, None).load()


def test_encode_writes_the_latents_of_a_split_in_its_order(trained, tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(files, 'ROWS_AT_ONCE', 100)  # several parts, the last one not full
  run, out = vaejax.load(trained), tmp_path / 'z.npz'
  for split, n in (('test', 297), ('train', 250)):
    words = [f'--workdir={trained}', f'--split={split}', f'--n={n}', f'--out={out}']
    assert main(['encode', *words]) == 0
    assert capsys.readouterr() == (f'{out}\n', '')
    saved, rows = np.load(out, allow_pickle=False), digits(run, split)
    assert set(saved) == {'mean', 'label'}
    np.testing.assert_allclose(saved['mean'], run.encode(rows['image'][:n]), atol=1e-5)
    np.testing.assert_array_equal(saved['label'], rows['label'][:n])
  raw = vaejax.load(trained, weights='raw')
  saved = np.load(files.write_latents(raw, n=3, out=out))['mean']
  np.testing.assert_allclose(saved, raw.encode(digits(run, 'test')['image'][:3]), atol=1e-5)


def test_reconstruct_writes_originals_above_their_reconstructions(copied, capsys):
  assert main(['reconstruct', f'--workdir={copied}', '--n=5']) == 0
  out = copied / 'reconstructions.png'
  assert capsys.readouterr() == (f'{out}\n', '')
  run = vaejax.load(copied)
  x = digits(run, 'test')['image'][:5]
  with Image.open(io.BytesIO(out.read_bytes())) as file:
    picture = np.asarray(file)
  scale = picture.shape[0] // (2 * 8 + 1)
  picture = picture[::scale, ::scale].astype(int)
  for i in range(5):
    cell = picture[:, 9 * i : 9 * i + 8]
    np.testing.assert_array_equal(cell[:8], x[i, ..., 0])
    expected = 255 * run.reconstruct(x[i : i + 1])[0, ..., 0]
    assert np.abs(cell[9:17] - expected).max() <= 1


@pytest.mark.parametrize(
  ('words', 'message'),
  [
    (['encode', '--out=x.png'], 'ends in .npz'),
    (['reconstruct', '--out=x.npz'], 'ends in .png'),
    (['encode', '--split=dev'], "no split 'dev'"),
    (['encode', '--out=none/x.npz'], 'there is no folder none'),
    (['reconstruct', '--member=3'], 'is not a sweep'),
    (['encode', '--checkpoint=7'], 'one of the steps 10, 20'),
  ],
)
def test_a_mistake_is_one_line(trained, words, message, capsys):
  assert main([*words, f'--workdir={trained}']) == 2
  shown = capsys.readouterr()
  assert message in shown.err and shown.err.count('\n') == 1 and not shown.out
