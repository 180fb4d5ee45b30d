/**
 * The ground as pictures: one tile per chunk, painted once into an offscreen canvas and kept while it may be needed,
 * and a small map of the whole island that replaces tiles until they are ready.
 */
import { chance, hash, noise } from "./chance.js";
import { lightAt, paint, type Sample } from "./paint.js";
import { Biome, type Terrain } from "./terrain.js";

/** Pixels painted per metre; the tile is larger, and decorated at its own size. */
const BASE = 8;
/** Pixels of a tile per metre. */
const DENSITY = 20;
/** Metres per tile: a chunk. */
const SIDE = 30;
/** Tiles kept: about 1.4 MB each. Beyond, the one not drawn for longest is dropped. */
const TILES_MAX = 48;
/** Tiles in progress at a time. */
const BEGUN_MAX = 24;
/** Rows of pixels painted between two checks of the clock. */
const ROWS = 16;
/** Spacing of the exact samples within a tile, m; between them it interpolates. */
const GRID = 1;
/** Pixels per terrain cell on the island's map. */
export const MAP_SCALE = 4;

/** A piece of coast, tile metres: lines of points. */
type Shore = number[][];

interface Tile {
  readonly canvas: HTMLCanvasElement;
  /** The water's edge. */
  readonly shore: Path2D | undefined;
  readonly hasWater: boolean;
  used: number;
}

/** See the top of the file. */
export class Ground {
  /** The whole island, {@link MAP_SCALE} pixels per cell. */
  readonly map: HTMLCanvasElement;
  private readonly tiles = new Map<string, Tile>();
  /** Tiles in progress, painted a little further at every picture. */
  private readonly begun = new Map<string, Generator<undefined, Omit<Tile, "used">>>();
  private clock = 0;

  constructor(private readonly terrain: Terrain) {
    this.map = paintMap(terrain);
  }

  /**
   * The tile of a chunk, or undefined if it is not ready. It paints until `deadline` (as of `performance.now()`): a
   * tile takes some milliseconds, too long for one picture on a slow machine.
   */
  tile(cx: number, cy: number, deadline: number): Tile | undefined {
    const key = `${cx}/${cy}`;
    const tile = this.tiles.get(key) ?? this.paintOn(key, cx, cy, deadline);
    if (tile) tile.used = ++this.clock;
    return tile;
  }

  private paintOn(key: string, cx: number, cy: number, deadline: number): Tile | undefined {
    if (performance.now() >= deadline) return undefined;
    let work = this.begun.get(key);
    if (!work) {
      // A player who has walked on does not need the tiles started here.
      if (this.begun.size > BEGUN_MAX) this.begun.clear();
      this.begun.set(key, (work = paintTile(this.terrain, cx, cy)));
    }
    do {
      const step = work.next();
      if (!step.done) continue;
      const tile = { ...step.value, used: 0 };
      this.begun.delete(key);
      this.tiles.set(key, tile);
      if (this.tiles.size > TILES_MAX) this.evict();
      return tile;
    } while (performance.now() < deadline);
    return undefined;
  }

  private evict(): void {
    let oldest: [string, Tile] | undefined;
    for (const entry of this.tiles) if (!oldest || entry[1].used < oldest[1].used) oldest = entry;
    if (oldest) this.tiles.delete(oldest[0]);
  }
}

function canvasOf(width: number, height: number): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser cannot draw");
  return [canvas, context];
}

function paintMap(terrain: Terrain): HTMLCanvasElement {
  const side = (terrain.corners - 1) * MAP_SCALE;
  const [canvas, context] = canvasOf(side, side);
  const image = context.createImageData(side, side);
  const step = terrain.cell / MAP_SCALE;
  // Light changes slowly: once per corner is enough.
  const { cell, corners } = terrain;
  const light = Float32Array.from({ length: corners * corners }, (_, k) => lightAt(terrain, (k % corners) * cell, Math.floor(k / corners) * cell, 9_000) * 1.2);
  const sample: Sample = { height: 0, wood: 0, light: 0 };
  for (let j = 0; j < side; j++) {
    for (let i = 0; i < side; i++) {
      const x = (i + 0.5) * step;
      const y = (j + 0.5) * step;
      sample.height = terrain.field(terrain.height, x, y);
      sample.wood = terrain.field(terrain.wood, x, y);
      const [u, v] = [x / cell, y / cell];
      const [fx, fy] = [u % 1, v % 1];
      const at = Math.floor(v) * corners + Math.floor(u);
      sample.light =
        (light[at]! * (1 - fx) + light[at + 1]! * fx) * (1 - fy) + (light[at + corners]! * (1 - fx) + light[at + corners + 1]! * fx) * fy;
      paint(terrain, sample, x / 1_000, y / 1_000, image.data, (j * side + i) * 4);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function* paintTile(terrain: Terrain, cx: number, cy: number): Generator<undefined, Omit<Tile, "used">> {
  const x0 = cx * SIDE;
  const y0 = cy * SIDE;
  const grid = SIDE / GRID + 1;
  const height = new Float32Array(grid * grid);
  const wood = new Float32Array(grid * grid);
  const light = new Float32Array(grid * grid);
  const [base, into] = canvasOf(SIDE * BASE, SIDE * BASE);
  let low = Infinity;
  let high = -Infinity;
  for (let j = 0; j < grid; j++) {
    for (let i = 0; i < grid; i++) {
      const x = (x0 + i * GRID) * 1_000;
      const y = (y0 + j * GRID) * 1_000;
      const at = j * grid + i;
      const outside = x < 0 || y < 0 || x > terrain.sizeMm || y > terrain.sizeMm;
      height[at] = outside ? Math.min(terrain.field(terrain.height, x, y), terrain.sea - 1) : terrain.field(terrain.height, x, y);
      wood[at] = terrain.field(terrain.wood, x, y);
      light[at] = lightAt(terrain, x, y);
      low = Math.min(low, height[at]!);
      high = Math.max(high, height[at]!);
    }
  }
  yield undefined;
  const side = SIDE * BASE;
  const image = into.createImageData(side, side);
  const sample: Sample = { height: 0, wood: 0, light: 0 };
  for (let j = 0; j < side; j++) {
    if (j % ROWS === 0) yield undefined;
    const v = (j + 0.5) / BASE / GRID;
    const gj = Math.floor(v);
    const fy = v - gj;
    for (let i = 0; i < side; i++) {
      const u = (i + 0.5) / BASE / GRID;
      const gi = Math.floor(u);
      const fx = u - gi;
      const a = gj * grid + gi;
      const c = a + grid;
      const wa = (1 - fx) * (1 - fy);
      const wb = fx * (1 - fy);
      const wc = (1 - fx) * fy;
      const wd = fx * fy;
      sample.height = height[a]! * wa + height[a + 1]! * wb + height[c]! * wc + height[c + 1]! * wd;
      sample.wood = wood[a]! * wa + wood[a + 1]! * wb + wood[c]! * wc + wood[c + 1]! * wd;
      sample.light = light[a]! * wa + light[a + 1]! * wb + light[c]! * wc + light[c + 1]! * wd;
      paint(terrain, sample, x0 + u * GRID, y0 + v * GRID, image.data, (j * side + i) * 4);
    }
  }
  into.putImageData(image, 0, 0);
  yield undefined;
  const [canvas, context] = canvasOf(SIDE * DENSITY, SIDE * DENSITY);
  context.imageSmoothingQuality = "high";
  context.drawImage(base, 0, 0, canvas.width, canvas.height);
  context.scale(DENSITY, DENSITY);
  decorate(context, terrain, cx, cy);
  const coast = low < terrain.sea && high >= terrain.sea ? shoreline(height, grid, terrain.sea) : [];
  return { canvas, shore: coast.length > 0 ? pathOf(coast) : undefined, hasWater: low < terrain.sea };
}

/** Grass, flowers, pebbles, shells and ripples, scattered by position alone. Units: metres. */
function decorate(context: CanvasRenderingContext2D, terrain: Terrain, cx: number, cy: number): void {
  const roll = chance(hash(cx, cy));
  context.lineCap = "round";
  for (let n = 0; n < 420; n++) {
    // Keep away from the rim, or half of it would be missing on the neighbour.
    const x = 0.25 + roll() * (SIDE - 0.5);
    const y = 0.35 + roll() * (SIDE - 0.5);
    const kind = roll();
    const size = 0.75 + roll() * 0.5;
    const biome = terrain.biome((cx * SIDE + x) * 1_000, (cy * SIDE + y) * 1_000);
    if (biome === Biome.Grass) {
      const lush = noise((cx * SIDE + x) * 0.9, (cy * SIDE + y) * 0.9);
      if (kind < 0.075 && lush < 0.3) flower(context, x, y, size, roll());
      else if (kind < 0.7) tuft(context, x, y, size, lush > 0.2 ? "#8ea24c" : "#5d9443", lush > 0.2 ? "#c3cc7c" : "#a4cc70");
    } else if (biome === Biome.Forest) {
      if (kind < 0.35) tuft(context, x, y, size, "#3c6a3a", "#5f9050");
      else if (kind < 0.5) leaf(context, x, y, roll());
      else if (kind < 0.515) mushroom(context, x, y, size);
    } else if (biome === Biome.Beach) {
      if (kind < 0.12) pebble(context, x, y, size * 0.6, "#c2ab80", "#f2e3bd");
      else if (kind < 0.135) shell(context, x, y, size);
      else if (kind < 0.3) ripple(context, x, y, size, "rgba(176,150,104,.35)");
    } else if (biome === Biome.Rock) {
      if (kind < 0.4) pebble(context, x, y, size, "#6f6c69", "#bab6ad");
      else if (kind < 0.5) tuft(context, x, y, size * 0.8, "#6f7f4f", "#93a06a");
      else if (kind < 0.62) crack(context, x, y, size, roll());
    } else if (biome === Biome.Cliff) {
      if (kind < 0.5) crack(context, x, y, size * 1.7, roll());
    }
  }
}

function tuft(c: CanvasRenderingContext2D, x: number, y: number, s: number, dark: string, bright: string): void {
  c.lineWidth = 0.045;
  for (const [dx, dy, colour] of [[-0.14, -0.2, dark], [0.13, -0.22, dark], [0, -0.3, bright]] as const) {
    c.strokeStyle = colour;
    c.beginPath();
    c.moveTo(x, y);
    c.quadraticCurveTo(x + dx * 0.2 * s, y + dy * 0.6 * s, x + dx * s, y + dy * s);
    c.stroke();
  }
}

function flower(c: CanvasRenderingContext2D, x: number, y: number, s: number, hue: number): void {
  tuft(c, x, y, s * 0.8, "#5d9443", "#7fb255");
  const colour = ["#fff7e8", "#ffd75e", "#f2a0b5", "#b9a5ee", "#f08a5d"][Math.floor(hue * 5)] ?? "#fff";
  c.fillStyle = colour;
  for (let k = 0; k < 5; k++) {
    const angle = (k / 5) * Math.PI * 2;
    dot(c, x + Math.cos(angle) * 0.075 * s, y - 0.24 * s + Math.sin(angle) * 0.06 * s, 0.05 * s);
  }
  c.fillStyle = colour === "#ffd75e" ? "#c98a2b" : "#ffd75e";
  dot(c, x, y - 0.24 * s, 0.04 * s);
}

function leaf(c: CanvasRenderingContext2D, x: number, y: number, turn: number): void {
  c.fillStyle = ["rgba(150,120,60,.5)", "rgba(44,78,44,.5)", "rgba(120,140,70,.4)"][Math.floor(turn * 3)] ?? "#333";
  c.beginPath();
  c.ellipse(x, y, 0.12, 0.06, turn * 9, 0, 7);
  c.fill();
}

function mushroom(c: CanvasRenderingContext2D, x: number, y: number, s: number): void {
  c.fillStyle = "#f1e6d2";
  c.fillRect(x - 0.04 * s, y - 0.12 * s, 0.08 * s, 0.14 * s);
  c.fillStyle = "#c4513f";
  c.beginPath();
  c.ellipse(x, y - 0.13 * s, 0.13 * s, 0.09 * s, 0, Math.PI, 0);
  c.fill();
  c.fillStyle = "#fbe9dd";
  dot(c, x - 0.04 * s, y - 0.17 * s, 0.018);
  dot(c, x + 0.05 * s, y - 0.16 * s, 0.018);
}

function pebble(c: CanvasRenderingContext2D, x: number, y: number, s: number, dark: string, bright: string): void {
  c.fillStyle = "rgba(40,40,40,.18)";
  ellipse(c, x + 0.03, y + 0.03, 0.15 * s, 0.1 * s);
  c.fillStyle = dark;
  ellipse(c, x, y, 0.14 * s, 0.1 * s);
  c.fillStyle = bright;
  ellipse(c, x - 0.025 * s, y - 0.03 * s, 0.09 * s, 0.055 * s);
}

function shell(c: CanvasRenderingContext2D, x: number, y: number, s: number): void {
  c.fillStyle = "#f6ddd0";
  c.beginPath();
  c.arc(x, y, 0.12 * s, Math.PI, 0);
  c.lineTo(x, y + 0.07 * s);
  c.fill();
  c.strokeStyle = "#d8a99a";
  c.lineWidth = 0.018;
  for (const dx of [-0.07, -0.025, 0.025, 0.07]) {
    c.beginPath();
    c.moveTo(x, y + 0.05 * s);
    c.lineTo(x + dx * s, y - 0.08 * s);
    c.stroke();
  }
}

function ripple(c: CanvasRenderingContext2D, x: number, y: number, s: number, colour: string): void {
  c.strokeStyle = colour;
  c.lineWidth = 0.05;
  c.beginPath();
  c.moveTo(x - 0.4 * s, y);
  c.quadraticCurveTo(x, y - 0.12 * s, x + 0.4 * s, y);
  c.stroke();
}

function crack(c: CanvasRenderingContext2D, x: number, y: number, s: number, turn: number): void {
  c.strokeStyle = "rgba(60,58,60,.28)";
  c.lineWidth = 0.06;
  const [dx, dy] = [Math.cos(turn * 3.1) * 0.4 * s, Math.sin(turn * 3.1) * 0.25 * s];
  c.beginPath();
  c.moveTo(x - dx, y - dy);
  c.lineTo(x + dy * 0.4, y + dx * 0.2);
  c.lineTo(x + dx, y + dy);
  c.stroke();
}

function dot(c: CanvasRenderingContext2D, x: number, y: number, r: number): void {
  ellipse(c, x, y, r, r);
}

function ellipse(c: CanvasRenderingContext2D, x: number, y: number, rx: number, ry: number): void {
  c.beginPath();
  c.ellipse(x, y, rx, ry, 0, 0, Math.PI * 2);
  c.fill();
}

/** Where the ground crosses sea level, as short lines in tile metres (marching squares). */
function shoreline(height: Float32Array, grid: number, sea: number): Shore {
  const lines: Shore = [];
  for (let j = 0; j < grid - 1; j++) {
    for (let i = 0; i < grid - 1; i++) {
      const corners = [height[j * grid + i]!, height[j * grid + i + 1]!, height[(j + 1) * grid + i + 1]!, height[(j + 1) * grid + i]!];
      const cut: number[] = [];
      for (let side = 0; side < 4; side++) {
        const a = corners[side]!;
        const b = corners[(side + 1) % 4]!;
        if (a < sea === b < sea) continue;
        const t = (sea - a) / (b - a);
        const [x, y] = [[i + t, j], [i + 1, j + t], [i + 1 - t, j + 1], [i, j + 1 - t]][side] as [number, number];
        cut.push(x * GRID, y * GRID);
      }
      if (cut.length >= 4) lines.push(cut.slice(0, 4));
      if (cut.length === 8) lines.push(cut.slice(4, 8));
    }
  }
  return join(lines);
}

/** Joins short lines that share an end, so that they are drawn without seams. */
function join(lines: Shore): Shore {
  const key = (x: number, y: number) => `${x.toFixed(3)},${y.toFixed(3)}`;
  const ends = new Map<string, number[][]>();
  const note = (line: number[]) => {
    for (const k of [key(line[0]!, line[1]!), key(line[2]!, line[3]!)]) ends.set(k, [...(ends.get(k) ?? []), line]);
  };
  lines.forEach(note);
  const used = new Set<number[]>();
  const follow = (points: number[]) => {
    for (;;) {
      const x = points[points.length - 2]!;
      const y = points[points.length - 1]!;
      const next = ends.get(key(x, y))?.find((line) => !used.has(line));
      if (!next) return points;
      used.add(next);
      const forward = key(next[0]!, next[1]!) === key(x, y);
      points.push(forward ? next[2]! : next[0]!, forward ? next[3]! : next[1]!);
    }
  };
  const joined: Shore = [];
  for (const line of lines) {
    if (used.has(line)) continue;
    used.add(line);
    const ahead = follow([...line]);
    const back = follow([line[2]!, line[3]!, line[0]!, line[1]!]).slice(4);
    const front: number[] = [];
    for (let k = back.length - 2; k >= 0; k -= 2) front.push(back[k]!, back[k + 1]!);
    joined.push([...front, ...ahead]);
  }
  return joined;
}

function pathOf(lines: Shore): Path2D {
  const path = new Path2D();
  for (const line of lines) {
    path.moveTo(line[0]!, line[1]!);
    for (let k = 2; k < line.length; k += 2) path.lineTo(line[k]!, line[k + 1]!);
  }
  return path;
}
