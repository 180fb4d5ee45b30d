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
  resolve(reply: Uint8Array): void;
  reject(refusal: Refusal): void;
}

/** A command to send. */
export interface Numbered {
  readonly seq: bigint;
  readonly payload: Uint8Array;
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
    return new Promise((resolve, reject) => this.waiting.push({ payload, resolve, reject }));
  }

  /** The session was resumed and the server expects `nextSeq`: what to send again, in order. */
  onWelcome(nextSeq: bigint): Numbered[] {
    if (nextSeq > this.next) this.next = nextSeq;
    const again = [...this.unanswered].map(([seq, { payload }]) => ({ seq, payload }));
    return again.sort((a, b) => (a.seq < b.seq ? -1 : 1));
  }

  /** Commands that may be sent now, numbered. */
  take(): Numbered[] {
    const taken: Numbered[] = [];
    while (this.unanswered.size < UNANSWERED_MAX) {
      const entry = this.waiting.shift();
      if (!entry) break;
      const seq = this.next++;
      this.unanswered.set(seq, entry);
      taken.push({ seq, payload: entry.payload });
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

  /** The session is over: every command is refused, and numbers begin anew. */
  end(refusal: Refusal): void {
    const all = [...this.unanswered.values(), ...this.waiting];
    this.unanswered.clear();
    this.waiting.length = 0;
    this.next = 0n;
    for (const entry of all) entry.reject(refusal);
  }
}
