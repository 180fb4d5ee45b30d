/** What goes into a {@link Client} and what it tells: its options, its events, and their values. */
import type { EdgeAddress, ListedEdge } from "./edges.js";
import type { Environment } from "./environment.js";
import type { Correction, Notice, Stats, Welcome } from "./gen/client_pb.js";
import type { ConnectionState } from "./state.js";
import type { KeyStore } from "./store.js";
import type { Watched } from "./watched.js";
/** How to reach a world. */
export interface ClientOptions {
  /** WebSocket URLs to start with, at least one; the server sends the others. */
  readonly edges: readonly string[];
  /** Where to store the player's keys; default: in memory. */
  readonly store?: KeyStore;
  /** Name and version for the server's operators, at most 64 bytes. */
  readonly client?: string;
  /** A new player's invitation, such as one from the page's address; {@link Client.connect} may bring another. Default: none. */
  readonly invitation?: string;
  /** Makes the URL of an edge of the server's list; undefined leaves it out. Default: what is empty is as in `from`, where it came by. */
  readonly edgeUrl?: (edge: ListedEdge, from: string) => string | undefined;
  /** Clock, timers and sockets; default: the browser's. */
  readonly environment?: Environment;
}

/** Where the player wants its body to be. */
export interface Move {
  /** mm on the island. */
  readonly x: number;
  /** mm on the island. */
  readonly y: number;
  /** Radians: 0 is +x, growing towards +y. */
  readonly heading: number;
  /** m/s, up to 12.7. */
  readonly speed: number;
}

/** The own player, after a Welcome. */
export interface Me {
  readonly kind: number;
  readonly id: bigint;
  /** The key of the own entity in the picture. */
  readonly key: string;
}

/** The events of a client. */
export interface ClientEvents {
  /** The state of the connection changed. */
  state: [ConnectionState];
  /** In the world, for the first time or again. `resumed`: with the same player as before in this visit. */
  welcome: [Welcome, { resumed: boolean }];
  /** The player's private state changed: the game's bytes. */
  own: [Uint8Array];
  /** The server disagrees with a move: the body is there instead. */
  correction: [Correction];
  /** Something the person should know, before it has consequences. */
  notice: [Notice];
  /** How an entity that is watched looks now, or why it is not: see {@link Client.watch}. */
  watched: [Watched];
  /** The game's message to this player only: its bytes. It may have been lost. */
  told: [Uint8Array];
  /** Statistics of the node, once per second while {@link Client.wantStats} is on. */
  stats: [Stats];
  /** The server sent its list of edges: nodes came or went. */
  edges: [readonly EdgeAddress[]];
  /** The line has become slow (a round trip of a second and more), or quick again: everything takes longer, and goes on. */
  slow: [boolean];
  /** The picture received frames. */
  frames: [];
}

/** How updates of the own body arrived, to detect noticeable borders. */
export interface OwnMotion {
  /** Longest time between two updates of the own body while it moved, ms of the local clock. */
  gapMsMax: number;
  /** The same in ticks of the server. */
  gapTicksMax: number;
  /** Number of updates. */
  updates: number;
  /** Longest time between two moves sent while moving, ms: gaps that the client itself caused. */
  sentGapMsMax: number;
}
