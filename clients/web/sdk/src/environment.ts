/** One WebSocket as the client sees it. `closed` is called exactly once, even if the connection never opened. */
export interface Socket {
  /** Sends one binary message. */
  send(bytes: Uint8Array): void;
  /** Ends the connection; `closed` may still follow. */
  close(): void;
}

/** The events of a socket. */
export interface SocketEvents {
  opened(): void;
  message(bytes: Uint8Array): void;
  closed(): void;
}

/**
 * Everything the client takes from outside: clock, timers, random numbers, secrets and sockets. Tests pass in their
 * own.
 */
export interface Environment {
  /** Milliseconds that never run backwards. */
  now(): number;
  /** Calls `callback` after `ms`; returns what `cancel` takes. */
  after(ms: number, callback: () => void): unknown;
  /** Cancels a timer. */
  cancel(timer: unknown): void;
  /** A random number in [0, 1). */
  random(): number;
  /** Bytes nobody can guess. */
  secret(length: number): Uint8Array;
  /** Opens a WebSocket to `url`. */
  open(url: string, events: SocketEvents): Socket;
}

/** The browser (or any runtime with the standard WebSocket). */
export function browserEnvironment(): Environment {
  return {
    now: () => performance.now(),
    after: (ms, callback) => setTimeout(callback, ms),
    cancel: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
    random: () => Math.random(),
    secret: (length) => crypto.getRandomValues(new Uint8Array(length)),
    open(url, events) {
      const socket = new WebSocket(url);
      socket.binaryType = "arraybuffer";
      socket.onopen = () => events.opened();
      socket.onmessage = (event) => {
        // The protocol has no text messages.
        if (event.data instanceof ArrayBuffer) events.message(new Uint8Array(event.data));
      };
      socket.onclose = () => events.closed();
      return { send: (bytes) => socket.send(bytes as Uint8Array<ArrayBuffer>), close: () => socket.close() };
    },
  };
}
