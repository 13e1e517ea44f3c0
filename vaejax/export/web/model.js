// The model behind the page, in the visitor's browser: the same functions as those of a server, see
// the file of this name of `explore`. Nothing is sent anywhere.

import { generator, values } from './noise.js';
import { fromRgba, readPicture, toRgba } from './rgba.js';
import { explain, loadRuntime } from './runtime.js';

const NONE = { examples: [], styles: [], attributes: [] };
const product = (shape) => shape.reduce((a, b) => a * b, 1);
const lengthOf = ({ shape }) => product(shape.slice(1)); // of one row

function say(text) {
  document.getElementById('status').textContent = text;
}

// -> (model, inputs) -> outputs. What makes pictures is loaded now, what reads them when it is used.
async function loadModels({ models }) {
  let runtime;
  try {
    runtime = await loadRuntime();
  } catch (error) {
    explain();
    throw error;
  }
  const loaded = {};
  const load = (name) => (loaded[name] ??= runtime.load(name));
  const { encode, ...others } = models;
  for (const { file } of Object.values(others)) if (file) await load(file);
  // One computation at a time, as a session is not made for more.
  let last = Promise.resolve();
  return (model, inputs) => {
    last = last.catch(() => {}).then(async () => (await load(model.file))(inputs));
    return last;
  };
}

// -> (model, n, given) -> {name: {data, dims}}; given: {latents: [n vectors], label, temperature,
// seed, picture: floats of one}, those that the model takes.
function computer(run) {
  return async (model, n, given) => {
    const random = generator(given.seed ?? 0);
    let start = 0;
    const value = (input) => {
      const dims = input.shape.map((size) => (size === 'batch' ? n : size));
      const count = product(dims);
      if (input.role === 'temperature') return { data: Float32Array.of(given.temperature ?? 1), dims };
      if (input.role === 'label') return { data: new Int32Array(count).fill(given.label ?? 0), dims };
      if (input.role === 'picture') return { data: given.picture, dims };
      if (input.role === 'noise') return { data: values(random, input.kind, count), dims };
      const length = lengthOf(input);
      const data = new Float32Array(count);
      given.latents.forEach((z, row) => data.set(z.subarray(start, start + length), row * length));
      start += length;
      return { data, dims };
    };
    const inputs = {};
    for (const input of model.inputs) inputs[input.name] = { type: input.dtype, ...value(input) };
    return run(model, inputs);
  };
}

// The rows of several outputs, each row one vector.
function vectors(outputs, names, n) {
  return Array.from({ length: n }, (_, row) => {
    const parts = names.map((name) => {
      const { data } = outputs[name];
      const length = data.length / n;
      return data.subarray(row * length, (row + 1) * length);
    });
    const vector = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let start = 0;
    for (const part of parts) {
      vector.set(part, start);
      start += part.length;
    }
    return vector;
  });
}

export async function connect() {
  say('Loading the model…');
  const about = await (await fetch('about.json')).json();
  const { models } = about;
  const compute = computer(await loadModels(about));
  const pictures = (model, outputs) => toRgba(outputs[model.outputs[0]]);
  // n rows, in parts if the model takes fewer; read(outputs, rows) -> [one for each row]
  const several = async (model, n, given, read) => {
    const rows = model.rows ?? n;
    const found = [];
    for (let k = 0; k < n; k += rows) {
      found.push(...read(await compute(model, rows, { ...given, seed: given.seed + k }), rows));
    }
    return found.slice(0, n);
  };
  const every = {
    decode: async ({ latents, label }) => (
      pictures(models.decode, await compute(models.decode, 1, { latents: [latents], label }))[0]),
    draw: async ({ n, seed, temperature, label }) => {
      const { draw } = models;
      if (draw.file) {
        const read = (outputs, rows) => vectors(outputs, draw.outputs, rows);
        return several(draw, n, { seed, temperature, label }, read);
      }
      // The noise itself is moved, as that of a GAN.
      const length = draw.inputs.reduce((sum, input) => sum + lengthOf(input), 0);
      const random = generator(seed);
      const noise = () => values(random, 'normal', length).map((x) => temperature * x);
      return Array.from({ length: n }, noise);
    },
    encode: async ({ picture, label }) => {
      const given = { picture: fromRgba(picture, about), label };
      return vectors(await compute(models.encode, 1, given), models.encode.outputs, 1)[0];
    },
    sample: async ({ n, ...given }) => (
      several(models.sample, n, given, (outputs) => pictures(models.sample, outputs))),
    read: (blob) => readPicture(blob, about),
  };
  say('');
  const has = Object.fromEntries(about.controls.map((name) => [name, every[name]]));
  return { about, learned: async () => NONE, ...has };
}
