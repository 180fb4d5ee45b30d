/**
 * The island's ground, read from the two fields of bytes in the world's description exactly as the server reads them
 * (games/pioneer/proto/pioneer.proto says how), so that predicted steps are the steps the server allows.
 */
import type { Terrain as Fields } from "./gen/pioneer_pb.js";

/** The kinds of ground, from low to high. */
export const enum Biome {
  Water,
  Beach,
  Grass,
  Forest,
  Rock,
  Cliff,
}

/** Distance between samples along a path, mm. The server's number. */
const STEP_MM = 500;

/** See the top of the file. */
export class Terrain {
  readonly cell: number;
  readonly corners: number;
  readonly height: Uint8Array;
  readonly wood: Uint8Array;
  readonly sea: number;
  readonly beach: number;
  readonly rock: number;
  readonly cliff: number;
  readonly forest: number;
  /** Side of the mapped square, mm. */
  readonly sizeMm: number;

  constructor(fields: Fields) {
    this.cell = fields.cellMm;
    this.corners = fields.corners;
    this.height = fields.height;
    this.wood = fields.wood;
    this.sea = fields.seaHeight;
    this.beach = fields.beachHeight;
    this.rock = fields.rockHeight;
    this.cliff = fields.cliffHeight;
    this.forest = fields.forestWood;
    this.sizeMm = this.cell * (this.corners - 1);
    if (this.height.length < this.corners ** 2 || this.wood.length < this.corners ** 2 || this.cell <= 0) {
      throw new RangeError("the world's description has a terrain without its fields");
    }
  }

  /** The ground at a point, mm. */
  biome(x: number, y: number): Biome {
    x = Math.floor(x);
    y = Math.floor(y);
    if (x < 0 || y < 0 || x >= this.sizeMm || y >= this.sizeMm) return Biome.Water;
    const height = Math.floor(this.field(this.height, x, y));
    if (height < this.sea) return Biome.Water;
    if (height < this.beach) return Biome.Beach;
    if (height >= this.cliff) return Biome.Cliff;
    if (height >= this.rock) return Biome.Rock;
    return Math.floor(this.field(this.wood, x, y)) >= this.forest ? Biome.Forest : Biome.Grass;
  }

  /** A field between its corners, fractions kept. Points outside take the nearest inside. */
  field(field: Uint8Array, x: number, y: number): number {
    const { cell, corners } = this;
    const i = Math.min(Math.max(Math.floor(x / cell), 0), corners - 2);
    const j = Math.min(Math.max(Math.floor(y / cell), 0), corners - 2);
    const fx = Math.min(Math.max(x - i * cell, 0), cell);
    const fy = Math.min(Math.max(y - j * cell, 0), cell);
    const at = j * corners + i;
    // One sum over whole numbers below 2^53: exact, as on the server.
    const sum =
      field[at]! * (cell - fx) * (cell - fy) +
      field[at + 1]! * fx * (cell - fy) +
      field[at + corners]! * (cell - fx) * fy +
      field[at + corners + 1]! * fx * fy;
    return sum / (cell * cell);
  }

  /** A field smoothed by a cubic B-spline: for light and colour, which must not show the cells. */
  smooth(field: Uint8Array, x: number, y: number): number {
    const { cell, corners } = this;
    const u = x / cell;
    const v = y / cell;
    const i = Math.floor(u);
    const j = Math.floor(v);
    const wx = spline(u - i);
    const wy = spline(v - j);
    let sum = 0;
    for (let b = 0; b < 4; b++) {
      const row = Math.min(Math.max(j + b - 1, 0), corners - 1) * corners;
      let line = 0;
      for (let a = 0; a < 4; a++) line += wx[a]! * field[row + Math.min(Math.max(i + a - 1, 0), corners - 1)]!;
      sum += wy[b]! * line;
    }
    return sum;
  }

  /** Whether the straight path leads only over walkable ground. Its starting point is not checked. */
  isOpen(fromX: number, fromY: number, toX: number, toY: number): boolean {
    const distance = Math.floor(Math.hypot(toX - fromX, toY - fromY));
    const steps = Math.max(Math.ceil(distance / STEP_MM), 1);
    for (let k = 1; k <= steps; k++) {
      const biome = this.biome(fromX + Math.trunc(((toX - fromX) * k) / steps), fromY + Math.trunc(((toY - fromY) * k) / steps));
      if (biome === Biome.Water || biome === Biome.Cliff) return false;
    }
    return true;
  }
}

function spline(t: number): [number, number, number, number] {
  const s = 1 - t;
  return [(s * s * s) / 6, (3 * t * t * t - 6 * t * t + 4) / 6, (3 * s * s * s - 6 * s * s + 4) / 6, (t * t * t) / 6];
}
