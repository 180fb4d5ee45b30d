/** The colour of the ground: one function, for the tiles and for the map. */
import { ease, noise } from "./chance.js";
import type { Terrain } from "./terrain.js";

type Rgb = readonly [number, number, number];

const DEEP: Rgb = [38, 104, 145];
const SEA: Rgb = [58, 141, 176];
const SHALLOW: Rgb = [116, 196, 203];
const WET_SAND: Rgb = [206, 184, 138];
const SAND: Rgb = [236, 217, 170];
const GRASS: Rgb = [136, 180, 88];
const GRASS_DRY: Rgb = [172, 192, 101];
const GRASS_LUSH: Rgb = [104, 160, 79];
const FOREST: Rgb = [76, 122, 66];
const FOREST_DARK: Rgb = [58, 101, 60];
const ROCK: Rgb = [158, 154, 146];
const ROCK_DARK: Rgb = [128, 125, 121];
const CLIFF: Rgb = [98, 95, 97];
const SNOW: Rgb = [226, 230, 232];

/** The properties of a point that decide its colour. */
export interface Sample {
  /** Height as the rules read it. */
  height: number;
  /** Wood as the rules read it. */
  wood: number;
  /** Light on the slope, about -1 to 1. */
  light: number;
}

/** Light from the north-west on the smoothed height. `reach`: distance over which the slope is taken, mm. */
export function lightAt(terrain: Terrain, x: number, y: number, reach = 6_000): number {
  const a = terrain.smooth(terrain.height, x - reach, y - reach);
  const b = terrain.smooth(terrain.height, x + reach, y + reach);
  return Math.max(-1, Math.min(1, (b - a) * -0.055));
}

/**
 * The colour of a point, written into `out` at `at` as RGBA. `x` and `y` in metres drive the noise. It frays the
 * borders between grass, forest and rock; the coast is exactly where the rules have it.
 */
export function paint(terrain: Terrain, s: Sample, x: number, y: number, out: Uint8ClampedArray, at: number): void {
  const broad = noise(x * 0.9, y * 0.9);
  const fine = noise(x * 6.1 + 40, y * 6.1 + 90);
  const depth = terrain.sea - s.height;
  let r: number, g: number, b: number;
  let light = s.light;
  if (depth > 0) {
    const d = depth + broad * 1.2;
    [r, g, b] = SHALLOW;
    const near = ease((d - 0.3) / 7);
    (r = mix(r, SEA[0], near)), (g = mix(g, SEA[1], near)), (b = mix(b, SEA[2], near));
    const far = ease((d - 9) / 26);
    (r = mix(r, DEEP[0], far)), (g = mix(g, DEEP[1], far)), (b = mix(b, DEEP[2], far));
    light = broad * 0.12;
  } else {
    const h = s.height + broad * 1.6;
    // Wet where the waves reach.
    const wet = 1 - ease((s.height - terrain.sea - 0.2) / 2.4);
    (r = mix(SAND[0], WET_SAND[0], wet)), (g = mix(SAND[1], WET_SAND[1], wet)), (b = mix(SAND[2], WET_SAND[2], wet));
    const grass = ease((h - terrain.beach + 1.4) / 2.6);
    if (grass > 0) {
      const patch = ease(0.5 + broad * 0.9);
      const green = patch > 0.5 ? GRASS_DRY : GRASS_LUSH;
      const far = Math.abs(patch - 0.5) * 1.5;
      let gr = mix(GRASS[0], green[0], far);
      let gg = mix(GRASS[1], green[1], far);
      let gb = mix(GRASS[2], green[2], far);
      const forest = ease((s.wood + broad * 14 - terrain.forest + 14) / 28);
      if (forest > 0) {
        const dark = ease(0.4 + noise(x * 1.7 + 9, y * 1.7) * 0.9);
        gr = mix(gr, mix(FOREST[0], FOREST_DARK[0], dark), forest);
        gg = mix(gg, mix(FOREST[1], FOREST_DARK[1], dark), forest);
        gb = mix(gb, mix(FOREST[2], FOREST_DARK[2], dark), forest);
      }
      (r = mix(r, gr, grass)), (g = mix(g, gg, grass)), (b = mix(b, gb, grass));
      const rock = ease((h + broad * 3 + fine * 2 - terrain.rock + 4) / 9);
      if (rock > 0) {
        const dark = ease(0.5 + noise(x * 3.3, y * 3.3 + 70) * 1.1);
        (r = mix(r, mix(ROCK[0], ROCK_DARK[0], dark), rock)), (g = mix(g, mix(ROCK[1], ROCK_DARK[1], dark), rock)), (b = mix(b, mix(ROCK[2], ROCK_DARK[2], dark), rock));
        light = light * 1.25;
      }
      const cliff = ease((s.height + fine * 1.2 - terrain.cliff + 2) / 4);
      if (cliff > 0) {
        const snow = ease((s.height + broad * 6 - terrain.cliff - 12) / 14);
        (r = mix(r, mix(CLIFF[0], SNOW[0], snow), cliff)), (g = mix(g, mix(CLIFF[1], SNOW[1], snow), cliff)), (b = mix(b, mix(CLIFF[2], SNOW[2], snow), cliff));
        light = light * 1.3 + fine * 0.1 * cliff;
      }
    }
  }
  const shade = 1 + light * 0.3 + fine * 0.035;
  out[at] = r * shade;
  out[at + 1] = g * shade;
  out[at + 2] = b * shade;
  out[at + 3] = 255;
}

function mix(a: number, b: number, share: number): number {
  return a + (b - a) * share;
}
