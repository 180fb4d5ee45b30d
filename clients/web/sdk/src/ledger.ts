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

/** Bytes of commands in one message: below the 16 KiB that a server takes. */
const BATCH_BYTES = 15 * 1024;

interface Entry {
  readonly payload: Uint8Array;
  /** Connections and nodes that were lost while it was unanswered. */
  lost: number;
  resolve(reply: Uint8Array): void;
  reject(refusal: Refusal): void;
}

/** A command to send. */
export interface Numbered {
  readonly seq: bigint;
  readonly payload: Uint8Array;
  /** Connections and nodes that were lost while it was unanswered. */
  readonly lost: number;
}

/** Commands in groups, each small enough for one message. */
export function batches(commands: readonly Numbered[]): Numbered[][] {
  const groups: Numbered[][] = [];
  let room = 0;
  for (const { seq, payload, lost } of commands) {
    // Its numbers and tags take less than 32 bytes.
    const bytes = payload.length + 32;
    if (bytes > room) {
      groups.push([]);
      room = BATCH_BYTES;
    }
    groups.at(-1)?.push({ seq, payload, lost });
    room -= bytes;
  }
  return groups;
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

  /** Adds a command. The promise settles with the first answer. */
  add(payload: Uint8Array): Promise<Uint8Array> {
    if (this.waiting.length >= WAITING_MAX) {
      return Promise.reject(new Refusal("too_many_commands", "Too much at once. Wait a moment."));
    }
    return new Promise((resolve, reject) => this.waiting.push({ payload, lost: 0, resolve, reject }));
  }

  /** The session was resumed and the server expects `nextSeq`: returns what to resend, in order. */
  onWelcome(nextSeq: bigint): Numbered[] {
    if (nextSeq > this.next) this.next = nextSeq;
    const again = [...this.unanswered].map(([seq, { payload, lost }]) => ({ seq, payload, lost }));
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
      taken.push({ seq, payload: entry.payload, lost: 0 });
    }
    return taken;
  }

  /**
   * The connection ended without a `Closing`, perhaps together with its node, and perhaps because of one of these
   * commands. The edge passes them on in order; one that is already suspected goes alone.
   */
  countLoss(): void {
    const entries = [...this.unanswered.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
    const first = entries.findIndex((entry) => entry.lost > 0);
    for (const entry of entries.slice(0, first < 0 ? undefined : Math.max(first, 1))) entry.lost++;
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
