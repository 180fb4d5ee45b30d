/** Where to connect next, and how long to wait first. */

/** First wait after a lost connection, ms: short, because another edge is most likely there. */
const FIRST_MS = 100;
/** Longest wait, ms. */
const LONGEST_MS = 4_000;

/** An edge a client can connect to. */
export interface EdgeAddress {
  /** The node it belongs to; undefined until a Welcome told the list. */
  readonly node: number | undefined;
  /** Its WebSocket. */
  readonly url: string;
}

/** The list of edges, the one in use, and the wait before the next attempt. */
export class EdgeRing {
  private list: EdgeAddress[];
  private at = 0;
  private failures = 0;

  constructor(urls: readonly string[]) {
    if (urls.length === 0) throw new TypeError("at least one edge URL is needed");
    this.list = urls.map((url) => ({ node: undefined, url }));
  }

  /** The edge in use or to be tried next. */
  get current(): EdgeAddress {
    return this.list[this.at]!;
  }

  /** Attempts since the last that succeeded. */
  get attempts(): number {
    return this.failures;
  }

  /** Every edge known. */
  get all(): readonly EdgeAddress[] {
    return this.list;
  }

  /** The server told its edges. The one in use stays in use, also if it is not among them any more. */
  replace(list: readonly EdgeAddress[]): void {
    if (list.length === 0) return;
    const { url } = this.current;
    const at = list.findIndex((edge) => edge.url === url);
    this.list = at < 0 ? [this.current, ...list] : [...list];
    this.at = Math.max(at, 0);
  }

  /** The edge in use welcomed us: the next wait is short again. */
  onWelcome(): void {
    this.failures = 0;
  }

  /**
   * The edge in use is lost: on to the next. Returns the wait before it is tried, ms: doubled with every round over all
   * edges, between half and all of it by chance, so that clients of a lost edge do not arrive as one.
   */
  onLost(random: number): number {
    const rounds = Math.floor(this.failures / this.list.length);
    this.failures++;
    this.at = (this.at + 1) % this.list.length;
    return Math.min(FIRST_MS * 2 ** Math.min(rounds, 16), LONGEST_MS) * (0.5 + random / 2);
  }
}
