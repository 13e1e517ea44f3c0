// A part of the picture is brushed away, and the model fills it in.

import { strokes } from './brush.js';
import { frameOf, paint } from './picture.js';

const $ = (id) => document.getElementById(id);
const OVERLAY = [226, 88, 62];

export function completeTool(page) {
  const { model, store, stage } = page;
  const { about } = model;
  const { width, height } = about;
  const canvas = $('mask');
  let mask = new Uint8Array(width * height);

  function show() {
    const picture = stage.now();
    if (!picture || canvas.offsetParent === null) return; // hidden
    const pixels = new Uint8ClampedArray(frameOf(picture));
    mask.forEach((on, i) => {
      if (!on) return;
      for (let c = 0; c < 3; c++) pixels[4 * i + c] = 0.25 * pixels[4 * i + c] + 0.75 * OVERLAY[c];
    });
    paint(canvas, { pixels, width, height, frames: 1 });
    const hidden = mask.reduce((sum, on) => sum + on, 0);
    $('complete').disabled = !about.mask && (hidden === 0 || hidden === mask.length);
  }

  if (about.mask) {
    $('complete-hint').textContent = `This model completes what it was trained for: mask ${about.mask}.`;
    for (const id of ['mask-clear', 'mask-half', 'brush-label']) $(id).hidden = true;
  } else strokes(canvas, {
    line(from, to) {
      const radius = Math.max(0.6, (Number($('brush').value) / 80) * Math.min(width, height));
      const steps = Math.ceil(Math.hypot(to.x - from.x, to.y - from.y)) || 1;
      for (let k = 0; k <= steps; k++) {
        const x = from.x + ((to.x - from.x) * k) / steps - 0.5;
        const y = from.y + ((to.y - from.y) * k) / steps - 0.5;
        for (let i = 0; i < mask.length; i++) {
          if (Math.hypot((i % width) - x, Math.floor(i / width) - y) <= radius) mask[i] = 1;
        }
      }
      show();
    },
    end: () => {},
  });
  $('mask-clear').addEventListener('click', () => { mask.fill(0); show(); });
  $('mask-half').addEventListener('click', () => {
    mask = mask.map((_, i) => Number(i % width >= width / 2));
    show();
  });
  // Shown as it is; a slider continues from its latents.
  async function choose(picture) {
    const { label, latents } = store.get();
    const near = model.encode ? await model.encode({ picture, label }) : latents;
    store.commit({ picture, latents: near, amounts: {} });
  }
  $('complete').addEventListener('click', () => page.work('Completing', async () => {
    const picture = stage.now();
    const { label } = store.get();
    const versions = await model.complete({ picture, mask: about.mask ? null : mask, seed: page.seed(), label });
    page.showVersions('Completed', versions, (version) => page.work('Reading', () => choose(version)));
    await choose(versions[0]);
  }));
  stage.onShow(show);
  return { show };
}
