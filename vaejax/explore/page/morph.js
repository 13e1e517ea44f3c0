// From one kept picture to another.

import { paint, blank } from './picture.js';
import { between } from './paths.js';

const $ = (id) => document.getElementById(id);
const SECONDS = 2.5; // from A to B

export function morphTool({ model, store, stage }) {
  const { latents: space } = model.about;
  let playing = false;
  let moving = false; // while it is the morph that changes the picture
  let direction = 1;
  let last = 0;

  const keep = (name) => {
    const { latents, label } = store.get();
    if (!stage.picture()) return; // the first is not there yet
    store.commit({ [name]: { latents, label, picture: stage.picture() } });
  };

  function at(t) {
    const { a, b } = store.get();
    return {
      latents: between(a.latents, b.latents, t, $('path').value, space),
      label: (t < 0.5 ? a : b).label,
      morph: t,
      picture: null,
      amounts: {},
    };
  }

  function step(now) {
    if (!playing) return;
    let t = store.get().morph + (direction * Math.min(100, now - last)) / 1000 / SECONDS;
    if (t >= 1 || t <= 0) {
      direction = t >= 1 ? -1 : 1;
      t = Math.min(1, Math.max(0, t));
    }
    last = now;
    moving = true;
    store.move(at(t));
    moving = false;
    requestAnimationFrame(step);
  }

  function show(on) {
    playing = on;
    $('morph-play').textContent = on ? 'Stop' : 'Play';
  }

  function play(on) {
    if (on === playing || $('morph-play').disabled) return;
    show(on);
    if (on) {
      last = performance.now();
      requestAnimationFrame(step);
    } else {
      store.commit();
    }
  }

  $('keep-a').addEventListener('click', () => keep('a'));
  $('keep-b').addEventListener('click', () => keep('b'));
  $('morph').addEventListener('input', () => { play(false); store.move(at(Number($('morph').value))); });
  $('morph').addEventListener('change', () => store.commit());
  $('morph-play').addEventListener('click', () => play(!playing));
  $('path').addEventListener('change', () => store.commit(at(store.get().morph)));
  let shown = {};
  store.onChange(({ a, b, morph }) => {
    if (playing && !moving) show(false); // something else changes the picture
    $('morph').value = morph;
    if (shown.a === a && shown.b === b) return;
    shown = { a, b };
    $('morph').disabled = $('morph-play').disabled = $('path').disabled = !(a && b);
    paint($('point-a'), a ? a.picture : blank(model.about));
    paint($('point-b'), b ? b.picture : blank(model.about));
  });
  $('path').disabled = true;
  return { keep, toggle: () => play(!playing), stop: () => play(false) };
}
