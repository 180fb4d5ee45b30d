/** A body: where an entity is and how it moves. */
export interface Body {
  /** East, mm on the island. */
  x: number;
  /** South, mm on the island. */
  y: number;
  /** Where it looks, radians: 0 is +x, growing towards +y. */
  heading: number;
  /** How fast it moves, m/s. */
  speed: number;
}

/** Samples kept per entity: at ten per second they cover almost a second, longer than any delay in the near tier. */
const SAMPLES = 8;
/** Numbers per sample: time, x, y, heading, speed. */
const STRIDE = 5;
/** How far a moving body is carried on beyond its last sample, ms; then it stands until the next update. */
const EXTRAPOLATE_MS = 250;
/** A step longer than a body at top speed (12.7 m/s) could walk is a jump, and is shown as one. */
const JUMP_MM_PER_MS = 20;
const JUMP_MM = 2_500;
/** Longer gaps than the far tier's second are pauses, not a rate. */
const INTERVAL_MAX_MS = 1_500;

const TURN = Math.PI * 2;

/**
 * The recent path of one body, and where it is drawn at a given time.
 *
 * It draws a little in the past, so that there is almost always a sample on either side: one interval between samples
 * (which differs per tier) plus the lateness of frames. When an update is late, the body is carried on along its
 * heading for a moment.
 */
export class Track {
  private readonly ring = new Float64Array(SAMPLES * STRIDE);
  private count = 0;
  private newest = -1;
  private intervalMs: number;
  private delayMs = 0;
  private drawnAt = 0;

  constructor(tickMs: number) {
    this.intervalMs = tickMs;
  }

  /** Adds the body at world time `t`. Samples that are not newer than the last are dropped. */
  push(t: number, x: number, y: number, heading: number, speed: number): void {
    if (this.count > 0) {
      const last = this.newest * STRIDE;
      const gap = t - this.ring[last]!;
      if (gap <= 0) return;
      const stood = this.ring[last + 4] === 0;
      if (stood && gap > this.intervalMs * 1.5) {
        // It stood and nothing was sent meanwhile: it started to move one interval ago, not when it last stopped.
        const { ring } = this;
        this.write(t - this.intervalMs, ring[last + 1]!, ring[last + 2]!, ring[last + 3]!, 0);
      } else if (!stood && gap < INTERVAL_MAX_MS) {
        this.intervalMs += (gap - this.intervalMs) * (gap > this.intervalMs ? 0.5 : 0.2);
      }
    }
    this.write(t, x, y, heading, speed);
  }

  private write(t: number, x: number, y: number, heading: number, speed: number): void {
    this.newest = (this.newest + 1) % SAMPLES;
    this.count = Math.min(this.count + 1, SAMPLES);
    this.ring.set([t, x, y, heading, speed], this.newest * STRIDE);
  }

  /**
   * The body to draw at world time `now`, written into `out`. `lateMs` is how late frames arrive. Call it in the order
   * of time, once per picture drawn.
   */
  at(now: number, lateMs: number, out: Body): Body {
    const wanted = this.intervalMs + lateMs;
    // A change of tier changes the delay: adjust it gradually, or the body would jump back or forth.
    const passed = Math.max(0, now - this.drawnAt);
    const glide = passed > 1_000 ? Infinity : passed * 0.3;
    this.delayMs += Math.max(-glide, Math.min(glide, wanted - this.delayMs));
    this.drawnAt = now;
    return this.sample(now - this.delayMs, out);
  }

  /** The body at world time `t` itself. */
  sample(t: number, out: Body): Body {
    const { ring } = this;
    let after = -1;
    for (let back = 0; back < this.count; back++) {
      const at = ((this.newest - back + SAMPLES) % SAMPLES) * STRIDE;
      if (ring[at]! <= t) {
        if (after < 0) return this.ahead(at, Math.min(t - ring[at]!, EXTRAPOLATE_MS), out);
        return this.between(at, after, (t - ring[at]!) / (ring[after]! - ring[at]!), out);
      }
      after = at;
    }
    return this.ahead(Math.max(after, 0), 0, out);
  }

  private between(a: number, b: number, share: number, out: Body): Body {
    const { ring } = this;
    const dx = ring[b + 1]! - ring[a + 1]!;
    const dy = ring[b + 2]! - ring[a + 2]!;
    if (Math.hypot(dx, dy) > JUMP_MM + JUMP_MM_PER_MS * (ring[b]! - ring[a]!)) return this.ahead(share < 1 ? a : b, 0, out);
    out.x = ring[a + 1]! + dx * share;
    out.y = ring[a + 2]! + dy * share;
    out.heading = turn(ring[a + 3]!, ring[b + 3]!, share);
    out.speed = ring[a + 4]! + (ring[b + 4]! - ring[a + 4]!) * share;
    return out;
  }

  private ahead(a: number, ms: number, out: Body): Body {
    const { ring } = this;
    out.heading = ring[a + 3]!;
    out.speed = ring[a + 4]!;
    // m/s are mm/ms.
    out.x = ring[a + 1]! + Math.cos(out.heading) * out.speed * ms;
    out.y = ring[a + 2]! + Math.sin(out.heading) * out.speed * ms;
    return out;
  }
}

/** The angle at `share` of the shorter way from `a` to `b`, radians. */
export function turn(a: number, b: number, share: number): number {
  let way = (b - a) % TURN;
  if (way > Math.PI) way -= TURN;
  else if (way < -Math.PI) way += TURN;
  return a + way * share;
}
