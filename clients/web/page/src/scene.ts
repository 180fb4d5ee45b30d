/**
 * One picture of the world: ground, water, everything that stands on it from north to south, light, and words over
 * heads. It draws only what is in view. Start with {@link Scene.draw}.
 */
import { drawBorders, drawWays } from "./borders.js";
import type { Body, Entity, Walker } from "@gundo/client";
import type { Ghost } from "./build.js";
import { buildingFoot, buildingSprite, drawFlame, flicker } from "./buildings.js";
import type { Camera } from "./camera.js";
import { ease, hash } from "./chance.js";
import { Effects } from "./effects.js";
import { creatureSprite, playerSprite, pose } from "./folk.js";
import { Building, Item, Mood, Stage } from "./gen/pioneer_pb.js";
import type { Ground } from "./ground.js";
import { lessMotion } from "./motion.js";
import { plantSize, plantSprite, plantSway } from "./plants.js";
import { put, type Context } from "./sprite.js";
import { drawBubble, drawTag } from "./tags.js";
import { KIND_LAND, KIND_PLAYER, type PlacedBuilding, type PlacedThing, type World } from "./world.js";
import { XRay } from "./xray.js";

/** Length of a day, ms of world time. */
const DAY_MS = 20 * 60_000;
/** Time spent on painting tiles per picture, ms. */
const PAINT_MS = 4;

/** Something that stands on the ground, with its position in the order of drawing. */
interface Standing {
  foot: number;
  draw(): void;
}

/** How far a figure has walked, for its pose. */
interface Gait {
  x: number;
  y: number;
  metres: number;
  left: boolean;
}

/** See the top of the file. */
export class Scene {
  readonly effects = new Effects();
  readonly xray: XRay;
  private readonly gaits = new Map<string, Gait>();
  private readonly body: Body = { x: 0, y: 0, heading: 0, speed: 0 };
  private readonly standing: Standing[] = [];

  constructor(
    private readonly c: Context,
    private readonly camera: Camera,
    private readonly world: World,
    private readonly walker: Walker,
    readonly ground: Ground,
  ) {
    this.xray = new XRay(camera, world);
  }

  /** Draws the picture of the local time `now`, ms. */
  draw(now: number, ghost: Ghost | undefined, target: PlacedThing | undefined): void {
    const { c, camera } = this;
    const worldMs = this.world.client.worldMs;
    this.effects.tick(now);
    c.globalAlpha = 1;
    this.drawGround(now);
    drawWays(c, camera, this.world);
    drawBorders(c, camera, this.world);
    if (this.xray.on) this.xray.drawGround(c);
    if (target) this.drawTarget(target, now);
    this.collect(now, worldMs);
    this.standing.sort((a, b) => a.foot - b.foot);
    for (const one of this.standing) one.draw();
    this.effects.drawFalls(c, camera, now);
    this.effects.drawChips(c, camera, now);
    if (ghost) this.drawGhost(ghost);
    this.drawLight(now, worldMs);
    this.drawWords(now);
    this.effects.drawRises(c, camera, now);
  }

  // ---- ground and water --------------------------------------------------------------------------------------

  private drawGround(now: number): void {
    const { c, camera, ground } = this;
    camera.flat(c);
    c.fillStyle = "#26688f";
    c.fillRect(0, 0, camera.width, camera.height);
    const size = this.world.client.picture.chunkMm;
    const first = [Math.floor(camera.worldX(0) / size), Math.floor(camera.worldY(0) / size)] as const;
    const last = [Math.floor(camera.worldX(camera.width) / size), Math.floor(camera.worldY(camera.height) / size)] as const;
    const deadline = performance.now() + PAINT_MS;
    // The map of the island replaces tiles that are not painted yet.
    const terrain = this.world.terrain;
    if (terrain) {
      camera.at(c, 0, 0);
      c.imageSmoothingEnabled = true;
      const side = terrain.sizeMm / 1_000;
      c.drawImage(ground.map, 0, 0, side, side);
    }
    const side = size / 1_000;
    // A small overlap hides the seams that fractions of pixels leave.
    const hair = 0.6 / (camera.zoom * camera.ratio);
    const wet: { cx: number; cy: number; shore: Path2D | undefined }[] = [];
    for (let cy = first[1]; cy <= last[1]; cy++) {
      for (let cx = first[0]; cx <= last[0]; cx++) {
        const tile = ground.tile(cx, cy, deadline);
        if (!tile) continue;
        camera.at(c, cx * size, cy * size);
        c.drawImage(tile.canvas, 0, 0, side + hair, side + hair);
        if (tile.hasWater) wet.push({ cx, cy, shore: tile.shore });
      }
    }
    for (const { cx, cy, shore } of wet) {
      this.drawWaves(cx, cy, now);
      if (shore) this.drawShore(cx * size, cy * size, shore, now);
    }
  }

  /** The water's edge breathes: a wet band, and two lines of foam that come and go. */
  private drawShore(x: number, y: number, shore: Path2D, now: number): void {
    const { c, camera } = this;
    camera.at(c, x, y);
    c.lineJoin = "round";
    // Round ends would be drawn twice where two tiles meet.
    c.lineCap = "butt";
    const t = now / 1_000;
    const breath = 0.5 + 0.5 * Math.sin(t * 0.9);
    for (const share of [1, 0.72, 0.46]) {
      c.strokeStyle = `rgba(150,220,218,${0.12 + 0.05 * breath})`;
      c.lineWidth = (1.6 + breath * 1.1) * share;
      c.stroke(shore);
    }
    c.strokeStyle = `rgba(240,252,250,${0.34 + 0.3 * breath})`;
    c.lineWidth = 0.2 + 0.16 * breath;
    c.stroke(shore);
    c.setLineDash([1.3, 0.9, 0.5, 1.1]);
    c.lineDashOffset = t * 0.35;
    c.strokeStyle = `rgba(255,255,255,${0.55 - 0.3 * breath})`;
    c.lineWidth = 0.12;
    c.stroke(shore);
    c.setLineDash([]);
  }

  /** Small waves that drift and fade, each at its own time. */
  private drawWaves(cx: number, cy: number, now: number): void {
    const { c, camera } = this;
    const terrain = this.world.terrain;
    if (!terrain) return;
    const size = this.world.client.picture.chunkMm;
    c.lineCap = "round";
    for (let k = 0; k < 26; k++) {
      const h = hash(cx * 131 + k, cy * 17 + k * 7);
      const life = (now / 4_200 + (h & 255) / 255) % 1;
      const x = cx * size + ((h >>> 8) & 0xfff) * (size / 0x1000) + life * 900;
      const y = cy * size + (h >>> 20) * (size / 0x1000);
      if (!camera.sees(x, y, 1) || terrain.field(terrain.height, x, y) > terrain.sea - 3) continue;
      const fade = Math.sin(life * Math.PI);
      const w = 0.5 + ((h >>> 5) & 7) * 0.09;
      camera.at(c, x, y);
      c.strokeStyle = `rgba(220,244,248,${0.34 * fade})`;
      c.lineWidth = 0.075;
      c.beginPath();
      c.moveTo(-w, 0);
      c.quadraticCurveTo(-w / 2, -0.2 * fade, 0, 0);
      c.quadraticCurveTo(w / 2, -0.2 * fade, w, 0);
      c.stroke();
    }
  }

  // ---- what stands on the ground ---------------------------------------------------------------------------------

  private collect(now: number, worldMs: number): void {
    const { camera, standing } = this;
    standing.length = 0;
    const reach = (Math.max(camera.width, camera.height) * 500) / camera.zoom + 6_000;
    for (const land of this.world.landsNear(camera.x, camera.y, reach)) {
      for (const thing of land.things) {
        if (camera.sees(thing.x, thing.y, 5)) standing.push({ foot: thing.y, draw: () => this.drawThing(thing, land.entity, now) });
      }
      for (const building of land.buildings) {
        if (!camera.sees(building.x, building.y, 6)) continue;
        const foot = building.y + buildingFoot(building.built.what, building.built.rotation) * 1_000;
        standing.push({ foot, draw: () => this.drawBuilding(building, land.entity, now) });
      }
    }
    const late = this.world.client.lateMs;
    for (const entity of this.world.client.picture.entities.values()) {
      if (entity.kind === KIND_LAND || !entity.hasBody) continue;
      const own = entity.key === this.world.client.me?.key;
      this.world.client.picture.bodyOf(entity, worldMs, late, this.body);
      if (own) Object.assign(this.body, { x: this.walker.drawnX, y: this.walker.drawnY, heading: this.walker.heading, speed: this.walker.speed });
      const { x, y, heading, speed } = this.body;
      const gait = this.gait(entity.key, x, y, heading);
      if (!camera.sees(x, y, 2)) continue;
      standing.push({ foot: y, draw: () => this.drawFolk(entity, x, y, heading, speed, gait) });
    }
    if (this.gaits.size > 4_000) this.gaits.clear();
  }

  private gait(key: string, x: number, y: number, heading: number): Gait {
    let gait = this.gaits.get(key);
    if (!gait) this.gaits.set(key, (gait = { x, y, metres: 0, left: false }));
    gait.metres += Math.min(Math.hypot(x - gait.x, y - gait.y) / 1_000, 1);
    gait.x = x;
    gait.y = y;
    const east = Math.cos(heading);
    if (Math.abs(east) > 0.2) gait.left = east < 0;
    return gait;
  }

  private drawThing({ x, y, thing }: PlacedThing, entity: Entity, now: number): void {
    const { c, camera } = this;
    camera.at(c, x, y);
    const size = plantSize(thing.look);
    const sway = lessMotion() ? 0 : plantSway(thing.what, thing.stage) * Math.sin(now / 1_100 + thing.look * 1.7 + x / 9_000);
    c.transform(size, 0, sway * size, size, 0, 0);
    c.globalAlpha = this.fadeBefore(x, y, thing.stage);
    put(c, plantSprite(thing.what, thing.stage, thing.look));
    c.globalAlpha = 1;
    if (this.xray.on) this.xray.drawMark(c, x, y, entity, 0.5);
  }

  /** Trees that hide the own figure become transparent. */
  private fadeBefore(x: number, y: number, stage: Stage): number {
    if (stage === Stage.BARE) return 1;
    const dx = (x - this.walker.drawnX) / 1_000;
    const dy = (y - this.walker.drawnY) / 1_000;
    if (dy < 0.2 || dy > 3.6 || Math.abs(dx) > 1.8) return 1;
    return 1 - 0.5 * ease(1.5 - Math.abs(dx) / 1.3) * ease((3.6 - dy) / 0.8);
  }

  private drawBuilding({ x, y, built }: PlacedBuilding, entity: Entity, now: number): void {
    const { c, camera } = this;
    camera.at(c, x, y);
    if (built.what === Building.HUT) {
      const inside = Math.abs(x - this.walker.drawnX) < 3_400 && this.walker.drawnY < y + 2_400 && this.walker.drawnY > y - 5_200;
      c.globalAlpha = inside ? 0.6 : 1;
    }
    put(c, buildingSprite(built.what, built.rotation));
    c.globalAlpha = 1;
    if (built.what === Building.CAMPFIRE) drawFlame(c, now, built.index * 1.37);
    if (this.xray.on) this.xray.drawMark(c, x, y, entity, 1);
  }

  private drawFolk(entity: Entity, x: number, y: number, heading: number, speed: number, gait: Gait): void {
    const { c, camera } = this;
    camera.at(c, x, y);
    const step = pose(gait.metres, speed > 0.15);
    if (entity.inTransit) c.globalAlpha = 0.8;
    if (entity.kind === KIND_PLAYER) {
      const player = this.world.players.get(entity.key);
      c.scale(1.12, 1.12);
      put(c, playerSprite(player?.colour ?? 0, entity.id, heading, step, player?.holds ?? Item.NONE));
    } else {
      const creature = this.world.creatures.get(entity.key);
      if (creature) put(c, creatureSprite(creature.species, creature.mood === Mood.CALM ? Mood.CALM : Mood.WANDERS, creature.look, gait.left, pose(gait.metres * 0.7, speed > 0.1)));
    }
    c.globalAlpha = 1;
    if (this.xray.on) this.xray.drawMark(c, x, y, entity, 0.7);
  }

  // ---- marks, light, words -----------------------------------------------------------------------------------------

  private drawTarget({ x, y, thing, info }: PlacedThing, now: number): void {
    const { c, camera } = this;
    camera.at(c, x, y);
    const r = info.radiusMm / 1_000 + 0.25 + 0.05 * Math.sin(now / 220);
    c.strokeStyle = thing.stage === Stage.BARE ? "rgba(255,255,255,.3)" : "rgba(255,246,205,.9)";
    c.lineWidth = 0.075;
    c.setLineDash([0.35, 0.22]);
    c.lineDashOffset = -now / 900;
    c.beginPath();
    c.ellipse(0, 0.02, r, r * 0.6, 0, 0, Math.PI * 2);
    c.stroke();
    c.setLineDash([]);
  }

  private drawGhost(ghost: Ghost): void {
    const { c, camera } = this;
    const good = ghost.barred === undefined;
    camera.at(c, 0, 0);
    const { x0, y0, x1, y1 } = ghost.plan;
    c.fillStyle = good ? "rgba(150,220,120,.28)" : "rgba(226,96,76,.28)";
    c.strokeStyle = good ? "rgba(224,255,190,.95)" : "rgba(255,190,176,.95)";
    c.lineWidth = 0.06;
    c.fillRect(x0 / 1_000, y0 / 1_000, (x1 - x0) / 1_000, (y1 - y0) / 1_000);
    c.strokeRect(x0 / 1_000, y0 / 1_000, (x1 - x0) / 1_000, (y1 - y0) / 1_000);
    camera.at(c, ghost.x, ghost.y);
    c.globalAlpha = good ? 0.72 : 0.45;
    put(c, buildingSprite(ghost.what, ghost.rotation));
    c.globalAlpha = 1;
    if (!ghost.barred) return;
    camera.flat(c);
    drawTag(c, ghost.barred, camera.screenX(ghost.x), camera.screenY(y1) + 26, false, undefined);
  }

  /** Evening comes and goes; fires and windows light it. */
  private drawLight(now: number, worldMs: number): void {
    const { c, camera } = this;
    const day = (((worldMs % DAY_MS) + DAY_MS) % DAY_MS) / DAY_MS;
    // Day from 0 to 0.7, dusk, night around 0.85, dawn.
    const night = ease((day - 0.68) / 0.1) * (1 - ease((day - 0.9) / 0.1));
    const warm = Math.max(0, 1 - Math.abs(day - 0.7) / 0.07) + Math.max(0, 1 - Math.abs(day - 0.97) / 0.06);
    camera.flat(c);
    if (warm > 0) {
      c.fillStyle = `rgba(255,150,70,${0.13 * Math.min(warm, 1)})`;
      c.fillRect(0, 0, camera.width, camera.height);
    }
    if (night > 0) {
      c.globalCompositeOperation = "multiply";
      c.fillStyle = `rgba(78,100,176,${0.66 * night})`;
      c.fillRect(0, 0, camera.width, camera.height);
    }
    c.globalCompositeOperation = "lighter";
    const reach = (Math.max(camera.width, camera.height) * 500) / camera.zoom + 9_000;
    for (const land of this.world.landsNear(camera.x, camera.y, reach)) {
      for (const { x, y, built } of land.buildings) {
        if (built.what === Building.FENCE || built.what === Building.STALL || !camera.sees(x, y, 7)) continue;
        const fire = built.what === Building.CAMPFIRE;
        if (!fire && night === 0) continue;
        this.glow(x, y + (fire ? 0 : 1_900), fire ? 6 * flicker(now, built.index) : 3.2, fire ? 0.16 + 0.4 * night : 0.35 * night);
      }
    }
    if (night > 0) this.glow(this.walker.drawnX, this.walker.drawnY, 4.5, 0.22 * night);
    c.globalCompositeOperation = "source-over";
  }

  private glow(x: number, y: number, r: number, strength: number): void {
    const { c, camera } = this;
    camera.at(c, x, y);
    const g = c.createRadialGradient(0, 0, 0, 0, 0, r);
    g.addColorStop(0, `rgba(255,176,84,${strength})`);
    g.addColorStop(0.4, `rgba(255,150,60,${strength * 0.4})`);
    g.addColorStop(1, "rgba(255,140,50,0)");
    c.fillStyle = g;
    c.fillRect(-r, -r, r * 2, r * 2);
  }

  private drawWords(now: number): void {
    const { c, camera } = this;
    camera.flat(c);
    const me = this.world.client.me?.key;
    for (const [key, player] of this.world.players) {
      const gait = this.gaits.get(key);
      if (!gait || !camera.sees(gait.x, gait.y, 3)) continue;
      const x = camera.screenX(gait.x);
      const y = camera.screenY(gait.y) - 1.72 * camera.zoom;
      const entity = this.world.client.picture.entities.get(key);
      drawTag(c, player.name, x, y, key === me, this.xray.on && entity ? this.xray.colour(entity.publisher) : undefined);
      const bubble = this.effects.bubbles.get(key);
      if (bubble) drawBubble(c, bubble, x, y - 20, now);
    }
  }
}
