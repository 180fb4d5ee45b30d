/** Round trips kept: the quickest of them gives the best world time. */
const TRIPS = 8;
/** Beyond this error the clock jumps; below it the clock is slewed, so that bodies never jerk. */
const STEP_MS = 250;
/** Share of the error that each pong corrects. */
const SLEW = 0.1;

/**
 * The server's world time now, and the length of a round trip.
 *
 * Of the last few pongs, the one with the shortest round trip has the smallest error: at most half of it (Cristian
 * 1989).
 */
export class WorldClock {
  /** The last round trip, ms; undefined before the first. */
  rttMs: number | undefined;
  private offset = 0;
  private set = false;
  private trips: { rtt: number; offset: number }[] = [];

  /** Forgets the round trips: another edge is at another distance. */
  reset(): void {
    this.trips = [];
    this.rttMs = undefined;
  }

  /** A Welcome had `worldMs`: good enough until the first pong. */
  onWelcome(now: number, worldMs: number): void {
    if (!this.set || Math.abs(worldMs - now - this.offset) > STEP_MS) this.offset = worldMs - now;
    this.set = true;
  }

  /** The pong to the ping sent at `sentAt` had `worldMs`. */
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
