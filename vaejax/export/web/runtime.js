// onnxruntime-web, from the folder runtime/ beside the page.

const THREADS = 4;
const MISSING = [
  'This page computes its pictures with onnxruntime-web, which is not in its folder runtime/ yet.',
  'Get its npm package: npm pack onnxruntime-web, then unpack the file with tar -xzf.',
  'Copy from package/dist/ into runtime/ beside this page: ort.wasm.min.mjs, '
    + 'ort-wasm-simd-threaded.mjs and ort-wasm-simd-threaded.wasm.',
  'For WebGPU also ort.webgpu.min.mjs, ort-wasm-simd-threaded.asyncify.mjs and '
    + 'ort-wasm-simd-threaded.asyncify.wasm.',
  'Then load this page again. Or export it with --runtime=package, which copies them.',
];

// Says in the page how to get the runtime.
export function explain() {
  const list = document.createElement('ol');
  list.id = 'no-runtime';
  list.append(...MISSING.map((text) => {
    const line = document.createElement('li');
    line.textContent = text;
    return line;
  }));
  document.getElementById('status').before(list);
}

async function adapter() {
  try {
    return navigator.gpu ? await navigator.gpu.requestAdapter() : null;
  } catch {
    return null;
  }
}

async function importRuntime() {
  if (await adapter()) {
    try {
      return { ort: await import('./runtime/ort.webgpu.min.mjs'), providers: ['webgpu', 'wasm'] };
    } catch {
      // It may not have been copied.
    }
  }
  try {
    return { ort: await import('./runtime/ort.wasm.min.mjs'), providers: ['wasm'] };
  } catch {
    throw new Error('The runtime is missing.');
  }
}

// -> {load: file name -> (inputs) -> outputs}, where inputs are {name: {type, data, dims}} and
// outputs {name: {data, dims}}
export async function loadRuntime() {
  const { ort, providers } = await importRuntime();
  document.documentElement.dataset.provider = providers[0];
  // Threads share memory, which browsers only allow to isolated pages.
  const cores = Math.min(THREADS, navigator.hardwareConcurrency || 1);
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? cores : 1;
  ort.env.logLevel = 'error';
  return {
    async load(name) {
      const response = await fetch(name);
      if (!response.ok) throw new Error(`${name} is missing. Export the page again`);
      const model = new Uint8Array(await response.arrayBuffer());
      const session = await ort.InferenceSession.create(model, { executionProviders: providers });
      return async (inputs) => {
        const tensors = Object.entries(inputs).map(([key, { type, data, dims }]) => (
          [key, new ort.Tensor(type, data, dims)]));
        return session.run(Object.fromEntries(tensors));
      };
    },
  };
}
