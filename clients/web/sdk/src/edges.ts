/**
 * Where to connect next, and how long to wait first.
 *
 * An edge that is gone is usually alone, so another one is tried at once, in an order that differs from client to client:
 * thousands lose the same edge in the same instant, and must not all fall upon its neighbour. Only when a whole round over
 * all edges has failed do the waits grow. The Rust client does the same (`crates/client/src/ring.rs`).
 */

/** Longest wait before the next edge of a round is tried, ms: hardly felt, and enough that thousands do not come as one. */
const NEXT_MS = 50;
/** Longest wait after the first round that failed, ms. It doubles with each. */
const FIRST_MS = 200;
/** Longest wait between two rounds, ms: a person is looking. */
const LONGEST_MS = 4_000;

/** An edge a client can connect to. */
export interface EdgeAddress {
  /** The node it belongs to; undefined until a Welcome told the list. */
  readonly node: number | undefined;
  /** Its WebSocket. */
  readonly url: string;
}

/** The edges known, the one in use, and the attempts that failed since a connection last held. */
export class EdgeRing {
  private list: EdgeAddress[];
  private at = 0;
  private failures = 0;

  /** `random`: chance in [0, 1). */
  constructor(
    urls: readonly string[],
    private readonly random: () => number,
  ) {
    if (urls.length === 0) throw new TypeError("at least one edge URL is needed");
    this.list = urls.map((url) => ({ node: undefined, url }));
  }

  /** The edge in use or to be tried next. */
  get current(): EdgeAddress {
    return this.list[this.at]!;
  }

  /** Attempts that failed since a connection last held. */
  get attempts(): number {
    return this.failures;
  }

  /** Rounds over all edges that failed since then. */
  get rounds(): number {
    return Math.floor(this.failures / this.list.length);
  }

  /** Every edge known. */
  get all(): readonly EdgeAddress[] {
    return this.list;
  }

  /**
   * The server told its edges. The one in use stays in use and known, also if it is not among them: it worked (by another name,
   * behind a proxy, say), and until another has welcomed us it is the best there is.
   */
  replace(list: readonly EdgeAddress[]): void {
    if (list.length === 0) return;
    const here = this.current;
    const at = list.findIndex((edge) => edge.url === here.url);
    this.list = at < 0 ? [...list, here] : [...list];
    this.at = at < 0 ? list.length : at;
  }

  /** The connection has held: the next loss is met quickly again. */
  onHeld(): void {
    this.failures = 0;
  }

  /**
   * The edge in use is lost: on to another. Returns the wait before it is tried, ms. `asked` is the wait the server asked for: it
   * spreads its clients by it, so it is kept as it is, unless a whole round has failed.
   */
  onLost(asked?: number): number {
    const edges = this.list.length;
    // Where a round begins is left to chance; from there it goes round.
    const step = this.failures === 0 && edges > 1 ? 1 + Math.floor(this.random() * (edges - 1)) : 1;
    this.at = (this.at + step) % edges;
    const begins = this.failures > 0 && this.failures % edges === 0;
    const own = begins ? this.pause(this.rounds - 1) : this.random() * NEXT_MS;
    const inRound = this.failures < edges;
    this.failures++;
    if (asked === undefined) return own;
    return inRound ? asked : Math.max(asked, own);
  }

  /** Between half and all of a limit that doubles. */
  private pause(nth: number): number {
    return Math.min(FIRST_MS * 2 ** Math.min(nth, 16), LONGEST_MS) * (0.5 + this.random() / 2);
  }
}
