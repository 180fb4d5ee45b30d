/**
 * A world without a network: time moves when the test says so, and the test opens, feeds and breaks sockets by hand.
 */
import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import type { Environment, Socket, SocketEvents } from "../src/environment.js";
import { ClientMessageSchema, ServerMessageSchema, type ClientMessage } from "../src/gen/client_pb.js";

/** One connection as the server's side sees it. */
export class FakeSocket implements Socket {
  readonly sent: ClientMessage[] = [];
  isClosed = false;

  constructor(
    readonly url: string,
    private readonly events: SocketEvents,
  ) {}

  send(bytes: Uint8Array): void {
    this.sent.push(fromBinary(ClientMessageSchema, bytes));
  }

  close(): void {
    this.isClosed = true;
  }

  /** The handshake succeeded. */
  open(): void {
    this.events.opened();
  }

  /** The server sends a message. */
  say(message: MessageInitShape<typeof ServerMessageSchema>): void {
    this.events.message(toBinary(ServerMessageSchema, create(ServerMessageSchema, message)));
  }

  /** Bytes that may not decode. */
  raw(bytes: Uint8Array): void {
    this.events.message(bytes);
  }

  /** The connection is lost. */
  drop(): void {
    this.isClosed = true;
    this.events.closed();
  }

  /** Commands received, in order. */
  get commands(): { seq: bigint; text: string }[] {
    return this.sent.flatMap((m) => m.commands.map(({ seq, payload }) => ({ seq, text: new TextDecoder().decode(payload) })));
  }
}

/** See the top of the file. */
export class FakeEnvironment implements Environment {
  time = 1_000;
  /** What `random` returns: by default the longest waits, and of several edges the last. */
  luck = 1 - Number.EPSILON;
  /** Secrets drawn so far; each is made from its number. */
  secrets = 0;
  readonly sockets: FakeSocket[] = [];
  private timers: { at: number; callback: () => void }[] = [];

  now(): number {
    return this.time;
  }

  after(ms: number, callback: () => void): unknown {
    const timer = { at: this.time + ms, callback };
    this.timers.push(timer);
    return timer;
  }

  cancel(timer: unknown): void {
    this.timers = this.timers.filter((t) => t !== timer);
  }

  random(): number {
    return this.luck;
  }

  secret(length: number): Uint8Array {
    return new Uint8Array(length).fill(++this.secrets);
  }

  open(url: string, events: SocketEvents): Socket {
    const socket = new FakeSocket(url, events);
    this.sockets.push(socket);
    return socket;
  }

  /** Lets time pass, and fires timers in order. */
  pass(ms: number): void {
    const until = this.time + ms;
    for (;;) {
      const due = this.timers.filter((t) => t.at <= until).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.cancel(due);
      this.time = Math.max(this.time, due.at);
      due.callback();
    }
    this.time = until;
  }

  /** The newest socket. */
  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("no socket was opened");
    return socket;
  }
}
