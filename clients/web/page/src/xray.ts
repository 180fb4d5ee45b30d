/**
 * The x-ray view: the chunk grid, which node is home of each chunk, which node owns each entity. Entities real on the
 * connected node are filled; those real elsewhere (ghosts there) are hollow and dashed.
 */
import { chunkKey, type Entity, type Stats } from "@gundo/client";
import type { Camera } from "./camera.js";
import type { Context } from "./sprite.js";
import type { World } from "./world.js";

/** Hues of nodes: neighbours in number are far apart, and the first ones far from grass. */
const HUES = [55, 22, 208, 318, 268, 185, 0, 240, 150, 95];

/** See the top of the file. */
export class XRay {
  on = false;
  stats: Stats | undefined;
  private homes = new Map<string, number>();

  constructor(
    private readonly camera: Camera,
    private readonly world: World,
  ) {
    world.client.on("stats", (stats) => {
      this.stats = stats;
      this.homes = new Map(stats.homes.flatMap((home) => (home.chunk ? [[chunkKey(home.chunk), home.node]] : [])));
    });
  }

  /** Switches it on or off. */
  toggle(): void {
    this.on = !this.on;
    this.world.client.watch(this.on);
  }

  /** The colour of a node. */
  colour(node: number, alpha = 1): string {
    return `hsla(${HUES[node % HUES.length]},85%,62%,${alpha})`;
  }

  /** Chunk grid and homes. */
  drawGround(c: Context): void {
    const { camera, world } = this;
    const size = world.client.picture.chunkMm;
    const island = world.client.welcome?.island ?? 0;
    camera.flat(c);
    c.font = "600 11px ui-monospace, monospace";
    c.textAlign = "left";
    c.textBaseline = "top";
    const px = (size * camera.zoom) / 1_000;
    for (let cy = Math.floor(camera.worldY(0) / size); cy <= Math.floor(camera.worldY(camera.height) / size); cy++) {
      for (let cx = Math.floor(camera.worldX(0) / size); cx <= Math.floor(camera.worldX(camera.width) / size); cx++) {
        const x = camera.screenX(cx * size);
        const y = camera.screenY(cy * size);
        const home = this.homes.get(chunkKey({ island, x: cx, y: cy }));
        if (home !== undefined) {
          c.fillStyle = this.colour(home, 0.17);
          c.fillRect(x, y, px, px);
        }
        c.strokeStyle = "rgba(255,255,255,.5)";
        c.lineWidth = 1;
        c.strokeRect(Math.round(x) + 0.5, Math.round(y) + 0.5, px, px);
        c.fillStyle = "rgba(255,255,255,.85)";
        c.fillText(`${cx}, ${cy}${home === undefined ? "" : ` · node ${home}`}`, x + 6, y + 6);
      }
    }
  }

  /** The mark of an entity: filled if it is real on the connected node, else hollow. `r` in metres. */
  drawMark(c: Context, x: number, y: number, entity: Entity, r: number): void {
    this.camera.at(c, x, y);
    const { state } = this.world.client;
    const here = state.kind === "connected" && state.node === entity.publisher;
    c.lineWidth = 0.07;
    c.strokeStyle = this.colour(entity.publisher);
    if (!here) c.setLineDash([0.2, 0.14]);
    c.beginPath();
    c.ellipse(0, 0, r, r * 0.6, 0, 0, Math.PI * 2);
    if (here) {
      c.fillStyle = this.colour(entity.publisher, 0.28);
      c.fill();
    }
    c.stroke();
    c.setLineDash([]);
  }
}
