/** The map in the corner: the island around the player, or all of it. */
import type { Walker } from "@gundo/client";
import { drawMapBorders } from "./borders.js";
import { coatColour } from "./folk.js";
import { MAP_SCALE } from "./ground.js";
import { KIND_PLAYER, type World } from "./world.js";

/** The sizes to cycle through: side in CSS pixels, and metres across (0: the whole island). */
const SIZES = [
  { side: 168, metres: 420 },
  { side: 260, metres: 900 },
  { side: 460, metres: 0 },
] as const;
/** Time between pictures, ms: nobody notices more. */
const EVERY_MS = 90;

/** See the top of the file. */
export class Minimap {
  private size = 0;
  private drawnAt = -Infinity;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly world: World,
    private readonly walker: Walker,
    private readonly map: HTMLCanvasElement,
  ) {
    canvas.hidden = false;
  }

  /** The next size. */
  toggle(): void {
    this.size = (this.size + 1) % SIZES.length;
    this.drawnAt = -Infinity;
  }

  /** Draws it, if it is time. */
  draw(now: number): void {
    if (now - this.drawnAt < EVERY_MS) return;
    this.drawnAt = now;
    const { canvas, world, walker } = this;
    const c = canvas.getContext("2d");
    const terrain = world.terrain;
    if (!c || !terrain) return;
    const { side, metres } = SIZES[this.size]!;
    // The small one leaves room for other panels, the large ones may cover them.
    const fit = Math.min(side, window.innerWidth * (this.size === 0 ? 0.28 : 0.8), window.innerHeight * 0.7);
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    if (canvas.width !== Math.round(fit * ratio)) {
      canvas.width = canvas.height = Math.round(fit * ratio);
      canvas.style.width = canvas.style.height = `${fit}px`;
    }
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    const span = metres === 0 ? terrain.sizeMm : metres * 1_000;
    const x0 = metres === 0 ? 0 : walker.x - span / 2;
    const y0 = metres === 0 ? 0 : walker.y - span / 2;
    const k = fit / span;
    const perMm = MAP_SCALE / terrain.cell;
    c.fillStyle = "#26688f";
    c.fillRect(0, 0, fit, fit);
    c.imageSmoothingEnabled = true;
    c.drawImage(this.map, x0 * perMm, y0 * perMm, span * perMm, span * perMm, 0, 0, fit, fit);
    const dot = (x: number, y: number, r: number, fill: string, rim?: string) => {
      c.beginPath();
      c.arc((x - x0) * k, (y - y0) * k, r, 0, Math.PI * 2);
      c.fillStyle = fill;
      c.fill();
      if (!rim) return;
      c.strokeStyle = rim;
      c.lineWidth = 1.5;
      c.stroke();
    };
    const village = world.description;
    if (village) house(c, (village.villageX - x0) * k, (village.villageY - y0) * k);
    const size = world.client.picture.chunkMm;
    drawMapBorders(c, world, x0, y0, k);
    for (const land of world.lands.values()) {
      for (const building of land.buildings) dot(building.x, building.y, Math.max(1.4, (building.info.widthMm / 2) * k), "#7b4a2b");
    }
    for (const entity of world.client.picture.entities.values()) {
      if (entity.kind !== KIND_PLAYER || entity.key === world.client.me?.key) continue;
      dot(entity.body.x, entity.body.y, 3, coatColour(world.players.get(entity.key)?.colour ?? 0), "rgba(255,255,255,.9)");
    }
    arrow(c, (walker.x - x0) * k, (walker.y - y0) * k, walker.heading);
    if (metres === 0) return;
    // What is in sight.
    const sight = 3.5 * size;
    const cx = (Math.floor(walker.x / size) + 0.5) * size;
    const cy = (Math.floor(walker.y / size) + 0.5) * size;
    c.strokeStyle = "rgba(255,255,255,.35)";
    c.lineWidth = 1;
    c.strokeRect((cx - sight - x0) * k, (cy - sight - y0) * k, sight * 2 * k, sight * 2 * k);
  }
}

/** The own player. */
function arrow(c: CanvasRenderingContext2D, x: number, y: number, heading: number): void {
  c.save();
  c.translate(x, y);
  c.rotate(heading);
  c.fillStyle = "#fff8e4";
  c.strokeStyle = "#35453f";
  c.lineWidth = 1.5;
  c.beginPath();
  c.moveTo(8, 0);
  c.lineTo(-5, 5.5);
  c.lineTo(-2.5, 0);
  c.lineTo(-5, -5.5);
  c.closePath();
  c.fill();
  c.stroke();
  c.restore();
}

function house(c: CanvasRenderingContext2D, x: number, y: number): void {
  c.fillStyle = "#fff8e4";
  c.strokeStyle = "rgba(53,69,63,.8)";
  c.lineWidth = 1;
  c.beginPath();
  c.moveTo(x - 5, y + 4);
  c.lineTo(x - 5, y - 1);
  c.lineTo(x, y - 6);
  c.lineTo(x + 5, y - 1);
  c.lineTo(x + 5, y + 4);
  c.closePath();
  c.fill();
  c.stroke();
}
