/**
 * Commands in flight: which are unanswered, which wait to be sent, which number comes next.
 *
 * A command gets its number when it is first sent, and keeps it forever. That, and the server's memory of its last
 * answers, makes resending safe.
 */
import { Refusal } from "./refusal.js";

/** Unanswered commands that the server accepts at a time. */
export const UNANSWERED_MAX = 32;
/** Commands that may wait here. Beyond: refused with `too_many_commands`. */
export const WAITING_MAX = 256;

/** A command that is older when the session goes on after a loss is not begun any more, ms: it is refused with `expired`. */
export const AGE_MS_MAX = 10_000;
/** Bytes of commands in one message: a server takes at least a third more. */
const MESSAGE_BYTES_MAX = 12 * 1_024;
/** Edges that are named for one command: more than two that are lost make no difference. */
const LIVES_MAX = 8;

interface Entry {
  readonly payload: Uint8Array;
  /** When it was asked for, ms. */
  readonly at: number;
  /** Nodes that were lost while it was unanswered. */
  lost: number;
  /** Lives of edges whose connections were lost meanwhile: the next edge knows whether they live. */
  lostAt: bigint[];
  resolve(reply: Uint8Array): void;
  reject(refusal: Refusal): void;
}

/** A command to send. */
export interface Numbered {
  readonly seq: bigint;
  readonly payload: Uint8Array;
  /** Nodes that were lost while it was unanswered. */
  readonly lost: number;
  /** Lives of edges whose connections were lost meanwhile. */
  readonly lostAt: bigint[];
  /** The server is only to say what became of it. */
  readonly asks: boolean;
}

/** Commands in messages that no server refuses for their size. */
export function* inMessages(commands: readonly Numbered[]): Generator<Numbered[]> {
  let [batch, bytes]: [Numbered[], number] = [[], 0];
  for (const command of commands) {
    const size = command.payload.length + 32 + 10 * command.lostAt.length;
    if (batch.length > 0 && bytes + size > MESSAGE_BYTES_MAX) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(command);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** See the top of the file. */
export class Ledger {
  private next = 0n;
  private readonly unanswered = new Map<bigint, Entry>();
  private readonly waiting: Entry[] = [];

  /** Number of unanswered commands, including those that wait. */
  get size(): number {
    return this.unanswered.size + this.waiting.length;
  }

  /** Adds a command, asked for at `now`. The promise settles with the first answer. */
  add(payload: Uint8Array, now: number): Promise<Uint8Array> {
    if (this.waiting.length >= WAITING_MAX) {
      return Promise.reject(new Refusal("too_many_commands", "Too much at once. Wait a moment."));
    }
    return new Promise((resolve, reject) => this.waiting.push({ payload, at: now, lost: 0, lostAt: [], resolve, reject }));
  }

  /**
   * The session was resumed and the server expects `nextSeq`: returns what to resend, in order. Commands that are too old
   * by now are not begun: those that were never sent are refused, of the others the server only says what became of them.
   */
  onWelcome(nextSeq: bigint, now: number): Numbered[] {
    if (nextSeq > this.next) this.next = nextSeq;
    const old = ({ at }: Entry) => now - at > AGE_MS_MAX;
    while (this.waiting[0] && old(this.waiting[0])) {
      const text = "The connection was down for a while. This was not done.";
      this.waiting.shift()!.reject(new Refusal("expired", text));
    }
    const again = [...this.unanswered].map(([seq, entry]) => {
      const { payload, lost, lostAt } = entry;
      return { seq, payload, lost, lostAt, asks: old(entry) };
    });
    return again.sort((a, b) => (a.seq < b.seq ? -1 : 1));
  }

  /** Takes the commands that may be sent now, with their numbers. */
  take(): Numbered[] {
    const taken: Numbered[] = [];
    while (this.unanswered.size < UNANSWERED_MAX) {
      const entry = this.waiting.shift();
      if (!entry) break;
      const seq = this.next++;
      this.unanswered.set(seq, entry);
      taken.push({ seq, payload: entry.payload, lost: 0, lostAt: [], asks: false });
    }
    return taken;
  }

  /**
   * The connection ended without a `Closing`, perhaps together with its node, and perhaps because of one of these
   * commands. The edge passes them on in order; one that is already suspected goes alone. `life`: which edge it was; 0: of
   * an earlier version, which does not say.
   */
  countLoss(life: bigint): void {
    const entries = [...this.unanswered.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
    const first = entries.findIndex((entry) => entry.lost > 0 || entry.lostAt.length > 0);
    for (const entry of entries.slice(0, first < 0 ? undefined : Math.max(first, 1))) {
      if (life === 0n) entry.lost++;
      else if (!entry.lostAt.includes(life)) entry.lostAt = [...entry.lostAt, life].slice(-LIVES_MAX);
    }
  }

  /** A node was lost over these commands. */
  suspect(seqs: readonly bigint[]): void {
    for (const seq of seqs) {
      const entry = this.unanswered.get(seq);
      if (entry) entry.lost++;
    }
  }

  /** An answer arrived. Only the first for a number counts. */
  onReply(seq: bigint, payload: Uint8Array, refusal: Refusal | undefined): void {
    const entry = this.unanswered.get(seq);
    if (!entry) return;
    this.unanswered.delete(seq);
    if (refusal) entry.reject(refusal);
    else entry.resolve(payload);
  }

  /** The session is over: refuses every command and starts numbering again. */
  end(refusal: Refusal): void {
    const all = [...this.unanswered.values(), ...this.waiting];
    this.unanswered.clear();
    this.waiting.length = 0;
    this.next = 0n;
    for (const entry of all) entry.reject(refusal);
  }
}
