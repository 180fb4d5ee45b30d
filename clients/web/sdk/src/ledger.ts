/**
 * Commands on their way: which have no answer yet, which wait for room, which number comes next.
 *
 * A number is given to a command when it is first sent, and stays with it for ever: that, and the server's memory of its
 * last answers, makes sending it again safe.
 */
import { Refusal } from "./refusal.js";

/** Commands without an answer that the server accepts at a time. */
export const UNANSWERED_MAX = 32;
/** Commands waiting here for room. Beyond: refused with `too_many_commands`. */
export const WAITING_MAX = 256;

interface Entry {
  readonly payload: Uint8Array;
  /** Connections and nodes that were lost while a server may have had it decided. */
  lost: number;
  resolve(reply: Uint8Array): void;
  reject(refusal: Refusal): void;
}

/** A command to send. */
export interface Numbered {
  readonly seq: bigint;
  readonly payload: Uint8Array;
  readonly lost: number;
}

/** See the top of the file. */
export class Ledger {
  private next = 0n;
  private readonly unanswered = new Map<bigint, Entry>();
  private readonly waiting: Entry[] = [];

  /** Commands without an answer, those that wait for room included. */
  get size(): number {
    return this.unanswered.size + this.waiting.length;
  }

  /** Takes a command in. The promise ends with the first answer to it. */
  add(payload: Uint8Array): Promise<Uint8Array> {
    if (this.waiting.length >= WAITING_MAX) {
      return Promise.reject(new Refusal("too_many_commands", "Too much at once. Wait a moment."));
    }
    return new Promise((resolve, reject) => this.waiting.push({ payload, lost: 0, resolve, reject }));
  }

  /** The session was resumed and the server expects `nextSeq`: what to send again, in order. */
  onWelcome(nextSeq: bigint): Numbered[] {
    if (nextSeq > this.next) this.next = nextSeq;
    return this.inOrder().map(([seq, { payload, lost }]) => ({ seq, payload, lost }));
  }

  /** Commands that may be sent now, numbered. */
  take(): Numbered[] {
    const taken: Numbered[] = [];
    while (this.unanswered.size < UNANSWERED_MAX) {
      const entry = this.waiting.shift();
      if (!entry) break;
      const seq = this.next++;
      this.unanswered.set(seq, entry);
      taken.push({ seq, payload: entry.payload, lost: entry.lost });
    }
    return taken;
  }

  /** An answer came. Any but the first to a number is dropped. */
  onReply(seq: bigint, payload: Uint8Array, refusal: Refusal | undefined): void {
    const entry = this.unanswered.get(seq);
    if (!entry) return;
    this.unanswered.delete(seq);
    if (refusal) entry.reject(refusal);
    else entry.resolve(payload);
  }

  /**
   * The connection went without a word, perhaps with its node, and perhaps by one of these commands. The server passes them on
   * in order; one that is suspected already goes alone.
   */
  onLost(): void {
    const entries = this.inOrder().map(([, entry]) => entry);
    const first = entries.findIndex((entry) => entry.lost > 0);
    const passed = first < 0 ? entries : entries.slice(0, Math.max(first, 1));
    for (const entry of passed) entry.lost++;
  }

  /** The server lost a node over these commands. */
  onSuspects(seqs: readonly bigint[]): void {
    for (const seq of seqs) {
      const entry = this.unanswered.get(seq);
      if (entry) entry.lost++;
    }
  }

  private inOrder(): [bigint, Entry][] {
    return [...this.unanswered].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** The session is over: every command is refused, and numbers begin anew. */
  end(refusal: Refusal): void {
    const all = [...this.unanswered.values(), ...this.waiting];
    this.unanswered.clear();
    this.waiting.length = 0;
    this.next = 0n;
    for (const entry of all) entry.reject(refusal);
  }
}
