// Pictures of a model, floats in [0, 1], as the page has them, and back.

const LUMA = [0.299, 0.587, 0.114];

// [n, (frames,) height, width, channels] -> pictures
export function toRgba({ data, dims }) {
  const [height, width, channels] = dims.slice(-3);
  const frames = dims.length === 5 ? dims[1] : 1;
  const size = frames * height * width;
  return Array.from({ length: dims[0] }, (_, row) => {
    const pixels = new Uint8ClampedArray(size * 4); // rounds and clips
    let from = row * size * channels;
    for (let to = 0; to < pixels.length; to += 4, from += channels) {
      for (let c = 0; c < 3; c++) pixels[to + c] = 255 * data[from + (channels > 1 ? c : 0)];
      pixels[to + 3] = channels === 4 ? 255 * data[from + 3] : 255;
    }
    return { pixels, width, height, frames };
  });
}

// -> floats [1, height, width, channels]
export function fromRgba({ pixels }, { channels, levels }) {
  const data = new Float32Array((pixels.length / 4) * channels);
  const level = (x) => (levels === 2 ? Number(x > 127) : x / 255);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += channels) {
    if (channels === 1) {
      data[to] = level(Math.round(LUMA.reduce((sum, w, c) => sum + w * pixels[from + c], 0)));
    } else {
      for (let c = 0; c < channels; c++) data[to + c] = level(pixels[from + c]);
    }
  }
  return data;
}

// A picture file at the size of the model: scaled, and its centre if the sides differ.
export async function readPicture(blob, { width, height, channels, background }) {
  let picture;
  try {
    picture = await createImageBitmap(blob);
  } catch {
    throw new Error('this is no picture that can be read. Use PNG, JPEG, WebP or GIF');
  }
  // By halves, because a browser may look at the nearest pixels alone.
  const scale = Math.max(width / picture.width, height / picture.height);
  let [w, h] = [picture.width, picture.height];
  let from = picture;
  const drawn = (source, columns, rows, place) => {
    const canvas = new OffscreenCanvas(columns, rows);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    if (channels < 4) {
      context.fillStyle = `rgb(${background.join(' ')})`;
      context.fillRect(0, 0, columns, rows);
    }
    context.imageSmoothingQuality = 'high';
    context.drawImage(source, ...place);
    return canvas;
  };
  while (Math.min(w / 2 / (picture.width * scale), h / 2 / (picture.height * scale)) >= 1) {
    const next = [Math.ceil(w / 2), Math.ceil(h / 2)];
    from = drawn(from, ...next, [0, 0, ...next]);
    [w, h] = next;
  }
  const size = [picture.width * scale, picture.height * scale];
  const corner = [(width - size[0]) / 2, (height - size[1]) / 2];
  const canvas = drawn(from, width, height, [...corner, ...size]);
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  return { pixels: data, width, height, frames: 1 };
}
