/**
 * One player's connection to a world: it connects, stays connected and resumes by itself. It passes commands, answers
 * and the picture between the game and the server. It knows nothing of any game: payloads are bytes.
 *
 * The life of a connection: {@link Client.connect} opens a socket to an edge and sends Hello; Welcome makes it
 * `connected`. When a socket is lost, the client goes to another edge, resumes the session with the token, and resends
 * unanswered commands.
 */
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { WorldClock } from "./clock.js";
import { EdgeRing, edgeUrl, type EdgeAddress } from "./edges.js";
import { Emitter } from "./emitter.js";
import { browserEnvironment, type Environment, type Socket } from "./environment.js";
import type { ClientEvents, ClientOptions, Me, Move, OwnMotion } from "./events.js";
import {
  ClientMessageSchema,
  ServerMessageSchema,
  type Closing,
  type Edges,
  type Notice,
  type ServerMessage,
  type Watched as WatchedMessage,
  type Welcome,
} from "./gen/client_pb.js";
import { inMessages, Ledger, type Numbered } from "./ledger.js";
import { Line } from "./line.js";
import { entityKey, Picture, type Entity } from "./picture.js";
import { Refusal } from "./refusal.js";
import { describeState, type ConnectionState } from "./state.js";
import { bytes as bytesOf, hex, MemoryStore, same, type Key, type KeyStore } from "./store.js";

/** The version of the protocol this client speaks. */
export const PROTOCOL = 1;
/** How long a live edge may take from Hello to Welcome, ms. Beyond: another edge. */
const WELCOME_MS = 10_000;
/** Time between pings, ms: their pongs carry the world time. */
const PING_MS = 1_000;
/** After this silence a ping asks whether the edge is still alive, ms. After as much again, or what the {@link Line} needs, it is given up. */
const SILENCE_MS = 1_000;
/**
 * A connection must last this long after its Welcome before earlier failures are forgotten, ms: see {@link EdgeRing}.
 */
const HELD_MS = 1_000;
/** Wait before a Hello that met an unready server is tried elsewhere, ms. */
const NOT_READY_MS = 300;
/** A picture that waits longer than this for a keyframe is fetched again by resuming, ms. */
const BROKEN_MS = 3_000;
/** Headings in a full turn on the wire. */
const HEADINGS = 128;
/** Refusals after which the same hello may be said with another invitation. */
const INVITING: readonly string[] = ["invitation_needed", "bad_invitation"];
/** Bytes of a new player's nonce. */
const NONCE_BYTES = 16;

/** See the top of the file. */
export class Client extends Emitter<ClientEvents> {
  /** What the player sees. */
  readonly picture = new Picture();
  /** World time and round trip. */
  readonly clock = new WorldClock();
  /** Measurements of the own body's updates; {@link resetOwnMotion} starts them again. */
  readonly ownMotion: OwnMotion = { gapMsMax: 0, gapTicksMax: 0, updates: 0, sentGapMsMax: 0 };
  /**
   * Why the last connection was lost, for operators and tests: a code of the server or one of `closed`, `silent`,
   * `no_welcome`, `broken_picture`, `bad_bytes`.
   */
  lastLoss: string | undefined;
  /** Welcomes so far: every one after the first was a resume. */
  welcomes = 0;
  /** Bytes received on all connections. */
  bytesReceived = 0;
  /** How late frames arrive after their tick, ms: rises quickly and sinks slowly. */
  lateMs = 40;
  /** The last Welcome; undefined before the first. */
  welcome: Welcome | undefined;
  /** Who may come in as a new player, as the last refusal said: 0 everybody, 1 who has an invitation, 2 nobody. */
  newcomers = 0;
  /** A new player's invitation: the one that a person has typed last, or came by. */
  invitation: string;
  /** The own player; undefined before the first Welcome. */
  me: Me | undefined;
  /** The player's private state: the game's bytes. */
  own: Uint8Array = new Uint8Array();

  private readonly env: Environment;
  private readonly store: KeyStore;
  private readonly ring: EdgeRing;
  private readonly ledger = new Ledger();
  private readonly line = new Line();
  /** The life of the edge that welcomed last; 0: it has not said. */
  private life = 0n;
  /** Corrections on this connection. */
  private corrections = 0;
  /** Where the player was seen last, sealed by the server: after a crash of all nodes with the player it counts. */
  private place: Uint8Array = new Uint8Array();
  private current: ConnectionState = { kind: "idle" };
  private name: string | undefined;
  /** The recovery code that a person has typed, until it is welcome or refused. */
  private code: string | undefined;
  /** The id of the world behind the edges, as hexadecimal digits; undefined until it has answered. */
  private world: string | undefined;
  /** The key of the last Hello. */
  private used: Key | undefined;
  private socket: Socket | undefined;
  /** Grows with every socket: messages from older ones are ignored. */
  private generation = 0;
  private open = false;
  private retry: unknown;
  private deadline: unknown;
  private pulse: unknown;
  private heardAt = 0;
  /** When a ping asked whether the edge is still alive; undefined if something arrived since. */
  private askedAt: number | undefined;
  private pingAt = 0;
  private welcomedAt = 0;
  private moveSeq = 0;
  private statsWanted = false;
  /** What is watched, by key: asked for again after every welcome. */
  private readonly watches = new Map<string, { kind: number; id: bigint }>();
  private ownSent: { at: number; moving: boolean } | undefined;
  private ownSeen: { at: number; tick: number; moving: boolean } | undefined;

  constructor(private readonly options: ClientOptions) {
    super();
    this.env = options.environment ?? browserEnvironment();
    this.store = options.store ?? new MemoryStore();
    this.invitation = options.invitation ?? "";
    this.ring = new EdgeRing(options.edges, () => this.env.random());
  }

  /** What the connection is doing. */
  get state(): ConnectionState {
    return this.current;
  }

  /** The state as a short sentence for people. */
  get stateInWords(): string {
    return describeState(this.current, this.welcome !== undefined);
  }

  /** The edges it knows: the server's last list, and the one in use. */
  get edges(): readonly EdgeAddress[] {
    return this.ring.all;
  }

  /** Number of unanswered commands. */
  get unanswered(): number {
    return this.ledger.size;
  }

  /** Whether the line is slow: a round trip of a second and more. */
  get isSlow(): boolean {
    return this.line.isSlow;
  }

  /** World time now, ms. */
  get worldMs(): number {
    return this.clock.worldMs(this.env.now());
  }

  /** The own entity, if it is in the picture. */
  get ownEntity(): Entity | undefined {
    return this.me && this.picture.entities.get(this.me.key);
  }

  /**
   * Enters the world with the token in the store, or else as a new player called `name`. With neither, the state becomes
   * `name_needed`; then call this again with a name, and with an invitation if the world wants one ({@link newcomers}). While it
   * waits for its next attempt to connect, it tries at once.
   */
  connect(name?: string, invitation?: string): void {
    if (name !== undefined) this.name = name;
    if (invitation !== undefined) this.invitation = invitation;
    if (this.current.kind === "connecting" && this.retry !== undefined) return this.dial(this.current.lost);
    if (this.current.kind === "connected" || this.current.kind === "connecting") return;
    if (!this.store.load(this.world) && this.name === undefined) {
      this.become({ kind: "name_needed", refusal: undefined });
      return;
    }
    this.begin();
  }

  /**
   * Comes back with the {@link recoveryCode} that a person has written down, whatever is in the store. If the code is refused, the
   * state becomes `name_needed` with the refusal `bad_code`; then call this again, or {@link connect} with a name.
   */
  recover(code: string): void {
    if (this.current.kind === "connected" || this.current.kind === "connecting") return;
    this.code = code;
    this.begin();
  }

  /** Says hello on the connection that is there, or opens one. */
  private begin(): void {
    if (!this.open || this.current.kind !== "name_needed") return this.dial(undefined);
    this.become({ kind: "connecting", node: this.ring.current.node, attempt: 0, lost: undefined });
    this.hello();
  }

  /**
   * What to write down: it brings the player back once, with nothing else; then there is a new one. It is a secret. Empty: the server
   * has given none.
   */
  get recoveryCode(): string {
    return this.welcome?.recovery ?? "";
  }

  /** Logs out on purpose: the player leaves the world at once. The token is kept. */
  leave(): void {
    if (this.current.kind === "connected") this.transmit({ bye: {} });
    this.hangUp();
    this.ledger.end(new Refusal("left", "You left the world."));
    this.picture.clear();
    this.become({ kind: "idle" });
  }

  /**
   * Sends a command: the game's message as bytes. The promise resolves with the reply's bytes or rejects with a {@link
   * Refusal}. While the connection is down the command waits, and is sent once the session is resumed. If that takes longer
   * than ten seconds, it is refused with `expired` and was not done: ask whether it is still wanted.
   */
  command(payload: Uint8Array): Promise<Uint8Array> {
    if (this.current.kind === "ended") return Promise.reject(this.current.reason);
    const answer = this.ledger.add(payload, this.env.now());
    if (this.current.kind === "connected") this.transmitCommands(this.ledger.take());
    return answer;
  }

  /** Sends where the body wants to be. Call it once per tick while moving, and once on stopping. Returns its number. */
  move(to: Move): number {
    const seq = ++this.moveSeq;
    if (this.current.kind !== "connected") return seq;
    const now = this.env.now();
    if (this.ownSent?.moving) this.ownMotion.sentGapMsMax = Math.max(this.ownMotion.sentGapMsMax, now - this.ownSent.at);
    this.ownSent = { at: now, moving: to.speed > 0 };
    const turn = Math.round((to.heading / (Math.PI * 2)) * HEADINGS);
    this.transmit({
      move: {
        seq,
        x: Math.round(to.x),
        y: Math.round(to.y),
        heading: ((turn % HEADINGS) + HEADINGS) % HEADINGS,
        speed: Math.max(0, Math.min(127, Math.round(to.speed * 10))),
        corrections: this.corrections,
      },
    });
    return seq;
  }

  /**
   * Watches an entity, wherever it is: {@link ClientEvents.watched} tells how it looks now, and after each change. It stays so
   * across resumes, until that event brings a refusal or {@link unwatch} is called. A server lets a session watch 16 at a time.
   */
  watch(kind: number, id: bigint): void {
    const key = entityKey(kind, id);
    if (this.watches.has(key)) return;
    this.watches.set(key, { kind, id });
    if (this.current.kind === "connected") this.transmit({ watch: { kind, id } });
  }

  /** Watches an entity no more. */
  unwatch(kind: number, id: bigint): void {
    if (this.watches.delete(entityKey(kind, id)) && this.current.kind === "connected") this.transmit({ unwatch: { kind, id } });
  }

  /** Asks for the node's statistics, once per second (the x-ray view). */
  wantStats(on: boolean): void {
    this.statsWanted = on;
    if (this.current.kind === "connected") this.transmit({ statsWanted: { on } });
  }

  /** Starts measuring {@link ownMotion} again. */
  resetOwnMotion(): void {
    Object.assign(this.ownMotion, { gapMsMax: 0, gapTicksMax: 0, updates: 0, sentGapMsMax: 0 });
    this.ownSeen = undefined;
    this.ownSent = undefined;
  }

  private become(state: ConnectionState): void {
    this.current = state;
    this.emit("state", state);
  }

  // ---- the socket ----------------------------------------------------------------------------------------------

  private dial(lost: Refusal | undefined): void {
    this.hangUp();
    const edge = this.ring.current;
    const generation = ++this.generation;
    const current = () => generation === this.generation;
    this.become({ kind: "connecting", node: edge.node, attempt: this.ring.attempts, lost });
    const began = this.env.now();
    this.deadline = this.env.after(this.line.openingMs(this.ring.all.length, this.ring.rounds), () => {
      if (!current()) return;
      this.line.onOverdue();
      this.onLost("no_welcome");
    });
    try {
      this.socket = this.env.open(edge.url, {
        opened: () => {
          if (!current()) return;
          this.open = true;
          this.line.onOpened(this.env.now() - began);
          this.hello();
        },
        message: (bytes) => current() && this.onBytes(bytes),
        closed: () => current() && this.onClosed(),
      });
    } catch {
      // Not a URL the platform accepts: treat it as an edge that does not answer.
      this.onLost("no_welcome");
    }
  }

  private hangUp(): void {
    this.generation++;
    for (const timer of [this.retry, this.deadline, this.pulse]) if (timer !== undefined) this.env.cancel(timer);
    this.retry = this.deadline = this.pulse = undefined;
    this.socket?.close();
    this.socket = undefined;
    this.open = false;
  }

  private onClosed(): void {
    this.socket = undefined;
    this.open = false;
    // A person who is choosing a name needs no connection meanwhile.
    if (this.current.kind === "name_needed" || this.current.kind === "ended") this.hangUp();
    else this.onLost("closed");
  }

  /**
   * Goes on to another edge. `why`: the server's reason, or what is wrong as seen from here; `askedMs`: the wait the
   * server asked for.
   */
  private onLost(why: Refusal | string, askedMs?: number): void {
    const reason = why instanceof Refusal ? why : undefined;
    this.lastLoss = why instanceof Refusal ? why.code : why;
    if (this.current.kind === "connected") {
      if (this.env.now() - this.welcomedAt >= HELD_MS) this.ring.onHeld();
      if (!reason) this.ledger.countLoss(this.life);
    }
    this.hangUp();
    const wait = this.ring.onLost(askedMs);
    this.become({ kind: "connecting", node: this.ring.current.node, attempt: this.ring.attempts, lost: reason });
    this.retry = this.env.after(wait, () => this.dial(reason));
  }

  private transmit(message: MessageInitShape<typeof ClientMessageSchema>): void {
    if (!this.open) return;
    this.socket?.send(toBinary(ClientMessageSchema, create(ClientMessageSchema, message)));
  }

  private transmitCommands(commands: readonly Numbered[]): void {
    for (const batch of inMessages(commands)) this.transmit({ commands: batch });
  }

  private hello(): void {
    // From the store, not from memory: another tab may have replaced it.
    this.used = this.code === undefined ? this.store.load(this.world) : undefined;
    const client = this.options.client ?? "web";
    const who = this.who();
    const worldId = bytesOf(this.used ? this.used.world : this.world) ?? new Uint8Array();
    this.transmit({ hello: { protocol: PROTOCOL, client, worldId, ...who } });
    if (this.deadline !== undefined) this.env.cancel(this.deadline);
    const { generation } = this;
    this.deadline = this.env.after(WELCOME_MS, () => generation === this.generation && this.onLost("no_welcome"));
    this.heardAt = this.env.now();
    this.askedAt = undefined;
    this.beat();
  }

  private who(): { token: Uint8Array; place: Uint8Array } | { recovery: string } | { name: string; nonce: Uint8Array; invitation: string } {
    if (this.code !== undefined) return { recovery: this.code };
    return this.used ? { token: this.used.token, place: this.place } : { name: this.name ?? "", nonce: this.nonce(), invitation: this.invitation };
  }

  /** Identifies a new player until its Welcome arrives, however often it says hello, even after a reload. */
  private nonce(): Uint8Array {
    const kept = this.store.loadNonce();
    if (kept?.length === NONCE_BYTES) return kept;
    const nonce = this.env.secret(NONCE_BYTES);
    this.store.saveNonce(nonce);
    return nonce;
  }

  /** Checks the open connection: is a ping due, and is the edge still alive? */
  private beat(): void {
    if (this.pulse !== undefined) this.env.cancel(this.pulse);
    this.pulse = undefined;
    const connected = this.current.kind === "connected";
    // A person who is choosing a name has no deadline.
    if (!connected && this.current.kind !== "connecting") return;
    const now = this.env.now();
    if (connected) {
      this.picture.expire(now);
      const { brokenSince } = this.picture;
      if (brokenSince !== undefined && now - brokenSince > BROKEN_MS) return this.onLost("broken_picture");
    }
    if (now >= this.doubtAt) {
      // Count from the moment of asking: a page that slept must not mistake its own silence for the edge's.
      if (this.askedAt !== undefined) return this.onLost("silent");
      this.askedAt = now;
      this.ping(now);
    } else if (connected && now >= this.pingAt) {
      this.ping(now);
    }
    const due = connected ? Math.min(this.pingAt, this.doubtAt) : this.doubtAt;
    this.pulse = this.env.after(due - now, () => this.beat());
  }

  private get doubtAt(): number {
    return this.askedAt === undefined ? this.heardAt + SILENCE_MS : this.askedAt + this.line.answerMs(SILENCE_MS);
  }

  private ping(now: number): void {
    this.pingAt = now + PING_MS;
    this.transmit({ ping: { stamp: BigInt(Math.floor(now * 1_000)) } });
  }

  // ---- messages from the server -----------------------------------------------------------------------------------

  private onBytes(bytes: Uint8Array): void {
    const now = this.env.now();
    this.bytesReceived += bytes.length;
    this.heardAt = now;
    this.askedAt = undefined;
    let message: ServerMessage;
    try {
      message = fromBinary(ServerMessageSchema, bytes);
    } catch {
      return this.onLost("bad_bytes");
    }
    if (message.worldId.length > 0) this.world = hex(message.worldId);
    if (message.refused) this.newcomers = message.newcomers;
    if (message.refused) return this.onRefused(new Refusal(message.refused.code, message.refused.text));
    if (message.welcome) this.onWelcome(message.welcome, now);
    if (message.edges) this.onEdges(message.edges);
    if (message.pong) this.onPong(now, Number(message.pong.stamp) / 1_000, Number(message.pong.worldMs));
    if (message.place.length > 0) this.place = message.place;
    this.onPicture(message, now);
    if (message.own) this.emit("own", (this.own = message.own.payload));
    for (const reply of message.replies) {
      this.ledger.onReply(reply.seq, reply.payload, reply.refusal && new Refusal(reply.refusal.code, reply.refusal.text, reply.refusal.retryMs));
    }
    if (message.replies.length > 0) this.transmitCommands(this.ledger.take());
    if (message.correction) {
      this.corrections++;
      this.emit("correction", message.correction);
    }
    if (message.notice) this.onNotice(message.notice);
    for (const watched of message.watched) this.onWatched(watched);
    for (const told of message.told) this.emit("told", told.payload);
    if (message.stats) this.emit("stats", message.stats);
    if (message.closing) this.onClosing(message.closing);
  }

  private onPong(now: number, sentAt: number, worldMs: number): void {
    this.clock.onPong(now, sentAt, worldMs);
    if (this.line.onPong(now - sentAt)) this.emit("slow", this.line.isSlow);
  }

  private onWelcome(welcome: Welcome, now: number): void {
    if (this.deadline !== undefined) this.env.cancel(this.deadline);
    this.deadline = undefined;
    const id = welcome.player?.id ?? 0n;
    const kind = welcome.player?.kind ?? 0;
    const resumed = this.me !== undefined && this.me.id === id && this.me.kind === kind;
    if (this.me && !resumed) this.ledger.end(new Refusal("bad_token", "This is another player now."));
    if (this.me && !resumed) this.place = new Uint8Array();
    [this.life, this.corrections] = [welcome.life, 0];
    this.welcomes++;
    this.store.save({ world: this.world ?? "", token: welcome.token });
    this.store.saveNonce(undefined);
    this.name = undefined;
    this.code = undefined;
    this.welcome = welcome;
    this.me = { kind, id, key: entityKey(kind, id) };
    this.own = welcome.own;
    this.clock.reset();
    this.clock.onWelcome(now, Number(welcome.worldMs));
    this.picture.chunkMm = welcome.chunkMm || this.picture.chunkMm;
    this.picture.tickMs = welcome.tickMs || this.picture.tickMs;
    this.picture.unitMm = welcome.motionUnitMm || this.picture.unitMm;
    this.welcomedAt = now;
    this.pingAt = now;
    if (welcome.edges) this.onEdges(welcome.edges, welcome.node);
    this.become({ kind: "connected", node: welcome.node });
    this.transmitCommands([...this.ledger.onWelcome(welcome.nextSeq, now), ...this.ledger.take()]);
    if (this.statsWanted) this.transmit({ statsWanted: { on: true } });
    for (const watch of this.watches.values()) this.transmit({ watch });
    this.beat();
    this.emit("welcome", welcome, { resumed });
    this.emit("own", welcome.own);
  }

  private onRefused(refusal: Refusal): void {
    if (this.deadline !== undefined) this.env.cancel(this.deadline);
    this.deadline = undefined;
    switch (refusal.code) {
      case "bad_protocol":
      case "bad_nonce":
      case "suspended":
        return this.end(refusal);
      case "unknown_world":
        // The key is good in its own world, and stays; there may be another for this one.
        return this.onBadKey(refusal, this.used !== undefined && this.used.world !== this.world);
      case "bad_token":
      case "no_player":
        return this.onBadKey(refusal, false);
      default:
        // An existing player has nothing to change: this server, or another, will be ready soon.
        if (refusal.code === "not_ready" || this.used) return this.onLost(refusal, NOT_READY_MS);
        // Nothing is wrong with the name of somebody who was not invited.
        if (!INVITING.includes(refusal.code)) this.name = undefined;
        this.code = undefined;
        this.become({ kind: "name_needed", refusal });
    }
  }

  /** The world does not know this player: tries another key for it if there is one, or else asks for a name. */
  private onBadKey(refusal: Refusal, keeps: boolean): void {
    const { used } = this;
    if (used && !keeps) this.store.forget(used);
    if (!keeps) this.store.saveNonce(undefined);
    // Another tab may have been given a newer one.
    const other = this.store.load(this.world);
    if (used && other && !same(other.token, used.token)) return this.hello();
    this.ledger.end(refusal);
    this.picture.clear();
    this.me = undefined;
    this.used = undefined;
    this.place = new Uint8Array();
    this.become({ kind: "name_needed", refusal });
  }

  private onClosing(closing: Closing): void {
    const reason = new Refusal(closing.code, closing.text);
    if (this.current.kind === "name_needed") return this.hangUp();
    if (closing.retryMs > 0) this.onLost(reason, closing.retryMs);
    else this.end(reason);
  }

  private end(reason: Refusal): void {
    this.hangUp();
    this.ledger.end(reason);
    this.become({ kind: "ended", reason });
  }

  private onNotice(notice: Notice): void {
    this.ledger.suspect(notice.suspects);
    if (notice.text) this.emit("notice", notice);
  }

  /** What was under way when an entity was watched no more is not for the game. */
  private onWatched(watched: WatchedMessage): void {
    const { kind, id } = watched.entity ?? { kind: 0, id: 0n };
    const key = entityKey(kind, id);
    if (!this.watches.has(key)) return;
    const refusal = watched.refusal && new Refusal(watched.refusal.code, watched.refusal.text);
    if (refusal) this.watches.delete(key);
    this.emit("watched", { kind, id, key, public: watched.public, refusal, gone: watched.gone });
  }

  private onEdges(edges: Edges, node?: number): void {
    const from = this.ring.cameBy.url;
    const urlOf = this.options.edgeUrl ?? edgeUrl;
    const named = edges.edges.map((edge) => ({ node: edge.node, url: urlOf(edge, from) ?? "" }));
    this.ring.replace(named.filter((edge) => edge.url !== ""), node);
    this.emit("edges", this.ring.all);
  }

  private onPicture(message: ServerMessage, now: number): void {
    this.picture.onMessage(message, now);
    if (message.frames.length === 0) return;
    // The first frames after a Welcome are keyframes, and their ticks may be long past.
    let newest = 0;
    for (const frame of message.frames) if (!frame.keyframe && frame.tick > newest) newest = frame.tick;
    if (newest > 0) {
      const late = Math.min(Math.max(this.clock.worldMs(now) - newest * this.picture.tickMs, 0), 1_000);
      this.lateMs = late > this.lateMs ? this.lateMs + (late - this.lateMs) * 0.25 : this.lateMs + (late - this.lateMs) * 0.01;
    }
    this.measureOwn(now);
    this.emit("frames");
  }

  private measureOwn(now: number): void {
    const entity = this.ownEntity;
    if (!entity || entity.tick === this.ownSeen?.tick) return;
    const { ownSeen, ownMotion } = this;
    if (ownSeen?.moving) {
      ownMotion.gapMsMax = Math.max(ownMotion.gapMsMax, now - ownSeen.at);
      ownMotion.gapTicksMax = Math.max(ownMotion.gapTicksMax, entity.tick - ownSeen.tick);
    }
    ownMotion.updates++;
    this.ownSeen = { at: now, tick: entity.tick, moving: entity.body.speed > 0 };
  }
}
