/**
 * The live local picture of everything the player sees, put together from frames.
 *
 * Every publisher (a node that owns entities in a chunk) publishes its part of each chunk as a numbered roster. The
 * picture keeps one {@link Board} per (publisher, chunk) and one {@link Entity} per entity, which may be on several
 * boards while it moves from one to another. Start reading at {@link Picture.onMessage}.
 */
import type { Enter, Frame, ServerMessage } from "./gen/client_pb.js";
import { Emitter } from "./emitter.js";
import { Track, type Body } from "./track.js";

/** How long an entity that left for another chunk is kept until it appears there, ms: two ticks and some network. */
const TRANSIT_MS = 400;
/** How long entities are kept after "forget every chunk" until the keyframes have arrived, ms. */
const RESYNC_MS = 2_000;
/**
 * How long entities are kept after their publisher said that nothing is left, ms: its node may be gone, and another is
 * about to publish them. Measured: takeovers end some 100 ms later, on a busy machine several hundred.
 */
const TAKEOVER_MS = 1_500;
/** Headings in a full turn on the wire. */
const HEADINGS = 128;

/** A square of the island. */
export interface ChunkRef {
  readonly island: number;
  readonly x: number;
  readonly y: number;
}

/** One entity in sight. */
export interface Entity {
  /** `kind/id`, unique; also the key in {@link Picture.entities}. */
  readonly key: string;
  /** The kind of entity: the game's number. */
  readonly kind: number;
  readonly id: bigint;
  /** The game's public state, as bytes. */
  readonly public: Uint8Array;
  /** Whether it has a body (land has none). */
  readonly hasBody: boolean;
  /** The newest body received, not interpolated. Use {@link Picture.bodyOf} to draw. */
  readonly body: Readonly<Body>;
  /** The node on which it is real. */
  readonly publisher: number;
  /** The term under which that node owns it. */
  readonly term: { readonly epoch: bigint; readonly count: number };
  /** The chunk it is listed in. */
  readonly chunk: ChunkRef;
  /** The tick of its newest update. */
  readonly tick: number;
  /** It has left its board and has not appeared on another yet. */
  readonly inTransit: boolean;
}

/** The events of a picture. */
export interface PictureEvents {
  /** Came into sight. */
  enter: [Entity];
  /** Its public state, or the node that owns it, changed. */
  change: [Entity];
  /** It left the sight. */
  leave: [Entity];
  /** It said or did something that leaves no trace in its state: the game's signal, as bytes. */
  signal: [Entity, Uint8Array];
}

/** One publisher's list of one chunk. */
interface Board {
  readonly publisher: number;
  readonly chunk: ChunkRef;
  roster: number;
  /** A roster part is missing: everything is ignored until a keyframe. */
  broken: boolean;
  slots: Map<number, Claim>;
}

/** An entity's entry on a board. */
interface Claim {
  readonly board: Board;
  readonly entity: Known;
  readonly epoch: bigint;
  readonly count: number;
  tick: number;
  public: Uint8Array;
  readonly hasBody: boolean;
  readonly body: Body;
}

class Known implements Entity {
  readonly claims: Claim[] = [];
  shown: Claim;
  shownPublic: Uint8Array;
  shownPublisher: number;
  announced = false;
  /**
   * The highest term seen. It is forgotten with everything else, because a restarted server may count from the start.
   */
  floor: Term | undefined;
  /** When it is removed, if it is on no board by then. */
  goesAt = 0;
  readonly track: Track;

  constructor(
    readonly key: string,
    readonly kind: number,
    readonly id: bigint,
    first: Claim,
    tickMs: number,
  ) {
    this.shown = first;
    this.shownPublic = first.public;
    this.shownPublisher = first.board.publisher;
    this.track = new Track(tickMs);
  }

  get public() {
    return this.shown.public;
  }
  get hasBody() {
    return this.shown.hasBody;
  }
  get body() {
    return this.shown.body;
  }
  get publisher() {
    return this.shown.board.publisher;
  }
  get term() {
    return { epoch: this.shown.epoch, count: this.shown.count };
  }
  get chunk() {
    return this.shown.board.chunk;
  }
  get tick() {
    return this.shown.tick;
  }
  get inTransit() {
    return this.claims.length === 0;
  }
}

/** The key of an entity in {@link Picture.entities}. */
export function entityKey(kind: number, id: bigint): string {
  return `${kind}/${id.toString(16)}`;
}

/** The key of a chunk, for maps. */
export function chunkKey(chunk: { island: number; x: number; y: number }): string {
  return `${chunk.island}/${chunk.x}/${chunk.y}`;
}

/** See the top of the file. */
export class Picture extends Emitter<PictureEvents> {
  /** Everything in sight, by {@link entityKey}. */
  readonly entities: ReadonlyMap<string, Entity>;
  /** Motion updates received, for statistics. Only grows. */
  updates = 0;
  /** Roster parts missed, for statistics. Only grows. */
  gaps = 0;
  /** Since when a board has been waiting for a keyframe, ms; undefined: none is. */
  brokenSince: number | undefined;
  /** Side of a chunk, mm (from Welcome). */
  chunkMm = 30_000;
  /** Length of a tick, ms (from Welcome). */
  tickMs = 100;
  /** Unit of positions in frames, mm (from Welcome). */
  unitMm = 10;

  private readonly known = new Map<string, Known>();
  /** By chunk, then by publisher. */
  private readonly boards = new Map<string, Map<number, Board>>();
  private touched = new Set<Known>();
  private transits = new Set<Known>();

  constructor() {
    super();
    this.entities = this.known;
  }

  /**
   * Applies one message at the local time `now`. It forgets chunks before it applies the frames, and an entity that
   * only changes boards within the message does not leave.
   */
  onMessage(message: ServerMessage, now: number): void {
    if (message.resync || message.welcome) this.forgetAll(now);
    for (const chunk of message.forget) this.forget(chunk);
    for (const frame of message.frames) this.onFrame(frame, now);
    this.settle(now);
    this.brokenSince = this.anyBroken() ? (this.brokenSince ?? now) : undefined;
  }

  /**
   * Removes entities that were in transit and never arrived. Call it from time to time, even when no messages arrive.
   */
  expire(now: number): void {
    for (const entity of this.transits) {
      if (entity.claims.length > 0) this.transits.delete(entity);
      else if (now >= entity.goesAt) this.remove(entity);
    }
  }

  /** Where to draw `entity` at world time `worldMs`, written into `out`; `lateMs` is how late frames arrive. */
  bodyOf(entity: Entity, worldMs: number, lateMs: number, out: Body): Body {
    return (entity as Known).track.at(worldMs, lateMs, out);
  }

  /** Empties the picture at once. */
  clear(): void {
    this.boards.clear();
    for (const entity of [...this.known.values()]) {
      entity.claims.length = 0;
      this.remove(entity);
    }
    this.touched.clear();
  }

  private anyBroken(): boolean {
    for (const board of this.boards.values()) for (const b of board.values()) if (b.broken) return true;
    return false;
  }

  private forgetAll(now: number): void {
    for (const byPublisher of this.boards.values()) {
      for (const board of byPublisher.values()) {
        for (const claim of board.slots.values()) this.withdraw(claim, now + RESYNC_MS);
      }
    }
    this.boards.clear();
    for (const entity of this.known.values()) entity.floor = undefined;
  }

  private forget(chunk: { island: number; x: number; y: number }): void {
    const key = chunkKey(chunk);
    for (const board of this.boards.get(key)?.values() ?? []) {
      for (const claim of board.slots.values()) this.withdraw(claim, 0);
    }
    this.boards.delete(key);
  }

  private onFrame(frame: Frame, now: number): void {
    const board = this.board(frame);
    if (frame.keyframe) this.onKeyframe(board, frame, now);
    else if (frame.roster > 0) this.onRoster(board, frame, now);
    if (frame.slot.length > 0) this.onMotion(board, frame);
  }

  private board(frame: Frame): Board {
    const chunk = { island: frame.island, x: frame.cx, y: frame.cy };
    const key = chunkKey(chunk);
    let byPublisher = this.boards.get(key);
    if (!byPublisher) this.boards.set(key, (byPublisher = new Map()));
    let board = byPublisher.get(frame.publisher);
    if (!board) {
      board = { publisher: frame.publisher, chunk, roster: 0, broken: false, slots: new Map() };
      byPublisher.set(frame.publisher, board);
    }
    return board;
  }

  private onKeyframe(board: Board, frame: Frame, now: number): void {
    const before = board.slots;
    board.slots = new Map();
    board.roster = frame.roster;
    board.broken = false;
    const goesAt = frame.enter.length === 0 ? now + TAKEOVER_MS : 0;
    for (const claim of before.values()) this.withdraw(claim, goesAt);
    for (const enter of frame.enter) this.onEnter(board, frame.tick, enter);
    this.onChangesAndSignals(board, frame);
  }

  private onRoster(board: Board, frame: Frame, now: number): void {
    const news = frame.enter.length + frame.change.length + frame.leave.length + frame.signal.length > 0;
    // A number without news is the reminder that every publisher repeats once per second.
    const expected = news ? board.roster + 1 : board.roster;
    if (board.broken || frame.roster < expected) return;
    if (frame.roster > expected) {
      board.broken = true;
      this.gaps++;
      return;
    }
    board.roster = frame.roster;
    // Leaves first: the same part may give the slot to another entity.
    for (const leave of frame.leave) {
      const claim = board.slots.get(leave.slot);
      if (!claim) continue;
      board.slots.delete(leave.slot);
      this.withdraw(claim, leave.to ? now + TRANSIT_MS : 0);
    }
    for (const enter of frame.enter) this.onEnter(board, frame.tick, enter);
    this.onChangesAndSignals(board, frame);
  }

  private onEnter(board: Board, tick: number, enter: Enter): void {
    const key = entityKey(enter.kind, enter.id);
    const body = { x: 0, y: 0, heading: 0, speed: 0 };
    if (enter.hasBody) this.readBody(board, enter.x, enter.y, enter.heading, enter.speed, body);
    const rest = { board, epoch: enter.epoch, count: enter.count, tick, public: enter.public, hasBody: enter.hasBody, body };
    const known = this.known.get(key);
    const claim = { ...rest, entity: known } as Claim;
    const entity = known ?? new Known(key, enter.kind, enter.id, claim, this.tickMs);
    (claim as { entity: Known }).entity = entity;
    const before = board.slots.get(enter.slot);
    if (before) this.withdraw(before, 0);
    board.slots.set(enter.slot, claim);
    entity.claims.push(claim);
    if (!known) this.known.set(key, entity);
    this.choose(entity);
    if (entity.shown === claim && claim.hasBody) this.track(claim);
    this.touched.add(entity);
  }

  private onChangesAndSignals(board: Board, frame: Frame): void {
    for (const change of frame.change) {
      const claim = board.slots.get(change.slot);
      if (!claim) continue;
      claim.public = change.public;
      claim.tick = Math.max(claim.tick, frame.tick);
      this.choose(claim.entity);
      this.touched.add(claim.entity);
    }
    for (const signal of frame.signal) {
      const claim = board.slots.get(signal.slot);
      // Also of a node that has lost the entity meanwhile: what it did there happened, and is said once.
      const entity = claim && this.known.get(claim.entity.key);
      if (!entity) continue;
      // Announce an entity that entered within this message before its signals.
      this.announce(entity);
      this.emit("signal", entity, signal.payload);
    }
  }

  private onMotion(board: Board, frame: Frame): void {
    this.updates += frame.slot.length;
    if (board.broken) return;
    const { x, y, heading, speed } = frame;
    const count = Math.min(frame.slot.length, x.length, y.length, heading.length, speed.length);
    let slot = 0;
    for (let i = 0; i < count; i++) {
      slot += frame.slot[i]!;
      const claim = board.slots.get(slot);
      if (!claim || !claim.hasBody || frame.tick < claim.tick) continue;
      claim.tick = frame.tick;
      this.readBody(board, x[i]!, y[i]!, heading[i]!, speed[i]!, claim.body);
      if (claim.entity.shown !== claim) this.choose(claim.entity);
      if (claim.entity.shown === claim) this.track(claim);
    }
  }

  private readBody(board: Board, x: number, y: number, heading: number, speed: number, out: Body): void {
    out.x = board.chunk.x * this.chunkMm + x * this.unitMm;
    out.y = board.chunk.y * this.chunkMm + y * this.unitMm;
    out.heading = ((heading % HEADINGS) / HEADINGS) * Math.PI * 2;
    out.speed = speed / 10;
  }

  private track({ entity, tick, body }: Claim): void {
    entity.track.push(tick * this.tickMs, body.x, body.y, body.heading, body.speed);
  }

  /** Shows the entry of an entity with the highest (term, tick); entries of a lower term are stale for good. */
  private choose(entity: Known): void {
    let best = entity.claims[0];
    if (!best) return;
    for (const claim of entity.claims) if (newer(claim, best)) best = claim;
    if (!entity.floor || compareTerms(best, entity.floor) >= 0) {
      entity.floor = best;
      entity.shown = best;
    }
    const { claims, floor } = entity;
    for (let i = claims.length - 1; i >= 0; i--) if (compareTerms(claims[i]!, floor) < 0) claims.splice(i, 1);
  }

  /** Removes an entry. If it was the last, the entity goes at `goesAt` (0: with this message). */
  private withdraw(claim: Claim, goesAt: number): void {
    const { entity } = claim;
    const at = entity.claims.indexOf(claim);
    if (at >= 0) entity.claims.splice(at, 1);
    entity.goesAt = goesAt;
    this.choose(entity);
    this.touched.add(entity);
  }

  private settle(now: number): void {
    for (const entity of this.touched) {
      if (entity.claims.length > 0) {
        this.transits.delete(entity);
        if (!this.announce(entity)) this.announceChange(entity);
      } else if (entity.goesAt > now && entity.announced) this.transits.add(entity);
      else this.remove(entity);
    }
    this.touched.clear();
    this.expire(now);
  }

  private announce(entity: Known): boolean {
    if (entity.announced) return false;
    entity.announced = true;
    entity.shownPublic = entity.public;
    entity.shownPublisher = entity.publisher;
    this.emit("enter", entity);
    return true;
  }

  private announceChange(entity: Known): void {
    if (entity.shownPublisher === entity.publisher && sameBytes(entity.shownPublic, entity.public)) return;
    entity.shownPublic = entity.public;
    entity.shownPublisher = entity.publisher;
    this.emit("change", entity);
  }

  private remove(entity: Known): void {
    this.transits.delete(entity);
    // A stale entry may still point here after the entity came again.
    if (this.known.get(entity.key) !== entity) return;
    this.known.delete(entity.key);
    if (entity.announced) this.emit("leave", entity);
  }
}

interface Term {
  readonly epoch: bigint;
  readonly count: number;
}

function compareTerms(a: Term, b: Term): number {
  if (a.epoch !== b.epoch) return a.epoch > b.epoch ? 1 : -1;
  return a.count - b.count;
}

function newer(a: Claim, b: Claim): boolean {
  return (compareTerms(a, b) || a.tick - b.tick) > 0;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && a.every((byte, i) => byte === b[i]));
}
