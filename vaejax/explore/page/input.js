// The picture that is given: drawn, dropped, chosen, or an example. The latents jump to it.

import { strokes } from './brush.js';
import { createLive } from './live.js';
import { blank, contextOf, fromCanvas, paint, thumbnails } from './picture.js';

const $ = (id) => document.getElementById(id);

export function inputTool(page) {
  const { model, store } = page;
  const { about } = model;
  const pad = $('pad');
  const isVideo = about.frames > 1;
  const side = Math.min(about.width, about.height);
  const grey = about.channels === 1;

  // Shows a picture beside its reconstruction, and moves the latents there.
  async function encode(picture, move, label = store.get().label) {
    if (!model.encode || picture.frames !== about.frames) {
      move({ picture, input: picture });
      return;
    }
    const latents = await model.encode({ picture, label });
    paint($('reconstruction'), await model.decode({ latents, label }));
    move({ latents, label, picture: null, input: picture, amounts: {} });
  }

  const live = createLive(
    async ({ picture }) => encode(picture, (values) => store.move(values)),
    (_, { ends }) => { if (ends) store.commit(); },
    page.fail,
  );

  // A label is that of an example; others are of the class that is chosen.
  function choose(picture, label = null) {
    paint(pad, picture);
    const own = about.classes.length && label !== null ? label : store.get().label;
    return page.work('Reading the picture', () => encode(picture, (values) => store.commit(values), own));
  }

  const paper = () => $('paper').value.match(/\w\w/g).map((text) => parseInt(text, 16));
  paint(pad, blank(about, paper()));
  paint($('reconstruction'), blank(about));
  if (grey) {
    $('ink').title = 'Colour of the pen (it becomes grey)';
    $('paper').title = 'Colour of the paper (it becomes grey)';
  }
  strokes(pad, {
    line(from, to) {
      const context = contextOf(pad);
      context.strokeStyle = $('ink').value;
      context.lineCap = context.lineJoin = 'round';
      context.lineWidth = Math.max(0.7, (Number($('pen').value) / 56) * side);
      context.beginPath();
      context.moveTo(from.x, from.y);
      context.lineTo(to.x + 0.01, to.y);
      context.stroke();
      live.ask({ picture: fromCanvas(pad) });
    },
    end() {
      live.ask({ picture: fromCanvas(pad), ends: true });
    },
  });
  $('clear').addEventListener('click', () => {
    paint(pad, blank(about, paper()));
    paint($('reconstruction'), blank(about));
  });
  $('paper').addEventListener('change', () => paint(pad, blank(about, paper())));
  $('file').addEventListener('change', (event) => {
    if (event.target.files.length) page.readFile(event.target.files[0]).then((x) => x && choose(x));
    event.target.value = '';
  });
  if (isVideo) [pad.closest('.pair'), $('pen').parentElement, $('ink'), $('paper'), $('clear')].forEach((x) => { x.hidden = true; });
  if (!model.encode) $('reconstruction').closest('figure').hidden = true;
  let onPad = null;
  store.onChange(({ input }) => {
    if (input && input.frames === 1 && input !== onPad && !live.busy()) paint(pad, input);
    onPad = input;
  });

  return {
    choose,
    showExamples(examples) {
      $('examples-box').hidden = examples.length === 0;
      const pictures = examples.map(({ picture }) => picture);
      thumbnails($('examples'), pictures, 'Example', (picture, i) => choose(picture, examples[i].label));
    },
  };
}
