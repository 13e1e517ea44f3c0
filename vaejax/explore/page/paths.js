// Paths through latent space, as vaejax/inference/paths.py has them.

const FLAT = 1e-4; // sine of the angle below which an arc is a straight line

function slerp(a, b, t) {
  let aa = 0, bb = 0, ab = 0;
  for (let i = 0; i < a.length; i++) {
    aa += a[i] * a[i];
    bb += b[i] * b[i];
    ab += a[i] * b[i];
  }
  const norms = Math.sqrt(aa * bb);
  const angle = Math.acos(Math.min(1, Math.max(-1, norms > 0 ? ab / norms : 0)));
  const sine = Math.sin(angle);
  const arc = sine > FLAT && norms > 0;
  const left = arc ? Math.sin((1 - t) * angle) / sine : 1 - t;
  const right = arc ? Math.sin(t * angle) / sine : t;
  return a.map((x, i) => left * x + right * b[i]);
}

// The point at t in [0, 1] between latents a and b. Each part of a vector has a path of its own.
export function between(a, b, t, kind, { centre, parts }) {
  const point = new Float32Array(a.length);
  let start = 0;
  for (const length of parts) {
    const of = (z) => Float64Array.from({ length }, (_, i) => z[start + i] - (kind === 'linear' ? 0 : centre[start + i]));
    const [from, to] = [of(a), of(b)];
    const found = kind === 'linear' ? from.map((x, i) => (1 - t) * x + t * to[i]) : slerp(from, to, t);
    found.forEach((x, i) => { point[start + i] = x + (kind === 'linear' ? 0 : centre[start + i]); });
    start += length;
  }
  return point;
}
