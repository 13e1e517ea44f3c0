// Random numbers from a seed (mulberry32), of the distributions that models draw from.

export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Above 0, so that it has a logarithm.
const positive = (random) => (random() * 2 ** 32 + 0.5) / (2 ** 32 + 1);

const KINDS = {
  uniform: (random) => random(),
  gumbel: (random) => -Math.log(-Math.log(positive(random))),
  normal: (random) => (
    Math.sqrt(-2 * Math.log(positive(random))) * Math.cos(2 * Math.PI * random())),
};

// n numbers of a kind, Float32Array.
export function values(random, kind, n) {
  return Float32Array.from({ length: n }, () => KINDS[kind](random));
}
