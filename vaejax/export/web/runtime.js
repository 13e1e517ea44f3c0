// onnxruntime-web, from the folder runtime/ beside the page.

const THREADS = 4;
const ERRORS = 3; // the severity from which on the runtime writes to the console
const WASM = ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'];
const WEBGPU = [
  'ort.webgpu.min.mjs', 'ort-wasm-simd-threaded.asyncify.mjs', 'ort-wasm-simd-threaded.asyncify.wasm',
];

function element(name, text, children = []) {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
}

// Says in the page how to get the runtime.
export function explain() {
  const list = (files) => element('ul', '', files.map((file) => element('li', file)));
  const steps = element('ol', '', [
    element('li', 'Get its npm package: npm pack onnxruntime-web'),
    element('li', 'Unpack the file: tar -xzf onnxruntime-web-*.tgz'),
    element('li', 'Copy from package/dist into the folder runtime beside this page:', [list(WASM)]),
    element('li', 'For WebGPU, which is quicker for large models, also:', [list(WEBGPU)]),
    element('li', 'Load this page again.'),
  ]);
  const stage = document.getElementById('stage');
  stage.id = 'no-runtime';
  stage.replaceChildren(
    element('h2', 'One part of this page is missing'),
    element('p', 'Its pictures are computed in your browser by onnxruntime-web. To add it:'),
    steps,
    element('p', 'Or export the page again with --runtime=package, which copies these files.'),
    document.getElementById('status') ?? element('p', ''),
  );
  document.querySelector('header .row').hidden = true;
}

// Whether there is a GPU; one that the CPU imitates is slower than WebAssembly.
async function hasGpu() {
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    return Boolean(adapter) && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
  } catch {
    return false;
  }
}

async function importRuntime() {
  if (await hasGpu()) {
    try {
      return { ort: await import('./runtime/ort.webgpu.min.mjs'), provider: 'webgpu' };
    } catch {
      // It may not have been copied.
    }
  }
  try {
    return { ort: await import('./runtime/ort.wasm.min.mjs'), provider: 'wasm' };
  } catch {
    throw new Error('onnxruntime-web is missing.');
  }
}

// -> {load: file name -> (inputs) -> outputs}, where inputs are {name: {type, data, dims}} and
// outputs {name: {data, dims}}
export async function loadRuntime() {
  const { ort, provider } = await importRuntime();
  // Threads share memory, which browsers only allow to isolated pages.
  const cores = Math.min(THREADS, navigator.hardwareConcurrency || 1);
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? cores : 1;
  ort.env.logLevel = 'error';

  async function open(model, name) {
    const executionProviders = name === 'wasm' ? [name] : [name, 'wasm'];
    const settings = { executionProviders, logSeverityLevel: ERRORS };
    const session = await ort.InferenceSession.create(model, settings);
    document.documentElement.dataset.provider = name;
    return session;
  }

  async function load(name) {
    const response = await fetch(name);
    if (!response.ok) throw new Error(`${name} is missing. Export the page again`);
    const model = new Uint8Array(await response.arrayBuffer());
    let own = provider;
    let session = null;
    // A GPU that fails, or lacks an operation, is done without.
    const attempt = async (work) => {
      try {
        session ??= await open(model, own);
        return await work();
      } catch (error) {
        if (own === 'wasm') throw error;
        own = 'wasm';
        session = null;
        return attempt(work);
      }
    };
    const tensors = (inputs) => Object.fromEntries(
      Object.entries(inputs).map(([key, { type, data, dims }]) => (
        [key, new ort.Tensor(type, data, dims)])),
    );
    await attempt(() => {});
    return (inputs) => attempt(() => session.run(tensors(inputs)));
  }

  return { load };
}
