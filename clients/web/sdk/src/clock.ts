/** Round trips kept: the quickest of them tells the world time best. */
const TRIPS = 8;
/** Beyond this error the clock jumps, below it the clock is slewed, so that bodies never jerk. */
const STEP_MS = 250;
/** Share of the error that is put right at each pong. */
const SLEW = 0.1;

/**
 * What the server's world time is now, and how long a round trip takes.
 *
 * Of the last few pongs the one with the shortest round trip errs least (Cristian 1989): the error is at most half of it.
 */
export class WorldClock {
  /** The last round trip, ms; undefined before the first. */
  rttMs: number | undefined;
  private offset = 0;
  private set = false;
  private trips: { rtt: number; offset: number }[] = [];

  /** Forgets the round trips: another edge lies at another distance. */
  reset(): void {
    this.trips = [];
    this.rttMs = undefined;
  }

  /** A Welcome said `worldMs`: good enough until the first pong. */
  onWelcome(now: number, worldMs: number): void {
    if (!this.set || Math.abs(worldMs - now - this.offset) > STEP_MS) this.offset = worldMs - now;
    this.set = true;
  }

  /** A pong to the ping of `sentAt` said `worldMs`. */
  onPong(now: number, sentAt: number, worldMs: number): void {
    const rtt = now - sentAt;
    this.rttMs = rtt;
    this.trips.push({ rtt, offset: worldMs + rtt / 2 - now });
    if (this.trips.length > TRIPS) this.trips.shift();
    const best = this.trips.reduce((a, b) => (b.rtt < a.rtt ? b : a));
    const error = best.offset - this.offset;
    this.offset += Math.abs(error) > STEP_MS ? error : error * SLEW;
  }

  /** World time at the local time `now`, ms. */
  worldMs(now: number): number {
    return now + this.offset;
  }
}
