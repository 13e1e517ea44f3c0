"""Eight pictures of a model, by onnxruntime and NumPy alone: python run.py writes pictures.ppm."""

from pathlib import Path

import numpy as np
import onnxruntime

MODEL, CLASSES, LOW, HIGH = 'decode.onnx', 1, 0.0, 1.0

session = onnxruntime.InferenceSession(Path(__file__).with_name(MODEL))
uniform = lambda i: np.sin(i * 12.9898) * 43758.5453 % 1  # nearly random, and that of run.mjs
inputs, i = {}, np.zeros(1)
for port in session.get_inputs():
  shape = [8 if n == 'batch' else n for n in port.shape]
  i = i[-1] + 2 * np.arange(1, 1 + np.prod(shape, dtype=int))
  x = np.sqrt(-2 * np.log(1 - uniform(i))) * np.cos(2 * np.pi * uniform(i + 1))  # N(0, 1)
  if 'int' in port.type:
    x = np.arange(len(i), dtype=np.int32) % CLASSES
  elif not shape:
    x = np.ones(1)  # the temperature
  inputs[port.name] = x.reshape(shape).astype(np.int32 if 'int' in port.type else np.float32)
x = (session.run(None, inputs)[0] - LOW) / (HIGH - LOW)
x = np.rint(255 * np.clip(x, 0, 1)).astype(np.uint8)[..., [0, 1, 2] if x.shape[-1] > 2 else [0] * 3]
width = x.shape[-2]  # the pictures are below one another
Path('pictures.ppm').write_bytes(b'P6 %d %d 255\n' % (width, x.size // width // 3) + x.tobytes())
