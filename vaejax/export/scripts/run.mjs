// Eight pictures of a model, by onnxruntime-web alone: node run.mjs writes pictures.ppm.

import { readFileSync, writeFileSync } from 'node:fs';
import * as ort from 'onnxruntime-web'; // npm install onnxruntime-web

const [MODEL, CLASSES, LOW, HIGH] = ['decode.onnx', 1, 0.0, 1.0];

const session = await ort.InferenceSession.create(readFileSync(new URL(MODEL, import.meta.url)));
const fraction = (x) => x - Math.floor(x);
const uniform = (i) => fraction(Math.sin(i * 12.9898) * 43758.5453); // nearly random, that of run.py
const angle = (i) => 2 * Math.PI * uniform(i + 1);
const normal = (i) => Math.sqrt(-2 * Math.log(1 - uniform(i))) * Math.cos(angle(i)); // N(0, 1)
const inputs = {};
let i = 0;
for (const { name, type, shape } of session.inputMetadata) {
  const form = shape.map((n) => (n === 'batch' ? 8 : n));
  const x = Array.from({ length: form.reduce((a, b) => a * b, 1) }, () => normal(i += 2));
  if (type === 'int32') inputs[name] = new ort.Tensor(type, x.map((_, k) => k % CLASSES), form);
  else inputs[name] = new ort.Tensor(type, form.length ? x : [1], form); // [1]: the temperature
}
const { dims, data } = (await session.run(inputs))[session.outputNames[0]];
const [width, channels] = dims.slice(-2);
const byte = (x) => Math.round(255 * Math.min(1, Math.max(0, (x - LOW) / (HIGH - LOW))));
const at = (k) => data[Math.floor(k / 3) * channels + (channels > 2 ? k % 3 : 0)];
const pixels = Uint8Array.from({ length: (3 * data.length) / channels }, (_, k) => byte(at(k)));
const head = `P6 ${width} ${pixels.length / width / 3} 255\n`; // the pictures are below one another
writeFileSync('pictures.ppm', Buffer.concat([Buffer.from(head), pixels]));
