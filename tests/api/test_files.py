"""The verbs encode and reconstruct: files of a split, as a run in Python gives them."""

import io

import numpy as np
import pytest
from PIL import Image

import vaejax
from vaejax.api import files
from vaejax.cli.main import main
from vaejax.data import load


def digits(run, split):
  return load.table(run.config.data, split, None).load()


def test_encode_writes_the_latents_of_a_split_in_its_order(trained, tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(files, 'BLOCK', 100)  # more than one, the last not full
  run, out = vaejax.load(trained), tmp_path / 'z.npz'
  for split, n in (('test', 297), ('train', 250)):
    words = [f'--workdir={trained}', f'--split={split}', f'--n={n}', f'--out={out}']
    assert main(['encode', *words]) == 0
    assert capsys.readouterr() == (f'{out}\n', '')
    found, rows = np.load(out, allow_pickle=False), digits(run, split)
    assert set(found) == {'mean', 'label'}
    np.testing.assert_allclose(found['mean'], run.encode(rows['image'][:n]), atol=1e-5)
    np.testing.assert_array_equal(found['label'], rows['label'][:n])
  raw = files.encode(trained, n=3, weights='raw', out=out)
  wanted = vaejax.load(trained, weights='raw').encode(digits(run, 'test')['image'][:3])
  np.testing.assert_allclose(np.load(raw)['mean'], wanted, atol=1e-5)


def test_reconstruct_writes_originals_above_their_reconstructions(copied, capsys):
  assert main(['reconstruct', f'--workdir={copied}', '--n=5']) == 0
  out = copied / 'reconstructions.png'
  assert capsys.readouterr() == (f'{out}\n', '')
  run = vaejax.load(copied)
  x = digits(run, 'test')['image'][:5]
  with Image.open(io.BytesIO(out.read_bytes())) as file:
    found = np.asarray(file)
  scale = found.shape[0] // (2 * 8 + 1)
  found = found[::scale, ::scale].astype(int)
  for i in range(5):
    cell = found[:, 9 * i : 9 * i + 8]
    np.testing.assert_array_equal(cell[:8], x[i, ..., 0])
    wanted = 255 * run.reconstruct(x[i : i + 1])[0, ..., 0]
    assert np.abs(cell[9:17] - wanted).max() <= 1


@pytest.mark.parametrize(
  ('words', 'said'),
  [
    (['encode', '--out=x.png'], 'ends in .npz'),
    (['reconstruct', '--out=x.npz'], 'ends in .png'),
    (['encode', '--split=valid'], "no split 'valid'"),
    (['encode', '--out=none/x.npz'], 'there is no folder none'),
    (['reconstruct', '--member=3'], 'is no sweep'),
    (['encode', '--checkpoint=7'], 'a step that is there'),
  ],
)
def test_a_mistake_is_one_line(trained, words, said, capsys):
  assert main([*words, f'--workdir={trained}']) == 2
  found = capsys.readouterr()
  assert said in found.err and found.err.count('\n') == 1 and not found.out
