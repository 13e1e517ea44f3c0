// A part of the picture is brushed away, and the model fills it in.

import { strokes } from './brush.js';
import { frameOf, paint, still } from './picture.js';

const $ = (id) => document.getElementById(id);
const OVERLAY = [226, 88, 62];

export function completeTool(page) {
  const { model, store, stage } = page;
  const { width, height } = model.about;
  const canvas = $('mask');
  let mask = new Uint8Array(width * height);

  function show() {
    const picture = stage.now();
    if (!picture) return;
    const pixels = new Uint8ClampedArray(frameOf(picture));
    mask.forEach((on, i) => {
      if (!on) return;
      for (let c = 0; c < 3; c++) pixels[4 * i + c] = 0.25 * pixels[4 * i + c] + 0.75 * OVERLAY[c];
    });
    paint(canvas, { pixels, width, height, frames: 1 });
    const hidden = mask.reduce((sum, on) => sum + on, 0);
    $('complete').disabled = hidden === 0 || hidden === mask.length;
  }

  strokes(canvas, {
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
  $('complete').addEventListener('click', () => page.work('Completing', async () => {
    const picture = still(stage.now());
    const { label } = store.get();
    const versions = await model.complete({ picture, mask, seed: page.seed(), label });
    page.showVersions('Completed', versions, (version) => page.work('Reading', async () => {
      // Shown as it is; a slider continues from its latents.
      const latents = model.encode ? await model.encode({ picture: version, label }) : store.get().latents;
      store.commit({ picture: version, latents, amounts: {} });
    }));
    store.commit({ picture: versions[0] });
  }));
  stage.onShow(show);
}
