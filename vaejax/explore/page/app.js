// The page: what the model can do becomes controls; what they do becomes a snapshot in the store,
// and the picture of that snapshot is shown.

import { completeTool } from './complete.js';
import { inputTool } from './input.js';
import { shortcuts } from './keys.js';
import { createLive } from './live.js';
import { connect } from './model.js';
import { morphTool } from './morph.js';
import { blank, download, thumbnails } from './picture.js';
import { attributeSliders, latentSliders } from './sliders.js';
import { createStage } from './stage.js';
import { createStore } from './store.js';
import { tabs } from './tabs.js';
import { continueTool, styleTool, translateTool } from './transform.js';

const $ = (id) => document.getElementById(id);
const MANY = 12; // samples at once

function status(text, bad = false) {
  $('status').textContent = text;
  $('status').classList.toggle('bad', bad);
}
const fail = (error) => status(error.message, true);

async function start() {
  const model = await connect();
  const { about } = model;
  document.title = about.title;
  $('title').textContent = about.title;
  const size = `${about.width}×${about.height}${about.frames > 1 ? `, ${about.frames} frames` : ''}`;
  const latents = about.latents ? `, ${about.latents.size} latents` : '';
  $('subtitle').textContent = `step ${about.step.toLocaleString('en')}, ${size}${latents}`;

  const stage = createStage();
  const store = createStore({
    latents: about.latents ? Float32Array.from(about.latents.centre) : null,
    label: about.needs_label ? 0 : null,
    picture: null, // shown instead of that of the latents
    input: null, // the last picture that was given
    amounts: {}, // of attributes
    a: null, b: null, morph: 0,
  });
  const page = {
    model, store, stage, fail,
    seed: () => crypto.getRandomValues(new Uint32Array(1))[0],
    temperature: () => Number($('temperature').value),
    // Runs what takes a while, and tells what goes wrong.
    async work(text, run) {
      status(`${text}…`);
      document.body.setAttribute('aria-busy', 'true');
      try {
        await run();
        status('');
      } catch (error) {
        fail(error);
      } finally {
        document.body.removeAttribute('aria-busy');
      }
    },
    async readFile(blob, as = '') {
      try {
        return await model.read(blob, as);
      } catch (error) {
        fail(error);
        return null;
      }
    },
    showVersions(title, pictures, choose) {
      $('versions-box').hidden = $('middle').hidden = false;
      $('versions-title').textContent = title;
      thumbnails($('versions'), pictures, title, choose);
    },
  };

  const live = model.decode && createLive(model.decode, (picture) => stage.show(picture), fail);
  let asked = {};
  store.onChange(({ latents, label, picture }) => {
    if (picture) {
      if (live) live.drop();
      if (asked.picture !== picture) stage.show(picture);
    } else if (live && (asked.picture || asked.latents !== latents || asked.label !== label)) {
      live.ask({ latents, label });
    }
    asked = { latents, label, picture };
    $('undo').disabled = !store.canUndo();
    $('redo').disabled = !store.canRedo();
  });

  // A new draw, or with n above 1 several to choose from.
  async function random(n = 1) {
    const settings = { n, seed: page.seed(), temperature: page.temperature(), label: store.get().label };
    if (!model.draw) {
      const pictures = await model.sample(settings);
      if (n > 1) page.showVersions('Samples', pictures, (picture) => store.commit({ picture }));
      else store.commit({ picture: pictures[0] });
      return;
    }
    const drawn = await model.draw(settings);
    const of = (z) => ({ latents: z, picture: null, amounts: {} });
    if (n === 1) {
      store.commit(of(drawn[0]));
      return;
    }
    const { label } = settings;
    const pictures = await Promise.all(drawn.map((latents) => model.decode({ latents, label })));
    page.showVersions('Samples', pictures, (_, i) => store.commit({ ...of(drawn[i]), label }));
  }
  const one = () => page.work('Drawing', () => random());
  const many = () => page.work('Drawing', () => random(MANY));
  const canDraw = Boolean(model.draw || model.sample);
  $('random-row').hidden = !canDraw && !model.continue && !model.translate;
  $('random').hidden = $('many').hidden = !canDraw;
  $('random').addEventListener('click', one);
  $('many').addEventListener('click', many);
  $('temperature').addEventListener('input', () => {
    $('temperature-value').textContent = page.temperature().toFixed(2);
  });

  function chooseClass(label) {
    if (label < 0 || label >= about.classes.length) return;
    store.commit({ label, picture: null });
    if (!model.decode) one();
  }
  if (about.classes.length) {
    $('classes').hidden = false;
    const chips = about.classes.map((name, label) => {
      const chip = document.createElement('button');
      chip.type = 'button';
      chip.className = 'chip';
      chip.textContent = name;
      chip.addEventListener('click', () => chooseClass(label));
      return chip;
    });
    $('classes').querySelector('.chips').replaceChildren(...chips);
    store.onChange(({ label }) => (
      chips.forEach((chip, i) => chip.setAttribute('aria-pressed', String(i === label)))));
  }

  if (about.latents && model.decode) {
    $('latents').hidden = $('middle').hidden = false;
    latentSliders($('sliders'), page);
  }
  const centre = () => about.latents
    && store.commit({ latents: Float32Array.from(about.latents.centre), picture: null, amounts: {} });
  $('reset').addEventListener('click', centre);

  const isGiven = model.read && (model.encode || model.complete || model.transfer || model.continue);
  const tool = {
    'tool-input': isGiven, 'tool-attributes': model.decode, 'tool-morph': model.decode,
    'tool-complete': model.complete, 'tool-continue': model.continue,
    'tool-style': model.transfer, 'tool-translate': model.translate,
  };
  let complete = null;
  const has = Object.keys(tool).filter((id) => tool[id]);
  const chosen = tabs(has, ['tool-attributes'], () => complete && complete.show());
  const input = isGiven && inputTool(page);
  const morph = model.decode && morphTool(page);
  if (model.complete) complete = completeTool(page);
  if (model.continue) continueTool(page);
  const style = model.transfer && styleTool(page);
  const translate = model.translate && translateTool(page);

  model.learned().then((learned) => {
    if (input) input.showExamples(learned.examples);
    if (style) style.showStyles(learned.styles);
    if (translate) translate.showSources(learned.sources);
    if (learned.attributes.length) {
      attributeSliders($('attributes'), learned.attributes, page);
      chosen.show('tool-attributes');
    }
    document.body.dataset.learned = 'true';
  }).catch(fail);

  // A dropped picture goes to the tool that is open.
  addEventListener('dragover', (event) => {
    event.preventDefault();
    document.body.classList.add('dropping');
  });
  addEventListener('dragleave', () => document.body.classList.remove('dropping'));
  addEventListener('drop', async (event) => {
    event.preventDefault();
    document.body.classList.remove('dropping');
    const file = event.dataTransfer.files[0];
    if (!file || !model.read) return;
    const isSource = chosen.current() === 'tool-translate';
    const picture = await page.readFile(file, isSource ? 'source' : '');
    if (!picture) return;
    if (isSource) translate.choose(picture);
    else if (chosen.current() === 'tool-style') style.apply(picture);
    else if (input) input.choose(picture);
  });

  const undo = () => { if (morph) morph.stop(); store.undo(); };
  const redo = () => store.redo();
  const save = () => download(stage.canvas, `${about.title.replace(/\W+/g, '-')}.png`);
  $('undo').addEventListener('click', undo);
  $('redo').addEventListener('click', redo);
  $('download').addEventListener('click', save);
  shortcuts([
    ...(canDraw ? [{ keys: ['R'], about: 'a new draw', run: one }] : []),
    ...(canDraw ? [{ keys: ['M'], about: `${MANY} draws to choose from`, run: many }] : []),
    ...(model.decode ? [
      { keys: ['C'], about: 'all latents to their means', run: centre },
      { keys: ['A'], about: 'keep the picture as A', run: () => morph.keep('a') },
      { keys: ['B'], about: 'keep the picture as B', run: () => morph.keep('b') },
      { keys: ['P'], about: 'play the morph from A to B', run: morph.toggle },
    ] : []),
    ...(about.classes.length ? [{
      keys: [...'0123456789'].slice(0, about.classes.length), about: 'the class of this number',
      run: (key) => chooseClass(Number(key)),
    }] : []),
    { keys: ['Ctrl-Z'], about: 'undo', run: undo },
    { keys: ['Ctrl-Shift-Z', 'Ctrl-Y'], about: 'redo', run: redo },
    { keys: ['D'], about: 'download the picture', run: save },
    { keys: ['?'], about: 'this list', run: () => $('help-dialog').showModal() },
  ]);

  if (canDraw) await random().then(store.forget);
  else stage.show(blank(about));
  document.body.dataset.ready = 'true';
}

start().catch(fail);
