/** Short-lived effects: chips and dust, falling trees, rising words, chat bubbles. */
import { Stage, What } from "./gen/pioneer_pb.js";
import { plantChips, plantSize, plantSprite } from "./plants.js";
import { put, type Context } from "./sprite.js";
import type { Camera } from "./camera.js";
import { lessMotion } from "./motion.js";
import type { PlacedThing } from "./world.js";

/** Particles alive at a time; beyond, the oldest disappear. */
const CHIPS_MAX = 400;
const FALL_MS = 900;
const RISE_MS = 1_800;
const BUBBLE_MS = 6_000;

interface Chip {
  x: number;
  y: number;
  z: number;
  vx: number;
  vy: number;
  vz: number;
  born: number;
  life: number;
  size: number;
  colour: string;
}

interface Fall {
  readonly thing: PlacedThing;
  readonly stage: Stage;
  readonly born: number;
  readonly side: number;
}

interface Rise {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly born: number;
}

/** Something a player said. */
export interface Bubble {
  readonly text: string;
  readonly born: number;
}

/** See the top of the file. */
export class Effects {
  /** By the key of the entity that speaks. */
  readonly bubbles = new Map<string, Bubble>();
  private chips: Chip[] = [];
  private falls: Fall[] = [];
  private rises: Rise[] = [];

  /** A tree falls, a rock bursts, a bush is picked. */
  fell(now: number, thing: PlacedThing, was: Stage): void {
    const { what } = thing.thing;
    if (what === What.PINE || what === What.OAK || what === What.PALM) {
      if (thing.thing.stage === Stage.BARE && !lessMotion()) this.falls.push({ thing, stage: was, born: now, side: thing.thing.look % 2 ? 1 : -1 });
    }
    const { height, colours } = plantChips(what);
    this.burst(now, thing.x, thing.y, height, 22, colours);
  }

  /** Chips fly up from a place, mm, at `height` m. */
  burst(now: number, x: number, y: number, height: number, count: number, colours: readonly string[]): void {
    if (lessMotion()) return;
    for (let k = 0; k < count; k++) {
      const angle = Math.random() * Math.PI * 2;
      const speed = 0.4 + Math.random() * 1.6;
      this.chips.push({
        x: x / 1_000 + (Math.random() - 0.5) * 0.8,
        y: y / 1_000,
        z: height * (0.4 + Math.random() * 0.8),
        vx: Math.cos(angle) * speed,
        vy: Math.sin(angle) * speed * 0.5,
        vz: 1 + Math.random() * 2.2,
        born: now,
        life: 700 + Math.random() * 600,
        size: 0.05 + Math.random() * 0.07,
        colour: colours[k % colours.length] ?? "#fff",
      });
    }
    if (this.chips.length > CHIPS_MAX) this.chips.splice(0, this.chips.length - CHIPS_MAX);
  }

  /** Words rise from a place. */
  rise(now: number, x: number, y: number, text: string): void {
    this.rises.push({ text, x, y, born: now });
  }

  /** A player says something. */
  say(now: number, key: string, text: string): void {
    this.bubbles.set(key, { text, born: now });
  }

  /** Removes effects that are over. */
  tick(now: number): void {
    this.chips = this.chips.filter((chip) => now - chip.born < chip.life);
    this.falls = this.falls.filter((fall) => now - fall.born < FALL_MS);
    this.rises = this.rises.filter((rise) => now - rise.born < RISE_MS);
    for (const [key, bubble] of this.bubbles) if (now - bubble.born > BUBBLE_MS) this.bubbles.delete(key);
  }

  /** Draws falling trees over their stumps. */
  drawFalls(c: Context, camera: Camera, now: number): void {
    for (const { thing, stage, born, side } of this.falls) {
      const t = (now - born) / FALL_MS;
      camera.at(c, thing.x, thing.y);
      const size = plantSize(thing.thing.look);
      c.scale(size, size);
      c.rotate(side * Math.min(1, t * 1.35) ** 2.2 * 1.5);
      c.globalAlpha = t < 0.7 ? 1 : Math.max(0, 1 - (t - 0.7) / 0.3);
      put(c, plantSprite(thing.thing.what, stage, thing.thing.look));
      c.globalAlpha = 1;
    }
  }

  /** Draws chips in the air. */
  drawChips(c: Context, camera: Camera, now: number): void {
    for (const chip of this.chips) {
      const t = (now - chip.born) / 1_000;
      const z = Math.max(0, chip.z + chip.vz * t - 4.5 * t * t);
      camera.at(c, (chip.x + chip.vx * t) * 1_000, (chip.y + chip.vy * t - z) * 1_000);
      c.globalAlpha = Math.min(1, (chip.life - (now - chip.born)) / 300);
      c.fillStyle = chip.colour;
      c.rotate(t * 6 + chip.size * 90);
      c.fillRect(-chip.size, -chip.size / 2, chip.size * 2, chip.size);
    }
    c.globalAlpha = 1;
  }

  /** Draws rising words. */
  drawRises(c: Context, camera: Camera, now: number): void {
    camera.flat(c);
    c.font = "700 15px system-ui, sans-serif";
    c.textAlign = "center";
    c.lineJoin = "round";
    for (const rise of this.rises) {
      const t = (now - rise.born) / RISE_MS;
      const x = camera.screenX(rise.x);
      const y = camera.screenY(rise.y) - 2.1 * camera.zoom - (lessMotion() ? 0.5 : 1 - (1 - t) ** 2) * 44;
      c.globalAlpha = t < 0.6 ? 1 : 1 - (t - 0.6) / 0.4;
      c.lineWidth = 4;
      c.strokeStyle = "rgba(30,40,36,.75)";
      c.strokeText(rise.text, x, y);
      c.fillStyle = "#fff6df";
      c.fillText(rise.text, x, y);
    }
    c.globalAlpha = 1;
  }
}
