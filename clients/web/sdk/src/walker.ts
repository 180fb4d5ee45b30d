/**
 * The own body, predicted: it moves at once when a key is pressed, under the server's rules, and tells the server where
 * it wants to be. If the server disagrees, the body is corrected and its drawing glides there.
 */
import type { Client } from "./client.js";
import type { Correction } from "./gen/client_pb.js";

/** What the game says of walking. */
export interface Ground {
  /** The top speed that the server allows, mm/s; undefined: it is not known yet, and nobody walks. */
  readonly speedMm: number | undefined;
  /** Whether a body can go straight from a to b, whole mm. The server decides; this only spares corrections. */
  isOpen(ax: number, ay: number, bx: number, by: number): boolean;
}

/** Share of the top speed used for walking: the rest absorbs jitter of clocks and networks. */
const EASE = 0.94;
/** Longest step of time simulated at once, ms. */
const STEP_MS = 50;
/** An error in the drawing shrinks to a third in this time, ms. */
const GLIDE_MS = 90;
/** Beyond this error the drawing jumps, mm. */
const GLIDE_MAX_MM = 6_000;
/** Time between moves, as a share of a tick. */
const MOVE_SHARE = 0.8;
/** Shortest time between two moves sent because the path bends around something, ms. */
const BEND_MS = 40;
/** The way of so long is walked again after the connection was lost, ms: a server makes up for as much. */
const TRAIL_MS = 4_000;
/** The server has the body at a place of the trail if it is so close to it, mm. */
const SAME_MM = 2;
/** A walk to a place ends this close to it, mm. */
const ARRIVED_MM = 150;

/** See the top of the file. */
export class Walker {
  /** Where the body is, mm, fractions included. */
  x = 0;
  y = 0;
  /** Radians. */
  heading = 0;
  /** m/s. */
  speed = 0;
  /** Corrections by the server. */
  corrections = 0;
  /** Where to walk by itself, mm. */
  goal: { x: number; y: number } | undefined;
  private placed = false;
  private offX = 0;
  private offY = 0;
  /** The places sent in the last seconds: what the server has not heard of when the connection is lost. */
  private trail: { x: number; y: number; heading: number; speed: number; at: number }[] = [];
  private sent = { x: 0, y: 0, heading: 0, speed: 0, at: -Infinity };

  constructor(
    private readonly client: Client,
    private readonly ground: Ground,
  ) {
    client.on("welcome", (welcome, { resumed }) => {
      this.speed = 0;
      if (!resumed || !this.walkAgain(welcome.x, welcome.y)) {
        this.put(welcome.x, welcome.y);
        this.heading = (welcome.heading / 128) * Math.PI * 2;
        this.sent = { x: this.x, y: this.y, heading: this.heading, speed: 0, at: -Infinity };
        this.trail = [];
      }
      // A player who only changed the edge walks on.
      if (!resumed) this.goal = undefined;
    });
    client.on("correction", (correction) => this.onCorrection(correction));
  }

  /** Where to draw the body, mm. */
  get drawnX(): number {
    return this.x + this.offX;
  }
  get drawnY(): number {
    return this.y + this.offY;
  }

  /**
   * Walks for `ms` in the direction (dx, dy), whose length up to 1 is the share of the speed. `now`: local time, ms.
   */
  step(now: number, ms: number, dx: number, dy: number): void {
    const fade = Math.exp(-ms / GLIDE_MS);
    this.offX *= fade;
    this.offY *= fade;
    const { speedMm } = this.ground;
    if (speedMm === undefined || this.client.state.kind !== "connected") return;
    if (dx !== 0 || dy !== 0) this.goal = undefined;
    else if (this.goal) [dx, dy] = this.towards(this.goal);
    const length = Math.hypot(dx, dy);
    const top = (speedMm / 1_000) * EASE;
    const speed = Math.min(length, 1) * top;
    if (length > 0.05) {
      this.heading = Math.atan2(dy, dx);
      const { x, y } = this;
      for (let left = ms; left > 0; left -= STEP_MS) this.advance(now, Math.min(left, STEP_MS) * speed, dx / length, dy / length);
      // A player who walks against a wall stands, and one who slides along a wall is slower.
      this.speed = ms > 0 ? Math.min(speed, Math.hypot(this.x - x, this.y - y) / ms) : speed;
    } else {
      this.speed = 0;
    }
    this.tell(now);
  }

  private towards(goal: { x: number; y: number }): [number, number] {
    const dx = goal.x - this.x;
    const dy = goal.y - this.y;
    const distance = Math.hypot(dx, dy);
    if (distance < ARRIVED_MM) {
      this.goal = undefined;
      return [0, 0];
    }
    const share = Math.min(1, distance / 500);
    return [(dx / distance) * share, (dy / distance) * share];
  }

  /** One step of `mm`; it slides along an obstacle. */
  private advance(now: number, mm: number, ux: number, uy: number): void {
    // Straight on, then along either axis, then a little to either side.
    const turns: [number, number][] = [[ux, uy], [ux, 0], [0, uy]];
    for (const angle of [0.6, -0.6, 1.1, -1.1]) {
      const c = Math.cos(angle);
      const s = Math.sin(angle);
      turns.push([(ux * c - uy * s) * c, (ux * s + uy * c) * c]);
    }
    const [hereX, hereY] = [Math.round(this.x), Math.round(this.y)];
    for (const [vx, vy] of turns) {
      if (Math.hypot(vx, vy) < 0.25) continue;
      const x = this.x + vx * mm;
      const y = this.y + vy * mm;
      // The server counts whole millimetres; fractions add up here.
      const [toX, toY] = [Math.round(x), Math.round(y)];
      if (toX !== hereX || toY !== hereY) {
        if (!this.ground.isOpen(hereX, hereY, toX, toY)) continue;
        if (!this.ground.isOpen(this.sent.x, this.sent.y, toX, toY)) {
          // The server sees only straight lines between moves, so send the bend first.
          if (now - this.sent.at < BEND_MS) return;
          this.send(now);
        }
      }
      this.x = x;
      this.y = y;
      return;
    }
    this.goal = undefined;
  }

  /**
   * Sends a move while something changes: a little more often than once per tick, so that every tick has one although
   * pictures and ticks are not in step.
   */
  private tell(now: number): void {
    const { sent } = this;
    const changed = sent.x !== Math.round(this.x) || sent.y !== Math.round(this.y) || sent.heading !== this.heading || sent.speed !== this.speed;
    if (!changed) return;
    const tick = this.client.picture.tickMs;
    const due = now - sent.at >= tick * MOVE_SHARE;
    const stopped = this.speed === 0 && sent.speed !== 0 && now - sent.at >= BEND_MS;
    if (due || stopped) this.send(now);
  }

  private send(now: number): void {
    const { heading, speed } = this;
    const [x, y] = [Math.round(this.x), Math.round(this.y)];
    this.client.move({ x, y, heading, speed });
    this.sent = { x, y, heading, speed, at: now };
    this.trail.push(this.sent);
    while (this.trail[0] && now - this.trail[0].at > TRAIL_MS) this.trail.shift();
  }

  /**
   * After a resume the server has the body at (x, y). If it was there a moment ago, the rest of the way got lost: sends it
   * again. False: the body was never there.
   */
  private walkAgain(x: number, y: number): boolean {
    let at = this.trail.length - 1;
    while (at >= 0 && Math.hypot(this.trail[at]!.x - x, this.trail[at]!.y - y) > SAME_MM) at--;
    if (at < 0) return false;
    for (const { x, y, heading } of this.trail.slice(at + 1)) this.client.move({ x, y, heading, speed: 0 });
    return true;
  }

  private onCorrection(correction: Correction): void {
    this.corrections++;
    this.put(correction.x, correction.y);
    this.trail = [];
    this.sent = { ...this.sent, x: this.x, y: this.y };
    this.goal = undefined;
  }

  private put(x: number, y: number): void {
    const offX = this.drawnX - x;
    const offY = this.drawnY - y;
    const near = this.placed && Math.hypot(offX, offY) < GLIDE_MAX_MM;
    this.offX = near ? offX : 0;
    this.offY = near ? offY : 0;
    this.x = x;
    this.y = y;
    this.placed = true;
  }
}
