"""The page that an export writes: its files, and what it does in a real browser."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import ort_web
import pytest
from PIL import Image
from untrained import untrained
from web_page import at_sliders, changes, differs, move, opened, picture, served

import vaejax
from vaejax.export import site
from vaejax.export.write import write

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
SOFTWARE_GPU = (
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
)


@pytest.fixture(scope='module')
def pages(trained, tmp_path_factory):
  """pages(name) -> the folder sub/NAME of the page of a run, without the runtime; pages.run(name)
  is the run. 'trained' or a config."""
  pytest.importorskip('jax2onnx')
  root = tmp_path_factory.mktemp('served')

  def load(name):
    return vaejax.load(trained) if name == 'trained' else untrained(name)

  def folder(name):
    out = root / 'sub' / name.partition('.')[0]
    if not out.exists():
      pages.logged[name] = []
      write(load(name), ('web',), out, log=pages.logged[name].append)
    return out

  pages = folder
  pages.root, pages.run, pages.logged = root, load, {}
  return pages


@pytest.mark.slow
def test_a_page_has_all_it_needs_and_nothing_of_this_machine(pages):
  out = pages('trained')
  about = json.loads((out / 'about.json').read_text())
  assert about['controls'] == ['decode', 'draw', 'encode', 'read']
  assert about['latents']['size'] == 4 and about['height'] == 8
  activity = [one['activity'] for one in about['latents']['shown']]
  assert activity == sorted(activity, reverse=True) and activity[0] == 1
  for model in about['models'].values():
    assert (out / model['file']).is_file()
  files = [path for path in out.rglob('*') if path.is_file()]
  assert not [path for path in files if path.suffix == '.tmp'] and not (out / 'runtime').exists()
  for path in files:
    text = path.read_bytes().decode(errors='replace').replace('http://www.w3.org/2000/svg', '')
    assert str(ROOT) not in text and str(pages.root.parent) not in text, path
    # Relative addresses alone, so that it works in any folder.
    assert not re.findall(r'https?://|(?:src|href|from|import\()\s*=?\s*[\'"]/', text), path
  card = json.loads((out / 'card.json').read_text())
  known = {file['path']: file for file in card['files']}
  assert known['model/decode.onnx']['difference'] <= 1e-5
  assert known['model/draw.onnx']['difference'] <= 1e-5


@pytest.fixture(scope='module')
def address(pages):
  """Where the folder that contains the pages is served."""
  with served(pages.root) as address:
    yield address


@pytest.fixture(scope='module')
def driver():
  if CHROMIUM is None:
    pytest.skip('there is no chromium on this machine')
  with pytest.importorskip('playwright.sync_api').sync_playwright() as driver:
    yield driver


@pytest.fixture(scope='module')
def browser(driver):
  browser = driver.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
  yield browser
  browser.close()


@pytest.mark.slow
def test_pictures_are_those_of_the_run_and_each_control_changes_them(
  browser, address, pages, tmp_path
):
  run = pages.run('trained')
  with opened(browser, address, pages('trained')) as page:
    for values in ([], [2, -1.5, 1, 0.5]):
      z = at_sliders(page, values)
      assert differs(picture(page), run.decode(z)) <= 1
    with changes(page):
      page.click('#random')
    with changes(page):
      page.click('#undo')
    page.click('#many')
    page.wait_for_selector('#versions button >> nth=11')
    with changes(page):
      page.click('#versions button >> nth=3')
    page.click('#tab-tool-morph')
    page.click('#keep-a')
    with changes(page):
      page.click('#random')
    picture(page)
    page.click('#keep-b')
    with changes(page):
      move(page, '#morph', 0.4)
    page.click('#tab-tool-input')
    x = np.zeros((64, 64), np.uint8)
    x[8:56, 24:40] = 255
    Image.fromarray(x).save(tmp_path / 'x.png')
    with changes(page):
      page.set_input_files('#file', tmp_path / 'x.png')
    given = x.reshape(1, 8, 8, 8, 8).mean(axis=(2, 4))[..., None] / np.float32(255)
    assert differs(picture(page), run.decode(run.encode(given))) < 8  # float16, other filters
    a_second = """async () => {
      const {connect} = await import('./model.js');
      const model = await connect();
      const latents = Float32Array.from(model.about.latents.centre);
      const end = performance.now() + 1000;
      let n = 0;
      for (; performance.now() < end; n++) await model.decode({latents});
      return n;
    }"""
    assert page.evaluate(a_second) >= 30


@pytest.mark.slow
def test_draws_have_the_moments_of_the_prior(browser, address, pages):
  with opened(browser, address, pages('trained')) as page:
    z = page.evaluate(
      """async () => {
        const {connect} = await import('./model.js');
        const {draw} = await connect();
        const at = async (seed, temperature) => (
          (await draw({n: 3000, seed, temperature})).map((z) => Array.from(z)));
        return [await at(1, 1), await at(1, 1), await at(2, 0.5)];
      }"""
    )
  z = np.asarray(z)
  assert (z[0] == z[1]).all() and z.shape == (3, 3000, 4)
  assert np.abs(z.mean(axis=1)).max() < 5 / np.sqrt(3000)
  for row, scale in zip(z, (1, 1, 0.5), strict=True):
    assert np.abs(np.cov(row.T) / scale**2 - np.eye(4)).max() < 0.14


@pytest.mark.slow
def test_a_model_that_takes_one_row_draws_several(browser, address, pages):
  one_row = """const fetched = globalThis.fetch;
  globalThis.fetch = async (name) => {
    const answer = await fetched(name);
    if (name !== 'about.json') return answer;
    const about = await answer.json();
    about.models.draw.rows = 1;
    return new Response(JSON.stringify(about));
  }"""
  with opened(browser, address, pages('trained'), one_row) as page:
    z = page.evaluate(
      """async () => {
        const {connect} = await import('./model.js');
        const {draw} = await connect();
        return (await draw({n: 600, seed: 1, temperature: 1})).map((z) => Array.from(z));
      }"""
    )
  assert np.shape(z) == (600, 4) and np.abs(np.cov(np.transpose(z)) - np.eye(4)).max() < 0.3


@pytest.mark.slow
def test_the_noise_of_a_gan_is_moved(browser, address, pages):
  with opened(browser, address, pages('gan.py:smoke')) as page:
    assert not page.is_visible('#tab-tool-input')
    with changes(page):
      move(page, '#sliders input >> nth=0', 3)
    page.click('#many')
    page.wait_for_selector('#versions button >> nth=11')
    with changes(page):
      page.click('#versions button >> nth=5')


@pytest.mark.slow
def test_a_class_changes_the_picture_on_a_phone(browser, address, pages):
  run = pages.run('cvae.py:smoke')
  phone = {'viewport': {'width': 390, 'height': 844}, 'has_touch': True, 'is_mobile': True}
  with opened(browser, address, pages('cvae.py:smoke'), **phone) as page:
    assert page.evaluate('document.documentElement.scrollWidth <= innerWidth')
    with changes(page):
      page.tap('#classes button >> nth=4')
    z = at_sliders(page, [1])
    assert differs(picture(page), run.decode(z, label=[4])) <= 1


@pytest.mark.slow
def test_a_page_without_the_runtime_says_how_to_get_it(browser, address, pages):
  shutil.copytree(pages('trained'), pages.root / 'bare', ignore=shutil.ignore_patterns('runtime'))
  page = browser.new_page()
  page.goto(f'{address}/bare/')
  page.wait_for_selector('#no-runtime')
  text = page.inner_text('#no-runtime')
  assert 'npm pack onnxruntime-web' in text
  # The files that it names are those that the package needs.
  package = set(site.runtime(ort_web.package())) - {'package.json'}
  assert set(re.findall(r'ort[\w.-]*\.(?:mjs|wasm)', text)) == package
  page.close()


@pytest.mark.slow
def test_a_gpu_gives_the_same_pictures(driver, address, pages):
  browser = driver.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox', *SOFTWARE_GPU])
  # The one that the CPU imitates passes for a real one.
  as_real = """if (globalThis.GPUAdapterInfo) {
    Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', {get: () => false});
  }"""
  probe = browser.new_page()
  probe.goto(f'{address}/')
  if not probe.evaluate('navigator.gpu?.requestAdapter().then(Boolean)'):
    browser.close()
    pytest.skip('this browser has no WebGPU')
  with opened(browser, address, pages('trained'), as_real) as page:
    assert page.get_attribute('html', 'data-provider') == 'webgpu'
    z = at_sliders(page, [1.5, -2])
    page.wait_for_timeout(1000)
    assert differs(picture(page), pages.run('trained').decode(z)) <= 1
    assert page.get_attribute('html', 'data-provider') == 'webgpu'
  browser.close()
