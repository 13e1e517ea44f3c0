// The model behind the page, on the server that sent it. An export has another file of this name;
// the rest of the page only uses what `connect` returns, and shows controls for what it has:
// `about` (see explore/capabilities.py), `learned()`, and any of the functions in `every` below.
//
// Pictures are {pixels: Uint8ClampedArray of RGBA, width, height, frames}; the frames of a video
// follow one another in `pixels`. Latents are Float32Array, and a label the number of a class or
// null. Every function rejects with an Error whose message is one line for the user.

const JSON_TYPE = { 'content-type': 'application/json' };

async function failure(response) {
  try {
    return new Error((await response.json()).error);
  } catch {
    return new Error(`the server answered ${response.status}`);
  }
}

async function post(name, body, headers = {}) {
  let response;
  try {
    response = await fetch(name, { method: 'POST', body, headers });
  } catch {
    throw new Error('the server does not answer. Start it again, and open the address that it shows');
  }
  if (!response.ok) throw await failure(response);
  return response;
}

const ask = (name, values) => post(name, JSON.stringify(values), JSON_TYPE);

async function pictures(response) {
  const [n, frames, height, width] = response.headers.get('x-shape').split(',').map(Number);
  const bytes = new Uint8ClampedArray(await response.arrayBuffer());
  const size = frames * height * width * 4;
  return Array.from({ length: n }, (_, i) => (
    { pixels: bytes.subarray(i * size, (i + 1) * size), width, height, frames }));
}

const first = async (response) => (await pictures(response))[0];

export function toBase64(bytes) {
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  }
  return btoa(text);
}

export function fromBase64(text) {
  return Uint8ClampedArray.from(atob(text), (letter) => letter.charCodeAt(0));
}

async function getJson(name) {
  const response = await fetch(name);
  if (!response.ok) throw await failure(response);
  return response.json();
}

// {examples: [{picture, label}], sources: [picture], styles: [picture], attributes: [{name,
// direction}]}, when the server has learned them.
async function learned(about) {
  for (;;) {
    const found = await getJson('learned.json');
    if (found.ready) {
      const { width, height, frames } = about;
      const picture = (text) => ({ pixels: fromBase64(text), width, height, frames });
      return {
        examples: found.examples.map((text, i) => (
          { picture: picture(text), label: found.labels[i] < 0 ? null : found.labels[i] })),
        sources: found.sources.map((text) => ({ pixels: fromBase64(text), ...about.source, frames: 1 })),
        styles: found.styles.map((text) => ({ ...picture(text), frames: 1 })),
        attributes: found.attributes,
      };
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

export async function connect() {
  const about = await getJson('about.json');
  const list = (latents) => Array.from(latents);
  const pixels = (picture) => toBase64(picture.pixels);
  // Without a label the value is left out, because null is no class.
  const given = (label) => (label === null || label === undefined ? {} : { label });
  const every = {
    // -> a picture
    decode: async ({ latents, label }) => (
      first(await ask('decode', { latents: list(latents), ...given(label) }))),
    // -> [latents] of n draws of the prior
    draw: async ({ n, seed, temperature, label }) => {
      const response = await ask('draw', { n, seed, temperature, ...given(label) });
      return (await response.json()).latents.map((z) => Float32Array.from(z));
    },
    // -> latents
    encode: async ({ picture, label }) => {
      const response = await ask('encode', { pixels: pixels(picture), ...given(label) });
      return Float32Array.from((await response.json()).latents);
    },
    // -> [pictures], for a model without latents that could be moved
    sample: async ({ n, seed, temperature, label }) => (
      pictures(await ask('sample', { n, seed, temperature, ...given(label) }))),
    // -> [versions]; mask: Uint8Array [height * width], above 0 where the picture is missing; null
    // for a model with a mask of its own, about.mask
    complete: async ({ picture, mask, seed, label }) => {
      const hidden = mask ? { mask: toBase64(mask) } : {};
      return pictures(await ask('complete', { pixels: pixels(picture), ...hidden, seed, ...given(label) }));
    },
    // -> [videos] that begin with the frames of a picture
    continue: async ({ picture, n, seed, temperature }) => (
      pictures(await ask('continue', { pixels: pixels(picture), n, seed, temperature }))),
    // -> a picture
    transfer: async ({ picture, style }) => (
      first(await ask('transfer', { pixels: pixels(picture), style: pixels(style) }))),
    // -> [versions] of a picture of the size about.source
    translate: async ({ picture, seed, temperature }) => (
      pictures(await ask('translate', { pixels: pixels(picture), seed, temperature }))),
    // -> a file (Blob) as the model sees it; as: 'source' for one that is translated
    read: async (blob, as = '') => first(await post(as ? `read?as=${as}` : 'read', blob)),
  };
  const has = Object.fromEntries(about.controls.map((name) => [name, every[name]]));
  return { about, learned: () => learned(about), ...has };
}
