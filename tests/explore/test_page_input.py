"""Pictures that are given to the page, drawn, chosen or dropped, and what is done with them."""

import numpy as np
from browsing import changes, drag, move, picture, press
from PIL import Image


def test_a_drawn_picture_is_encoded_beside_its_reconstruction(page):
  with changes(page):
    drag(page, '#pad', [(0.2, 0.2), (0.8, 0.3), (0.4, 0.9)])
  assert page.locator('#reconstruction').evaluate(
    "x => Math.max(...x.getContext('2d').getImageData(0, 0, 8, 8).data.filter((_, i) => i % 4 < 3))"
  )
  with changes(page):
    press(page, 'Control+z')


def test_a_chosen_file_and_an_example_are_encoded(page, tmp_path):
  path = tmp_path / 'x.png'
  Image.fromarray(np.eye(40, dtype=np.uint8) * 255).save(path)
  with changes(page):
    page.set_input_files('#file', path)
  with changes(page):
    page.click('#examples button >> nth=3')


def test_a_dropped_picture_is_encoded(page):
  with changes(page):
    page.evaluate(
      """async () => {
        const canvas = new OffscreenCanvas(20, 20);
        const context = canvas.getContext('2d');
        context.fillStyle = 'white';
        context.fillRect(0, 0, 9, 20);
        const data = new DataTransfer();
        data.items.add(new File([await canvas.convertToBlob()], 'x.png', {type: 'image/png'}));
        document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true}));
      }"""
    )


def test_an_attribute(page):
  page.click('#tab-tool-attributes')
  assert page.locator('#attributes input').count() == 10
  with changes(page):
    move(page, '#attributes input >> nth=3', 2)


def test_a_brushed_part_is_completed(page):
  page.click('#examples button >> nth=0')
  picture(page)
  page.click('#tab-tool-complete')
  assert page.is_disabled('#complete')
  drag(page, '#mask', [(0.7, 0.1), (0.7, 0.9)])
  with changes(page):
    page.click('#complete')
  page.wait_for_selector('#versions button >> nth=5')
  with changes(page):
    page.click('#versions button >> nth=5')
  with changes(page):
    move(page, '#sliders input >> nth=0', 2.5)
