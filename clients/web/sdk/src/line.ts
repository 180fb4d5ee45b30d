/**
 * The line: how long an answer takes, and so how long to wait for one.
 *
 * A slow line and a dead edge look alike until the round trip is known. Until then the time that the socket took to open
 * says at least as much: it is one round trip or several. The Rust client does the same
 * (`crates/client/src/session/line.rs`).
 */

/** No line is so slow that an answer is waited for longer, ms: twice the slowest round trip that can be played with. */
const ANSWER_MS_MAX = 8_000;
/** A round trip from which the line is slow, ms. */
const SLOW_FROM_MS = 1_000;
/** A round trip from which it is not slow any more, ms. */
const SLOW_TO_MS = 700;
/** Round trips that opening a socket takes at most: TCP, TLS, the upgrade, and one that is lost. */
const OPENING_TRIPS = 5;
/** How long a socket may take to open on a quick line, ms. */
const OPEN_MS = 2_000;
/** How long it may take at most, ms. */
const OPEN_MS_MAX = 20_000;

/** See the top of the file. */
export class Line {
  /** The round trip, ms: that of the slowest answer, sinking slowly. */
  tripMs = 0;
  /** Whether everything takes noticeably longer than on other lines. */
  isSlow = false;
  private measured = false;
  private overdue = 0;

  /** A socket has opened after `ms`. */
  onOpened(ms: number): void {
    this.overdue = 0;
    if (!this.measured) this.tripMs = ms;
  }

  /** An attempt to open one took too long. */
  onOverdue(): void {
    this.overdue = Math.min(this.overdue + 1, 16);
  }

  /** A pong came after `ms`. Returns whether {@link isSlow} has changed. */
  onPong(ms: number): boolean {
    this.tripMs = this.measured && ms < this.tripMs ? this.tripMs - (this.tripMs - ms) / 8 : ms;
    this.measured = true;
    const slow = this.tripMs >= (this.isSlow ? SLOW_TO_MS : SLOW_FROM_MS);
    const changed = slow !== this.isSlow;
    this.isSlow = slow;
    return changed;
  }

  /** How long the answer to a ping may take, ms: `leastMs` on a quick line. */
  answerMs(leastMs: number): number {
    return Math.max(Math.min(2 * this.tripMs, ANSWER_MS_MAX), leastMs);
  }

  /**
   * How long a socket may take to open, ms. `rounds`: over all edges, that have failed. With one edge alone there is no
   * other to try meanwhile.
   */
  openingMs(edges: number, rounds: number): number {
    const first = edges === 1 ? OPEN_MS_MAX / 2 : this.measured ? Math.max(OPEN_MS, OPENING_TRIPS * this.tripMs) : OPEN_MS;
    const times = edges === 1 ? this.overdue : this.measured ? rounds : Math.max(this.overdue, rounds);
    return Math.min(first * 2 ** Math.min(times, 16), OPEN_MS_MAX);
  }
}
