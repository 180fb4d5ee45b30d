/**
 * Where to connect next, and how long to wait first.
 *
 * When an edge is gone, the others usually are not. So the client tries another one at once, in an order that differs
 * from client to client: thousands lose the same edge at the same instant, and must not all rush to its neighbour. It
 * backs off only after a whole round over all edges has failed. The Rust client does the same
 * (`crates/client/src/ring.rs`).
 */

/**
 * Longest wait before the next edge of a round, ms: hardly noticeable, and enough that thousands do not arrive at once.
 */
const NEXT_MS = 50;
/** Longest wait after the first failed round, ms. It doubles with each round. */
const FIRST_MS = 200;
/** Longest wait between two rounds, ms: a person is looking. */
const LONGEST_MS = 4_000;

/** An edge as the server's list names it. What is empty (or 0) is as in the URL the client came by. */
export interface ListedEdge {
  readonly node: number;
  readonly scheme: string;
  readonly host: string;
  readonly port: number;
  /** Without a leading slash it continues the path the client came by, less a number at its end. */
  readonly path: string;
}

/** An edge a client can connect to. */
export interface EdgeAddress {
  /** The node it belongs to; undefined until a Welcome brings the list. */
  readonly node: number | undefined;
  /** Its WebSocket. */
  readonly url: string;
}

/** The edges known, the one in use, and the attempts that have failed since a connection last lasted. */
export class EdgeRing {
  private list: EdgeAddress[];
  private at = 0;
  private failures = 0;
  private first: EdgeAddress | undefined;

  /** `random`: a random number in [0, 1). */
  constructor(
    urls: readonly string[],
    private readonly random: () => number,
  ) {
    if (urls.length === 0) throw new TypeError("at least one edge URL is needed");
    this.list = urls.map((url) => ({ node: undefined, url }));
  }

  /** The edge in use, or the one to try next. */
  get current(): EdgeAddress {
    return this.list[this.at]!;
  }

  /** Attempts that have failed since a connection last lasted. */
  get attempts(): number {
    return this.failures;
  }

  /** Rounds over all edges that have failed since then. */
  get rounds(): number {
    return Math.floor(this.failures / this.list.length);
  }

  /** Every edge known. */
  get all(): readonly EdgeAddress[] {
    return this.list;
  }

  /** The address the client came by: the edge in use when the first list arrived. What the lists leave out is taken from it. */
  get cameBy(): EdgeAddress {
    return this.first ?? this.current;
  }

  /**
   * The server sent its list of edges. Two more stay in the list even if the server did not name them. The edge in use:
   * it worked (by another name, behind a proxy, say), and until another edge has welcomed us it is the best we have.
   * And the address we came by: what the server names may not be reachable from here.
   *
   * `node` is the one that welcomed us. If we came by an address that the list does not name, its edge is the one in
   * use: when it is lost, its own address is no better.
   */
  replace(named: readonly EdgeAddress[], node?: number): void {
    if (named.length === 0) return;
    const first = this.cameBy;
    let here = this.current;
    const isNamed = named.some((edge) => edge.url === here.url);
    if (!isNamed && node !== undefined) here = named.find((edge) => edge.node === node) ?? here;
    this.list = [];
    for (const kept of [...named, first, here]) {
      if (!this.list.some((edge) => edge.url === kept.url)) this.list.push(kept);
    }
    this.first = this.list.find((edge) => edge.url === first.url);
    this.at = this.list.findIndex((edge) => edge.url === here.url);
  }

  /** The connection has lasted: the next loss starts a new round, without back-off. */
  onHeld(): void {
    this.failures = 0;
  }

  /**
   * The edge in use is lost: picks another. Returns the wait before the attempt, ms. `asked` is the wait the server
   * asked for. The server spreads its clients with it, so it is used unchanged, unless a whole round has failed.
   */
  onLost(asked?: number): number {
    const edges = this.list.length;
    // A round begins at a random edge and continues in order.
    const step = this.failures === 0 && edges > 1 ? 1 + Math.floor(this.random() * (edges - 1)) : 1;
    this.at = (this.at + step) % edges;
    const begins = this.failures > 0 && this.failures % edges === 0;
    const own = begins ? this.pause(this.rounds - 1) : this.random() * NEXT_MS;
    const inRound = this.failures < edges;
    this.failures++;
    if (asked === undefined) return own;
    return inRound ? asked : Math.max(asked, own);
  }

  /** A random time between half and all of a limit that doubles. */
  private pause(nth: number): number {
    return Math.min(FIRST_MS * 2 ** Math.min(nth, 16), LONGEST_MS) * (0.5 + this.random() / 2);
  }
}

/**
 * The URL of an edge of the list, for a client that came by `from`: what the list leaves empty is as there. Undefined: it has a
 * scheme that this client does not speak.
 */
export function edgeUrl(edge: ListedEdge, from: string): string | undefined {
  if (!["", "ws", "wss"].includes(edge.scheme)) return undefined;
  const url = new URL(from);
  if (edge.scheme) url.protocol = `${edge.scheme}:`;
  if (edge.host) url.hostname = edge.host.includes(":") ? `[${edge.host}]` : edge.host;
  if (edge.port) url.port = String(edge.port);
  if (edge.path.startsWith("/")) url.pathname = edge.path;
  else if (edge.path) url.pathname = `${url.pathname.replace(/\/\d+$/, "").replace(/\/+$/, "")}/${edge.path}`;
  return url.href;
}
