// Strokes of a pointer on a canvas, mouse, pen or finger, in pixels of the canvas.

export function strokes(canvas, { line, end }) {
  let last = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * canvas.width,
      y: ((event.clientY - box.top) / box.height) * canvas.height,
    };
  };
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    line(last, last);
    event.preventDefault();
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!last) return;
    const to = place(event);
    line(last, to);
    last = to;
  });
  const stop = () => {
    if (last) end();
    last = null;
  };
  canvas.addEventListener('pointerup', stop);
  canvas.addEventListener('pointercancel', stop);
}
