/** Borders of estates, softly: on the ground and on the map. And the ways that newcomers walk. */
import type { Camera } from "./camera.js";
import { Biome } from "./terrain.js";
import type { World } from "./world.js";

/** Colours of the own land and of others'. */
const OWN = "255,214,120";
const OTHERS = "240,248,255";
/** The ways are drawn so far beyond the land that belongs to everybody, m. */
const WAY_FADES_M = 12;

/** One side of a chunk, mm: the land inside belongs to an estate, the land outside does not belong to it. */
interface Edge {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
  readonly own: boolean;
}

/** The borders of all estates in sight. Towards land out of sight there is none. */
function edges(world: World): Edge[] {
  const size = world.client.picture.chunkMm;
  const all: Edge[] = [];
  for (const { chunk, terms } of world.lands.values()) {
    if (!terms) continue;
    const own = world.own.deeds.includes(terms.estate);
    const [x, y] = [chunk.x * size, chunk.y * size];
    const sides = [[0, -1, x, y, x + size, y], [1, 0, x + size, y, x + size, y + size], [0, 1, x, y + size, x + size, y + size], [-1, 0, x, y, x, y + size]] as const;
    for (const [dx, dy, x0, y0, x1, y1] of sides) {
      const beside = world.landOf(chunk.x + dx, chunk.y + dy);
      if (beside && beside.terms?.estate !== terms.estate) all.push({ x0, y0, x1, y1, own });
    }
  }
  return all;
}

/** On the ground. */
export function drawBorders(c: CanvasRenderingContext2D, camera: Camera, world: World): void {
  camera.at(c, 0, 0);
  c.lineCap = "round";
  for (const { x0, y0, x1, y1, own } of edges(world)) {
    const colour = own ? OWN : OTHERS;
    const line = (alpha: number, width: number, dash: number[]) => {
      c.strokeStyle = `rgba(${colour},${alpha})`;
      c.lineWidth = width;
      c.setLineDash(dash);
      c.beginPath();
      c.moveTo(x0 / 1_000, y0 / 1_000);
      c.lineTo(x1 / 1_000, y1 / 1_000);
      c.stroke();
    };
    line(0.14, 0.9, []);
    line(0.5, 0.11, [0.5, 0.5]);
  }
  c.setLineDash([]);
}

/** On the map: `k` pixels per mm, its corner at (x0, y0) mm. */
export function drawMapBorders(c: CanvasRenderingContext2D, world: World, x0: number, y0: number, k: number): void {
  const size = world.client.picture.chunkMm;
  for (const { chunk, terms } of world.lands.values()) {
    if (!terms) continue;
    c.fillStyle = `rgba(${world.own.deeds.includes(terms.estate) ? OWN : OTHERS},.22)`;
    c.fillRect((chunk.x * size - x0) * k, (chunk.y * size - y0) * k, size * k, size * k);
  }
  c.lineWidth = 1;
  for (const edge of edges(world)) {
    c.strokeStyle = `rgba(${edge.own ? OWN : OTHERS},.85)`;
    c.beginPath();
    c.moveTo((edge.x0 - x0) * k, (edge.y0 - y0) * k);
    c.lineTo((edge.x1 - x0) * k, (edge.y1 - y0) * k);
    c.stroke();
  }
}

/** The trodden grass of the four ways, near the village; they fade with distance. */
export function drawWays(c: CanvasRenderingContext2D, camera: Camera, world: World): void {
  const { description, terrain } = world;
  if (!description || !terrain) return;
  const { villageX, villageY, wayMm, commonsMm } = description;
  const reach = commonsMm / 1_000 + WAY_FADES_M;
  for (const [ax, ay] of [[1, 0], [-1, 0], [0, 1], [0, -1]] as const) {
    for (let metre = 0; metre < reach; metre += 0.75) {
      const [x, y] = [villageX + ax * metre * 1_000, villageY + ay * metre * 1_000];
      if (!camera.sees(x, y, 2)) continue;
      const biome = terrain.biome(x, y);
      if (biome === Biome.Water || biome === Biome.Cliff) continue;
      camera.at(c, x, y);
      c.fillStyle = `rgba(205,178,120,${0.13 * Math.min(1, (reach - metre) / WAY_FADES_M)})`;
      c.beginPath();
      c.ellipse(0, 0, (wayMm / 1_000) * 0.86, (wayMm / 1_000) * 0.8, 0, 0, Math.PI * 2);
      c.fill();
    }
  }
}
