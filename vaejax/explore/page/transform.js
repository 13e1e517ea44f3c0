// Operations on a picture as a whole: continue a video, transfer a style, translate.

import { blank, paint, still, thumbnails } from './picture.js';

const $ = (id) => document.getElementById(id);

export function continueTool(page) {
  const { model, store, stage } = page;
  const slider = $('given');
  slider.max = model.about.frames - 1;
  slider.value = Math.max(1, Math.floor(model.about.frames / 4));
  const say = () => { $('given-value').textContent = `${slider.value} of ${model.about.frames} frames`; };
  slider.addEventListener('input', say);
  say();
  $('continue').addEventListener('click', () => page.work('Continuing', async () => {
    const shown = stage.picture();
    const size = shown.width * shown.height * 4;
    const frames = Math.min(Number(slider.value), shown.frames);
    const picture = { ...shown, frames, pixels: shown.pixels.subarray(0, frames * size) };
    const settings = { seed: page.seed(), temperature: page.temperature() };
    const videos = await model.continue({ picture, n: 4, ...settings });
    page.showVersions('Continued', videos, (video) => store.commit({ picture: video }));
    store.commit({ picture: videos[0] });
  }));
}

export function styleTool(page) {
  const { model, store, stage } = page;
  let content = null;
  let style = null;
  const setContent = (picture) => { content = picture; paint($('style-content'), picture); };
  paint($('style-content'), blank(model.about));
  paint($('style-picture'), blank(model.about));

  function apply(picture) {
    style = picture;
    paint($('style-picture'), style);
    if (!content) setContent(store.get().input || still(stage.now()));
    return page.work('Transferring the style', async () => {
      store.commit({ picture: await model.transfer({ picture: content, style }) });
    });
  }

  $('style-keep').addEventListener('click', () => setContent(still(stage.now())));
  $('style-file').addEventListener('change', (event) => {
    if (event.target.files.length) page.readFile(event.target.files[0]).then((x) => x && apply(x));
    event.target.value = '';
  });
  store.onChange(({ input }) => { if (input && input !== content && input.frames === 1) setContent(input); });
  return { apply, showStyles: (pictures) => thumbnails($('styles'), pictures, 'Style', apply) };
}

export function translateTool(page) {
  const { model, store } = page;
  let source = null;
  paint($('source'), blank(model.about.source));
  const run = () => page.work('Translating', async () => {
    const settings = { seed: page.seed(), temperature: page.temperature() };
    const versions = await model.translate({ picture: source, ...settings });
    if (versions.length > 1) page.showVersions('Translations', versions, (picture) => store.commit({ picture }));
    store.commit({ picture: versions[0] });
  });
  function choose(picture) {
    source = picture;
    paint($('source'), picture);
    $('translate').disabled = false;
    return run();
  }
  $('translate').addEventListener('click', run);
  $('source-file').addEventListener('change', (event) => {
    if (event.target.files.length) page.readFile(event.target.files[0], 'source').then((x) => x && choose(x));
    event.target.value = '';
  });
  return { choose, showSources: (pictures) => thumbnails($('sources'), pictures, 'Source', choose) };
}
