/** Random numbers that are the same each time for the same place: for looks, never for rules. */

/** 32 mixed bits of two numbers (the finalizer of MurmurHash3). */
export function hash(x: number, y: number): number {
  let h = (Math.imul(x | 0, 0x9e3779b1) ^ Math.imul(y | 0, 0x85ebca6b)) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A sequence of numbers in [0, 1) from a seed (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Side of the noise tile; a power of two. */
const SIDE = 256;
let tile: Float32Array | undefined;

/** Smooth noise in about [-1, 1] at a point, repeating every 256 units: five octaves, made once. */
export function noise(x: number, y: number): number {
  tile ??= makeNoise();
  const i = Math.floor(x);
  const j = Math.floor(y);
  const fx = x - i;
  const fy = y - j;
  const a = (i & (SIDE - 1)) + (j & (SIDE - 1)) * SIDE;
  const b = ((i + 1) & (SIDE - 1)) + (j & (SIDE - 1)) * SIDE;
  const c = (i & (SIDE - 1)) + ((j + 1) & (SIDE - 1)) * SIDE;
  const d = ((i + 1) & (SIDE - 1)) + ((j + 1) & (SIDE - 1)) * SIDE;
  const top = tile[a]! + (tile[b]! - tile[a]!) * fx;
  const bottom = tile[c]! + (tile[d]! - tile[c]!) * fx;
  return top + (bottom - top) * fy;
}

function makeNoise(): Float32Array {
  const out = new Float32Array(SIDE * SIDE);
  for (let octave = 0, weight = 1; octave < 5; octave++, weight *= 0.55) {
    const cells = 8 << octave;
    const step = SIDE / cells;
    const at = (i: number, j: number) => (hash((i % cells) + octave * 977, j % cells) / 0xffffffff) * 2 - 1;
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const i = Math.floor(x / step);
        const j = Math.floor(y / step);
        const sx = ease(x / step - i);
        const sy = ease(y / step - j);
        const top = at(i, j) + (at(i + 1, j) - at(i, j)) * sx;
        const bottom = at(i, j + 1) + (at(i + 1, j + 1) - at(i, j + 1)) * sx;
        out[y * SIDE + x] = out[y * SIDE + x]! + (top + (bottom - top) * sy) * weight;
      }
    }
  }
  return out;
}

/** From 0 to 1, smooth at both ends. */
export function ease(t: number): number {
  return t <= 0 ? 0 : t >= 1 ? 1 : t * t * (3 - 2 * t);
}
