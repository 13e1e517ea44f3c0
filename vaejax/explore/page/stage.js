// The large picture; of a video, its frames one after another.

import { paint, still } from './picture.js';

const FRAME_MS = 110;
const $ = (id) => document.getElementById(id);

export function createStage() {
  const canvas = $('picture');
  const listeners = [];
  let picture = null;
  let frame = 0;
  let playing = true;
  let drawn = true;
  let last = 0;

  function draw(now) {
    if (picture) {
      if (picture.frames > 1 && playing && now - last > FRAME_MS) {
        last = now;
        frame = (frame + 1) % picture.frames;
        drawn = false;
      }
      if (!drawn) {
        drawn = true;
        paint(canvas, picture, frame);
        canvas.dataset.shown = Number(canvas.dataset.shown || 0) + 1;
        $('time').value = frame;
        $('time-value').textContent = `${frame + 1} / ${picture.frames}`;
      }
    }
    if (picture && picture.frames > 1) requestAnimationFrame(draw);
  }

  $('play').addEventListener('click', () => {
    playing = !playing;
    $('play').textContent = playing ? 'Pause' : 'Play';
    $('play').setAttribute('aria-pressed', String(playing));
  });
  $('time').addEventListener('input', () => {
    playing = false;
    $('play').textContent = 'Play';
    $('play').setAttribute('aria-pressed', 'false');
    frame = Number($('time').value);
    drawn = false;
    requestAnimationFrame(draw);
  });

  return {
    canvas,
    onShow: (listener) => listeners.push(listener),
    picture: () => picture,
    // The frame that is seen.
    now: () => picture && still(picture, frame),
    show(next) {
      const wasVideo = picture && picture.frames > 1;
      picture = next;
      frame = Math.min(frame, next.frames - 1);
      drawn = false;
      $('player').hidden = next.frames < 2;
      $('time').max = next.frames - 1;
      if (!(wasVideo && next.frames > 1)) requestAnimationFrame(draw);
      listeners.forEach((listener) => listener(next));
    },
  };
}
