// Pictures on canvases.

const SMOOTH = 256; // pixels from which on an enlarged picture is smoothed

// Its pixels stay where the page reads them, as it does all the time.
export const contextOf = (canvas) => canvas.getContext('2d', { willReadFrequently: true });

export function frameOf(picture, frame = 0) {
  const size = picture.width * picture.height * 4;
  const start = Math.min(frame, picture.frames - 1) * size;
  return picture.pixels.subarray(start, start + size);
}

export function paint(canvas, picture, frame = 0) {
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.classList.toggle('smooth', Math.min(picture.width, picture.height) >= SMOOTH);
  const image = new ImageData(new Uint8ClampedArray(frameOf(picture, frame)), picture.width, picture.height);
  contextOf(canvas).putImageData(image, 0, 0);
}

export function fromCanvas(canvas) {
  const { width, height } = canvas;
  const { data } = contextOf(canvas).getImageData(0, 0, width, height);
  return { pixels: data, width, height, frames: 1 };
}

export function still(picture, frame = 0) {
  return { ...picture, pixels: frameOf(picture, frame), frames: 1 };
}

export function blank({ width, height }, colour = [0, 0, 0]) {
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < pixels.length; i += 4) pixels.set([...colour, 255], i);
  return { pixels, width, height, frames: 1 };
}

// Buttons with pictures; choose(picture, index) when one is pressed.
export function thumbnails(box, pictures, label, choose) {
  box.replaceChildren(...pictures.map((picture, index) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('aria-label', `${label} ${index + 1}`);
    const canvas = document.createElement('canvas');
    paint(canvas, picture, picture.frames - 1);
    button.append(canvas);
    button.addEventListener('click', () => choose(picture, index));
    return button;
  }));
}

export function download(canvas, name) {
  canvas.toBlob((blob) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}
