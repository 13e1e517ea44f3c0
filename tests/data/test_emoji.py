"""The emoji: their files in every form, pairs, backgrounds, factors, and splits by variants."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from vaejax.config.base import base
from vaejax.data import splits, variants
from vaejax.data.sets import emoji
from vaejax.errors import UserError

GENUINE = Path(__file__).resolve().parents[3] / 'shared'
CODES = ['1F600', '1F44D', '1F468-200D-1F4BB', '1F1F3-1F1F4', '1F34E', '1F697', '2764-FE0F']
TONED = {'1F44D', '1F468-200D-1F4BB'}
CATEGORIES = ['Smileys & Emotion', 'People & Body', 'People & Body', 'Flags', 'Food & Drink']


def drawing(designer, code):
  """RGBA uint8 [64, 64, 4] of that emoji by that designer: a transparent frame around a colour."""
  rng = np.random.default_rng([len(designer), *code.encode()])
  image = np.zeros((64, 64, 4), np.uint8)
  image[8:56, 8:56] = (*rng.integers(0, 256, 3), 255)
  image[0, 0] = 100, 150, 200, 51
  return image


def metadata():
  def entry(code, **more):
    there = {f'has_img_{name}': True for name in emoji.DESIGNERS}
    return {'unified': code, 'image': f'{code.lower()}.png', **there, **more}

  result = []
  for i, code in enumerate(CODES):
    tones = {}
    if code in TONED:
      head, *tail = code.split('-')
      tones = {t: entry('-'.join([head, t, *tail])) for t in variants.TONES}
    more = {'name': f'EMOJI {i}', 'category': CATEGORIES[min(i, 4)], 'skin_variations': tones}
    result.append(entry(code, **more))
  result.append(entry('1F9FF', name='x', category='Objects') | {'has_img_twitter': False})
  return result


def codes():
  """All code points that both have drawn, variants too."""
  entries = [(e, *e.get('skin_variations', {}).values()) for e in metadata()[:-1]]
  return [v['unified'] for variants in entries for v in variants]


def png(pixels):
  from PIL import Image

  file = io.BytesIO()
  Image.fromarray(pixels).save(file, 'PNG')
  return file.getvalue()


def files(designer):
  return {f'{code.lower()}.png': png(drawing(designer, code)) for code in codes()}


def write(root, form):
  root = root / 'emoji'
  info = json.dumps(metadata()).encode()
  for designer in emoji.DESIGNERS:
    package = f'emoji-datasource-{designer}'
    if form == 'tgz':
      root.mkdir(exist_ok=True)
      with tarfile.open(root / f'{package}-16.0.0.tgz', 'w:gz') as archive:
        members = {f'img/{designer}/64/{k}': v for k, v in files(designer).items()}
        for name, data in (members | {'emoji.json': info, '../evil': b'x'}).items():
          member = tarfile.TarInfo(f'package/{name}')
          member.size = len(data)
          archive.addfile(member, io.BytesIO(data))
      continue
    outer = {'plain': '', 'npm': f'node_modules/{package}', 'package': f'{package}/package'}[form]
    folder = root / outer / (designer if form == 'plain' else f'img/{designer}') / '64'
    folder.mkdir(parents=True)
    (root / outer / 'emoji.json').write_bytes(info)
    for name, data in files(designer).items():
      (folder / name).write_bytes(data)


def config(**fields):
  data = base('', {}).data
  data.update({'name': 'emoji'} | fields)
  return data


@pytest.fixture
def halves(monkeypatch):
  """Of these few emoji, more are held out."""
  monkeypatch.setattr(emoji, 'HELD_OUT', 0.34)


@pytest.mark.parametrize('form', ['plain', 'npm', 'package', 'tgz'])
def test_all_forms_of_its_files_give_the_same_rows(tmp_path, form, halves):
  write(tmp_path, form)
  tables = splits.tables(config(), str(tmp_path))
  seen = {}
  for rows in tables:
    got, names = rows.load(), rows.names()
    assert len(names) == rows.size == len(got['image']) > 0
    assert np.array_equal(rows.labels(), got['label'])
    for i, name in enumerate(names):
      designer, file = name.split('/')
      code = file.removesuffix('.png').upper()
      pixels = drawing(designer, code).astype(int)
      white = (pixels[..., :3] * pixels[..., 3:] + 255 * (255 - pixels[..., 3:])) / 255
      assert abs(got['image'][i] - white).max() <= 1
      assert got['factors'][i].tolist() == [emoji.DESIGNERS.index(designer), variants.tone(code)]
      seen[name] = rows.class_names[got['label'][i]]
      assert i % 2 == emoji.DESIGNERS.index(designer) and names[i - i % 2].split('/')[1] == file
    for k, x in rows.fetch(np.arange(rows.size)[::-1]).items():
      assert np.array_equal(x, got[k][::-1])
  assert set(seen) == {f'{d}/{c.lower()}.png' for d in emoji.DESIGNERS for c in codes()}
  assert seen['google/1f600.png'] == 'Smileys & Emotion'
  assert seen['twitter/1f44d-1f3ff.png'] == 'People & Body'
  assert tables[0].classes == 4 and tables[0].factors == {'designer': 2, 'skin_tone': 7}


def test_channels_background_and_size(tmp_path):
  write(tmp_path, 'plain')
  read = lambda **fields: splits.table(config(**fields), 'train', str(tmp_path)).load()['image'][0]
  first = splits.table(config(), 'train', str(tmp_path)).names()[0]
  designer, file = first.split('/')
  want = drawing(designer, file.removesuffix('.png').upper())
  assert np.array_equal(read(channels=4), want)
  assert (read(background='black')[2, 2] == 0).all() and (read()[2, 2] == 255).all()
  # A fifth of (100, 150, 200) on (10, 20, 30).
  assert abs(read(background='10,20,30')[0, 0] - np.array([28.0, 46.0, 64.0])).max() <= 1
  assert read(size=32, channels=1).shape == (32, 32, 1)
  padded = read(size=66, fit='pad', background='10,20,30')
  assert (padded[0] == [10, 20, 30]).all() and not read(size=66, fit='pad')[0].any()


def test_the_folder_is_that_of_the_environment_too(tmp_path, monkeypatch):
  write(tmp_path, 'plain')
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
  assert splits.table(config(), 'train', None).size > 0


def test_missing_says_what_to_put_where(tmp_path):
  with pytest.raises(UserError) as error:
    splits.table(config(), 'train', str(tmp_path))
  assert str(error.value) == (
    f'emoji is not in {tmp_path}/emoji: run `npm pack emoji-datasource-google@16.0.0 '
    f'emoji-datasource-twitter@16.0.0` and put the two .tgz files into {tmp_path}/emoji'
  )
  write(tmp_path, 'plain')
  (tmp_path / 'emoji' / 'twitter' / '64' / '1f600.png').unlink()
  with pytest.raises(UserError, match=r'1f600.png of twitter is missing in .*npm pack'):
    for split in emoji.SPLITS:
      splits.table(config(), split, str(tmp_path)).load()


@pytest.mark.parametrize(
  'codes',
  [
    ['1F44D', '1F44D-1F3FB', '1F44D-1F3FF'],
    ['1F468-200D-1F4BB', '1F469-1F3FC-200D-1F4BB', '1F9D1-200D-1F4BB'],
    ['1F937', '1F937-200D-2640-FE0F', '1F937-1F3FD-200D-2642-FE0F'],
    ['1F6B6', '1F6B6-200D-2640-FE0F-200D-27A1-FE0F'],
    ['1F46B', '1F46C-1F3FB', '1F9D1-1F3FB-200D-1F91D-200D-1F9D1-1F3FC'],
    ['1F491', '1F468-1F3FB-200D-2764-FE0F-200D-1F468-1F3FF'],
    ['1F48F', '1F469-200D-2764-FE0F-200D-1F48B-200D-1F468'],
    ['1F46A', '1F468-200D-1F469-200D-1F467-200D-1F466', '1F9D1-200D-1F9D2'],
    ['1F385', '1F936-1F3FB', '1F9D1-200D-1F384'],
    ['1F1F3-1F1F4', '1F1F8-1F1EF', '1F1E7-1F1FB'],
    ['1F3FB', '1F3FE'],
  ],
)
def test_variants_are_one_emoji(codes):
  assert len({variants.base(code) for code in codes}) == 1


def test_others_are_not():
  alone = ['2640-FE0F', '27A1-FE0F', '1F3FB', '2764-FE0F', '2764-FE0F-200D-1F525', '1F9D1', '1F9D2']
  assert len({variants.base(code) for code in alone}) == len(alone)
  assert [variants.tone(c) for c in ('1F600', '1F44D-1F3FB', '1F3FF', '1F3FB-1F91D-1F3FC')] == [
    0,
    1,
    5,
    6,
  ]


def test_the_genuine_emoji():
  if not (GENUINE / 'emoji').is_dir():
    pytest.skip('no emoji in ../shared')
  tables = splits.tables(config(), str(GENUINE))
  assert sum(t.size for t in tables) == 2 * 3786
  assert all(0.06 < t.size / (2 * 3786) < 0.13 for t in tables[1:]) and tables[0].classes == 10
  # No picture of a test emoji is one of training, not even of an equal flag.
  seen = [{x.tobytes() for x in t.load()['image']} for t in tables]
  assert not seen[0] & seen[2] and not seen[0] & seen[1] and not seen[1] & seen[2]
  read, _ = emoji.reader(str(GENUINE))
  bases = {e.file: e.base for e in emoji.entries(read('google', 'emoji.json'))}
  for t in tables:  # variants of an emoji are a group, and nothing else is
    pairs = {(bases[n.split('/')[1]], g) for n, g in zip(t.names(), t.groups(), strict=True)}
    assert len(pairs) == len({b for b, _ in pairs}) == len({g for _, g in pairs})
  names = {e.file: e.name for e in emoji.entries(read('google', 'emoji.json'))}
  assert names['1f600.png'] == 'grinning face'


def test_one_designer_is_predicted_from_the_other(tmp_path, halves):
  write(tmp_path, 'plain')
  read = lambda **fields: splits.table(config(size=16, **fields), 'test', str(tmp_path))
  rows, both = read(source='domain:google>twitter'), read()
  loaded, image = rows.load(), both.load()['image']
  np.testing.assert_array_equal(loaded['source'], image[::2])
  np.testing.assert_array_equal(loaded['image'], image[1::2])
  np.testing.assert_array_equal(loaded['label'], both.load()['label'][::2])
  np.testing.assert_array_equal(read(only='google').load()['image'], image[::2])
