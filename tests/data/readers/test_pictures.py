"""One picture file of each kind that people have: its pixels, its size as it is seen."""

import io
import struct

import numpy as np
import pytest
from deep_png import png
from PIL import Image, ImageOps, features

from vaejax.data.readers import pictures
from vaejax.errors import UserError

WHITE, BLUE = (255, 255, 255), (10, 20, 200)


def pixels(h, w, c=None, seed=0, dtype=np.uint8):
  shape = (h, w, c) if c else (h, w)
  return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def read(tmp_path, picture, name='x.png', channels=3, background=WHITE, **options):
  picture.save(tmp_path / name, **options)
  path = str(tmp_path / name)
  image = pictures.decode(path, channels, background)
  assert pictures.header(path)[:2] == image.shape[:2]
  return image


def rgb(picture):
  return np.asarray(picture.convert('RGB'))


@pytest.mark.parametrize('name', ['x.png', 'x.bmp', 'x.tif', 'x.ppm', 'X.PNG', 'x.TIFF'])
def test_colours_without_loss(tmp_path, name):
  want = pixels(5, 7, 3)
  assert np.array_equal(read(tmp_path, Image.fromarray(want), name), want)


@pytest.mark.parametrize('name', ['x.jpg', 'x.JPEG', 'x.webp', 'x.gif'])
def test_colours_with_loss_are_those_of_pillow(tmp_path, name):
  smooth = np.asarray(Image.fromarray(pixels(3, 3, 3)).resize((32, 24)))
  found = read(tmp_path, Image.fromarray(smooth), name)
  with Image.open(tmp_path / name) as file:
    assert np.array_equal(found, rgb(file))
  assert np.abs(found.astype(int) - smooth).mean() < 12


@pytest.mark.parametrize('channels', [1, 3, 4])
@pytest.mark.parametrize('name', ['x.png', 'x.tif', 'x.bmp', 'x.jpg', 'x.gif', 'x.pgm'])
def test_grey(tmp_path, name, channels):
  grey = np.asarray(Image.fromarray(pixels(3, 3)).resize((16, 12)))
  found = read(tmp_path, Image.fromarray(grey), name, channels)
  assert found.shape == (12, 16, channels)
  assert np.abs(found[..., : min(channels, 3)].astype(int) - grey[..., None]).max() < 12
  if name != 'x.jpg':
    assert np.array_equal(found[..., 0], grey)
  if channels == 4:
    assert (found[..., 3] == 255).all()
  assert pictures.header(str(tmp_path / name)).kind == pictures.GREY8


@pytest.mark.parametrize('name', ['x.png', 'x.bmp', 'x.tif', 'x.pbm'])
def test_one_bit_is_black_and_white(tmp_path, name):
  bits = pixels(9, 11) > 127
  found = read(tmp_path, Image.fromarray(bits), name, channels=1)
  assert np.array_equal(found[..., 0], np.where(bits, 255, 0))


def test_a_palette_has_its_colours(tmp_path):
  picture = Image.fromarray(pixels(6, 6, 3)).quantize(8)
  assert np.array_equal(read(tmp_path, picture), rgb(picture))
  assert pictures.header(str(tmp_path / 'x.png')).kind == pictures.COLOUR8
  grey = Image.fromarray(pixels(6, 6) % 4)
  grey.putpalette([v for level in (0, 90, 180, 255) for v in (level,) * 3])
  assert np.array_equal(read(tmp_path, grey, channels=1)[..., 0], np.asarray(grey.convert('L')))
  assert pictures.header(str(tmp_path / 'x.png')).kind == pictures.GREY8


def over(colour, alpha, background):
  """A colour with an alpha from 0 to 255 in front of a background."""
  colour, background = np.asarray(colour, float), np.asarray(background, float)
  return background + (colour - background) * np.asarray(alpha)[..., None] / 255


@pytest.mark.parametrize('name', ['x.png', 'x.webp', 'x.tif'])
def test_alpha_goes_onto_the_background(tmp_path, name):
  image = pixels(8, 8, 4)
  options = {'lossless': True, 'exact': True} if name == 'x.webp' else {}
  for background in (WHITE, BLUE):
    found = read(tmp_path, Image.fromarray(image), name, background=background, **options)
    want = over(image[..., :3], image[..., 3], background)
    assert np.abs(found - want).max() <= 1
  kept = read(tmp_path, Image.fromarray(image), name, channels=4, **options)
  assert np.array_equal(kept, image)


def test_grey_with_alpha_goes_onto_the_background(tmp_path):
  image = pixels(8, 8, 2)
  picture = Image.fromarray(image)
  want = over(image[..., :1], image[..., 1], (255,))
  assert np.abs(read(tmp_path, picture, channels=1) - want).max() <= 1
  kept = read(tmp_path, picture, channels=4)
  assert np.array_equal(kept, image[..., [0, 0, 0, 1]])
  assert pictures.header(str(tmp_path / 'x.png')).kind == pictures.GREY8


def test_transparency_by_one_colour_or_a_palette(tmp_path):
  image = np.zeros((4, 4, 3), np.uint8)
  image[:2] = (9, 8, 7)
  found = read(tmp_path, Image.fromarray(image), transparency=(9, 8, 7), background=BLUE)
  assert (found[:2] == BLUE).all() and not found[2:].any()
  grey = read(tmp_path, Image.fromarray(image[..., 0]), transparency=9, channels=1)
  assert (grey[:2] == 255).all() and not grey[2:].any()
  palette = Image.fromarray(image[..., 0] // 9)
  palette.putpalette([200, 0, 0, 0, 200, 0])
  found = read(tmp_path, palette, transparency=b'\x80\xff', background=(0, 0, 0))
  assert np.abs(found[2:].astype(int) - (100, 0, 0)).max() <= 1
  assert (found[:2] == (0, 200, 0)).all()
  found = read(tmp_path, palette, 'x.gif', transparency=1, background=BLUE)
  assert (found[:2] == BLUE).all() and (found[2:] == (200, 0, 0)).all()


@pytest.mark.parametrize('mode', ['CMYK', 'YCbCr'])
def test_other_colours_become_red_green_and_blue(tmp_path, mode):
  smooth = Image.fromarray(np.full((8, 8, 3), (200, 40, 90), np.uint8))
  found = read(tmp_path, smooth.convert(mode), 'x.jpg', quality=100)
  assert np.abs(found.astype(int) - (200, 40, 90)).max() <= 4
  opaque = read(tmp_path, smooth.convert(mode), 'x.jpg', channels=4)
  assert opaque.shape == (8, 8, 4) and (opaque[..., 3] == 255).all()


@pytest.mark.parametrize('name', ['x.png', 'x.tif', 'x.pgm'])
def test_16_bits_of_grey_are_kept(tmp_path, name):
  image = pixels(5, 6, dtype=np.uint16)
  found = read(tmp_path, Image.fromarray(image), name, channels=1)
  assert found.dtype == np.uint16
  assert np.array_equal(found[..., 0], image)
  assert pictures.header(str(tmp_path / name)).kind == pictures.GREY16


def test_big_endian_and_inverted_16_bits(tmp_path):
  image = pixels(5, 6, dtype=np.uint16)
  big = Image.frombytes('I;16B', (6, 5), image.astype('>u2').tobytes())
  assert np.array_equal(read(tmp_path, big, 'x.tif', channels=1)[..., 0], image)
  # White is zero.
  inverted = {262: 0}
  found = read(tmp_path, Image.fromarray(image), 'x.tif', channels=1, tiffinfo=inverted)
  assert np.array_equal(found[..., 0], 65535 - image)


def test_signs_of_whole_numbers_in_tiffs(tmp_path):
  x = pixels(5, 6).astype(np.uint32) * 16_000_000  # up to 4.08e9, more than int32 has
  strip, path = x.astype('<u4').tobytes(), tmp_path / 'unsigned.tif'
  tags = {256: 6, 257: 5, 258: 32, 259: 1, 262: 1, 273: 122, 277: 1, 278: 5, 279: len(strip)}
  entries = [struct.pack('<HHII', tag, 4, 1, value) for tag, value in tags.items()]
  start = b'II*\0' + struct.pack('<IH', 8, len(tags)) + b''.join(entries) + bytes(4)
  path.write_bytes(start + strip)
  found = pictures.decode(str(path), 1, (0, 0, 0))
  assert found.dtype == np.float32 and np.array_equal(found[..., 0], x.astype(np.float32))
  with pytest.raises(UserError, match=r'x\.tif has signed numbers of 8 bits'):
    read(tmp_path, Image.fromarray(pixels(5, 6)), 'x.tif', channels=1, tiffinfo={339: 2})


def test_real_numbers_are_kept(tmp_path):
  x = np.random.default_rng(0).normal(0, 1e4, (5, 6)).astype(np.float32)
  found = read(tmp_path, Image.fromarray(x), 'x.tif', channels=1)
  assert found.dtype == np.float32 and np.array_equal(found[..., 0], x)
  integers = pixels(5, 6).astype(np.int32) * 60_000 - 5
  found = read(tmp_path, Image.fromarray(integers), 'x.tif', channels=1)
  assert found.dtype == np.float32 and np.array_equal(found[..., 0], integers)
  x[2, 3] = np.nan
  with pytest.raises(UserError, match=r'x\.tif has values that are not finite'):
    read(tmp_path, Image.fromarray(x), 'x.tif', channels=1)


def test_16_bits_of_colour_are_read_as_they_are(tmp_path):
  data, want = png(5, 6, 2, 3)
  (tmp_path / 'deep.png').write_bytes(data)
  path = str(tmp_path / 'deep.png')
  assert pictures.header(path) == (5, 6, pictures.COLOUR16, False)
  found = pictures.decode(path, 3, WHITE)
  assert found.dtype == np.uint16 and np.array_equal(found, want)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_turning_is_that_of_pillow(orientation):
  from PIL import ImageOps

  picture = Image.fromarray(np.stack([pixels(5, 6)] * 3, -1))
  picture.getexif()[pictures.ORIENTATION] = orientation
  want = np.asarray(ImageOps.exif_transpose(picture))
  turn = pictures.TURNS.get(orientation, lambda x: x)
  assert np.array_equal(turn(np.asarray(picture)), want)


@pytest.mark.parametrize(
  'colour_type, samples, kind', [(6, 4, pictures.COLOUR16), (4, 2, pictures.GREY16)]
)
def test_16_bits_with_alpha_go_onto_the_background_or_keep_it(tmp_path, colour_type, samples, kind):
  data, want = png(5, 6, colour_type, samples)
  (tmp_path / 'deep.png').write_bytes(data)
  path = str(tmp_path / 'deep.png')
  assert pictures.header(path) == (5, 6, kind, False)
  kept = pictures.decode(path, 4, WHITE)
  assert kept.dtype == np.uint16
  assert np.array_equal(kept, want if samples == 4 else want[..., [0, 0, 0, 1]])
  for background in (WHITE, BLUE):
    found = pictures.decode(path, 3, background)
    below = background if samples == 4 else [round(np.dot(background, [0.299, 0.587, 0.114]))]
    alpha = want[..., -1:] / 65535
    exact = want[..., :-1] * alpha + np.asarray(below) * 257 * (1 - alpha)
    assert found.dtype == np.uint16 and found.shape == (5, 6, samples - 1)
    assert np.abs(found - exact).max() <= 0.5 + 1e-6


@pytest.mark.parametrize('colour_type, samples', [(2, 3), (0, 1)])
def test_opaque_16_bits_get_an_alpha(tmp_path, colour_type, samples):
  data, want = png(5, 6, colour_type, samples)
  (tmp_path / 'deep.png').write_bytes(data)
  found = pictures.decode(str(tmp_path / 'deep.png'), 4, WHITE)
  assert (found[..., :3] == want).all() and (found[..., 3] == 65535).all()


def test_other_16_bits_are_refused_and_not_read_as_8(tmp_path):
  (tmp_path / 'deep.ppm').write_bytes(b'P6 2 2 65535\n' + b'\1\2' * 12)
  with pytest.raises(UserError, match='16 bits a channel'):
    pictures.header(str(tmp_path / 'deep.ppm'))


@pytest.mark.parametrize('name', ['x.jpg', 'x.png', 'x.webp', 'x.tif'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_a_picture_is_turned_as_the_camera_says(tmp_path, name, orientation):
  image = np.zeros((16, 32, 3), np.uint8)
  image[:8, :8], image[:8, 24:] = (255, 0, 0), (0, 255, 0)
  exif = Image.Exif()
  exif[pictures.ORIENTATION] = orientation
  found = read(tmp_path, Image.fromarray(image), name, exif=exif)
  upright = Image.fromarray(image)
  upright.getexif()[pictures.ORIENTATION] = orientation
  want = np.asarray(ImageOps.exif_transpose(upright))
  assert found.shape == ((32, 16, 3) if orientation > 4 else (16, 32, 3))
  assert np.abs(found.astype(int) - want).mean() < 12


def test_16_bits_are_turned_too(tmp_path):
  image, exif = pixels(4, 6, dtype=np.uint16), Image.Exif()
  exif[pictures.ORIENTATION] = 6
  found = read(tmp_path, Image.fromarray(image), channels=1, exif=exif)
  assert np.array_equal(found[..., 0], np.rot90(image, -1))


def test_the_first_of_several_frames(tmp_path):
  frames = [Image.fromarray(np.full((4, 4), v, np.uint8)) for v in (50, 150)]
  found = read(tmp_path, frames[0], 'x.gif', save_all=True, append_images=frames[1:], channels=1)
  assert (found == 50).all()
  found = read(tmp_path, frames[0], 'x.tif', save_all=True, append_images=frames[1:], channels=1)
  assert (found == 50).all()
  assert pictures.header(str(tmp_path / 'x.tif')).pages


def test_two_views_of_a_phone(tmp_path):
  views = [Image.fromarray(np.full((16, 16, 3), v, np.uint8)) for v in (50, 150)]
  views[0].save(tmp_path / 'x.jpg', 'MPO', save_all=True, append_images=views[1:])
  assert np.abs(pictures.decode(str(tmp_path / 'x.jpg'), 3, WHITE).astype(int) - 50).max() <= 2


def encoded(name):
  file = io.BytesIO()
  noise = Image.fromarray(pixels(64, 64, 3))
  noise.save(file, {'jpg': 'JPEG', 'tif': 'TIFF'}.get(name, name.upper()))
  return file.getvalue()


@pytest.mark.parametrize('name', ['png', 'jpg', 'webp', 'bmp', 'tif', 'gif'])
@pytest.mark.parametrize('damage', ['empty', 'text', 'half', 'start'])
def test_a_damaged_file_is_named(tmp_path, name, damage):
  if name == 'webp' and not features.check('webp'):
    pytest.skip('this Pillow has no WebP')
  data, path = encoded(name), tmp_path / f'bad one.{name}'
  path.write_bytes(
    {'empty': b'', 'text': b'hello', 'half': data[: len(data) // 2], 'start': data[:20]}[damage]
  )
  with pytest.raises(pictures.Damaged, match=r'bad one\.\w+ cannot be read: .*data\.skip_damaged'):
    pictures.decode(str(path), 3, WHITE)


def test_a_damaged_orientation_is_no_damage(tmp_path):
  want = read(tmp_path, Image.fromarray(pixels(4, 6, 3)), 'x.jpg')
  found = read(tmp_path, Image.fromarray(pixels(4, 6, 3)), 'x.jpg', exif=b'Exif\0\0nonsense')
  assert np.array_equal(found, want)


def test_the_reason_is_said(tmp_path):
  reasons = {
    b'': 'it is empty',
    b'hello': 'no format of pictures that Pillow can read',
    b'II*\0' + bytes(40): 'a kind of TIFF that Pillow cannot read',
    b'MM\0*' + bytes(40): 'a kind of TIFF that Pillow cannot read',
  }
  for data, reason in reasons.items():
    (tmp_path / 'x.tif').write_bytes(data)
    with pytest.raises(pictures.Damaged, match=rf'x\.tif cannot be read: {reason}'):
      pictures.header(str(tmp_path / 'x.tif'))


def test_no_program_is_run(tmp_path):
  path = tmp_path / 'x.png'
  path.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n')
  with pytest.raises(pictures.Damaged):
    pictures.header(str(path))


def test_a_bomb_is_refused(tmp_path, monkeypatch):
  Image.fromarray(pixels(20, 20)).save(tmp_path / 'x.png')
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
  with pytest.raises(UserError, match=r'x\.png has too many pixels'):
    pictures.header(str(tmp_path / 'x.png'))
