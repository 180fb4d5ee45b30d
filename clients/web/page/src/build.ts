/** Build mode: the chosen building, where its ghost stands, and whether it could stand there. */
import { Building, Stage } from "./gen/pioneer_pb.js";
import { overlaps, plan, type Rect } from "./plans.js";
import { may } from "./rights.js";
import { Biome } from "./terrain.js";
import { KIND_PLAYER, type PlacedBuilding, type World } from "./world.js";

/** Fences meet at multiples of this, mm. */
const FENCE_MM = 3_000;
/** Everything else stands at multiples of this, mm. */
const SNAP_MM = 250;
/** Distance between samples of the ground under a plan, mm. The server's number. */
const GROUND_MM = 500;

/** The ghost of a building before it is built. */
export interface Ghost {
  readonly what: Building;
  readonly x: number;
  readonly y: number;
  readonly rotation: number;
  readonly plan: Rect;
  /** Why it cannot stand there, for people; undefined: it can, as far as this client sees. */
  readonly barred: string | undefined;
}

/** See the top of the file. */
export class BuildMode {
  /** The chosen building; undefined: not in build mode. */
  what: Building | undefined;
  rotation = 0;

  constructor(private readonly world: World) {}

  /** Turns it by a quarter. */
  rotate(): void {
    this.rotation = (this.rotation + 1) % 4;
  }

  /** The ghost for a pointer at (x, y), mm, and a player at (px, py). */
  ghost(x: number, y: number, px: number, py: number): Ghost | undefined {
    const { what, rotation, world } = this;
    const info = what === undefined ? undefined : world.buildingInfo(what);
    if (what === undefined || !info) return undefined;
    [x, y] = snap(what, rotation, x, y);
    const ground = plan(info, x, y, rotation);
    return { what, x, y, rotation, plan: ground, barred: this.barred(ground, x, y, px, py, info.costs) };
  }

  private barred(ground: Rect, x: number, y: number, px: number, py: number, costs: readonly { item: number; count: number }[]): string | undefined {
    const { world } = this;
    const missing = costs.filter((cost) => world.count(cost.item) < cost.count);
    if (missing.length > 0) return `needs ${missing.map((cost) => `${cost.count} ${world.itemName(cost.item)}`).join(", ")}`;
    if (Math.hypot(x - px, y - py) > (world.description?.buildReachMm ?? 0)) return "too far away";
    for (let gy = ground.y0; gy <= ground.y1; gy += GROUND_MM) {
      for (let gx = ground.x0; gx <= ground.x1; gx += GROUND_MM) {
        const biome = world.terrain?.biome(gx, gy);
        if (biome === Biome.Water || biome === Biome.Cliff) return "the ground does not hold";
      }
    }
    const rule = this.rule(ground);
    if (rule) return rule;
    for (const land of world.landsNear(x, y, 8_000)) {
      if (land.buildings.some((other) => overlaps(other.plan, ground))) return "something is in the way";
      for (const { thing, info, x: tx, y: ty } of land.things) {
        if (thing.stage === Stage.BARE) continue;
        const dx = tx - Math.min(Math.max(tx, ground.x0), ground.x1);
        const dy = ty - Math.min(Math.max(ty, ground.y0), ground.y1);
        if (Math.hypot(dx, dy) < info.radiusMm) return `a ${info.name} is in the way`;
      }
    }
    for (const entity of world.client.picture.entities.values()) {
      if (entity.kind !== KIND_PLAYER) continue;
      const own = entity.key === world.client.me?.key;
      const bx = own ? px : entity.body.x;
      const by = own ? py : entity.body.y;
      if (bx >= ground.x0 && bx < ground.x1 && by >= ground.y0 && by < ground.y1) return own ? "you stand there" : "somebody stands there";
    }
    return undefined;
  }

  /** Why nobody, or not this player, may build on this ground. */
  private rule(ground: Rect): string | undefined {
    const { world } = this;
    const { description, own, client } = world;
    if (!description) return undefined;
    const { villageX, villageY, wayMm, doorMm } = description;
    if ((ground.x0 < villageX + wayMm && ground.x1 > villageX - wayMm) || (ground.y0 < villageY + wayMm && ground.y1 > villageY - wayMm)) return "newcomers walk here";
    const [x, y, size] = [(ground.x0 + ground.x1) / 2, (ground.y0 + ground.y1) / 2, client.picture.chunkMm];
    for (const { chunk, terms, buildings } of world.landsNear(x, y, 8_000)) {
      for (const building of buildings) {
        const door = building.built.owner === client.me?.id ? undefined : beforeDoor(building, doorMm);
        if (door && overlaps(door, ground)) return "that is before somebody's door";
      }
      const here = { x0: chunk.x * size, y0: chunk.y * size, x1: (chunk.x + 1) * size, y1: (chunk.y + 1) * size };
      if (terms && overlaps(here, ground) && !may(own, terms, "build")) return `${terms.owner?.name ?? "somebody"}'s land`;
    }
    return undefined;
  }
}

/** The ground before the door of a hut, mm: the server's rule. */
function beforeDoor(building: PlacedBuilding, doorMm: number): Rect | undefined {
  if (building.built.what !== Building.HUT) return undefined;
  const { plan: hut, built } = building;
  const x = building.x + ([0, -1_080, 0, 1_080][built.rotation % 4] ?? 0);
  const [y0, y1] = built.rotation % 4 === 2 ? [hut.y0 - doorMm, hut.y0] : [hut.y1, hut.y1 + doorMm];
  return { x0: x - 700, x1: x + 700, y0, y1 };
}

function snap(what: Building, rotation: number, x: number, y: number): [number, number] {
  const to = (v: number, step: number, offset = 0) => Math.round((v - offset) / step) * step + offset;
  if (what !== Building.FENCE) return [to(x, SNAP_MM), to(y, SNAP_MM)];
  // A fence fills the side of a 3 m square: its middle is between two corners.
  const half = FENCE_MM / 2;
  return rotation % 2 === 0 ? [to(x, FENCE_MM, half), to(y, FENCE_MM)] : [to(x, FENCE_MM), to(y, FENCE_MM, half)];
}
