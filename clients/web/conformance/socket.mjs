// A WebSocket as browsers have it, for Node.js before 22: the SDK's `Environment.open`.
import { createHash, randomBytes } from "node:crypto";
import { connect } from "node:net";

const CONTINUATION = 0, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

/** One frame (RFC 6455, section 5.2), masked as those of all clients are. */
function frame(opcode, payload) {
  const long = payload.length > 65_535, medium = !long && payload.length > 125;
  const head = Buffer.alloc(2 + (long ? 8 : medium ? 2 : 0) + 4);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (long ? 127 : medium ? 126 : payload.length);
  if (long) head.writeBigUInt64BE(BigInt(payload.length), 2);
  else if (medium) head.writeUInt16BE(payload.length, 2);
  const mask = randomBytes(4);
  mask.copy(head, head.length - 4);
  return Buffer.concat([head, payload.map((byte, k) => byte ^ mask[k & 3])]);
}

/** The first frame in `bytes`, or undefined if it is not complete. */
function parse(bytes) {
  if (bytes.length < 2) return undefined;
  let [length, start] = [bytes[1] & 127, 2];
  if (length === 126) start = 4;
  else if (length === 127) start = 10;
  if (bytes.length < start) return undefined;
  if (start === 4) length = bytes.readUInt16BE(2);
  else if (start === 10) length = Number(bytes.readBigUInt64BE(2));
  if (bytes.length < start + length) return undefined;
  return { last: bytes[0] >= 128, opcode: bytes[0] & 15, payload: bytes.subarray(start, start + length), end: start + length };
}

/** Opens a WebSocket to `url`; `events` are the SDK's `SocketEvents`. */
export function open(url, events) {
  const { protocol, hostname, port, pathname } = new URL(url);
  if (protocol !== "ws:") throw new TypeError(`${protocol} is not spoken here`);
  const key = randomBytes(16).toString("base64");
  const socket = connect(Number(port) || 80, hostname.replace(/^\[|\]$/g, ""), () => {
    const lines = [`GET ${pathname} HTTP/1.1`, `Host: ${hostname}:${port}`, "Upgrade: websocket", "Connection: Upgrade"];
    socket.write(`${[...lines, `Sec-WebSocket-Key: ${key}`, "Sec-WebSocket-Version: 13"].join("\r\n")}\r\n\r\n`);
  });
  socket.setNoDelay(true);
  let [isOpen, isOver, bytes, pieces] = [false, false, Buffer.alloc(0), []];

  const end = () => {
    socket.destroy();
    if (!isOver) events.closed();
    isOver = true;
  };
  const shake = () => {
    const at = bytes.indexOf("\r\n\r\n");
    if (at < 0) return;
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    const head = bytes.subarray(0, at).toString();
    if (!head.startsWith("HTTP/1.1 101") || !head.includes(accept)) return end();
    bytes = bytes.subarray(at + 4);
    isOpen = true;
    events.opened();
  };
  const take = ({ last, opcode, payload }) => {
    if (opcode === PING) socket.write(frame(PONG, payload));
    else if (opcode === CLOSE) {
      socket.write(frame(CLOSE, payload));
      end();
    } else if (opcode === BINARY || opcode === CONTINUATION) {
      pieces.push(payload);
      if (!last) return;
      const message = Buffer.concat(pieces);
      pieces = [];
      events.message(new Uint8Array(message));
    }
  };
  socket.on("data", (more) => {
    bytes = Buffer.concat([bytes, more]);
    if (!isOpen) shake();
    for (let next; isOpen && !isOver && (next = parse(bytes)); ) {
      bytes = bytes.subarray(next.end);
      take(next);
    }
  });
  socket.on("error", end).on("close", end);
  return {
    send: (message) => isOpen && socket.write(frame(BINARY, Buffer.from(message))),
    close() {
      isOver = true;
      if (isOpen) socket.write(frame(CLOSE, Buffer.from([3, 232])));
      socket.end();
      // An edge that hangs does not close its side.
      setTimeout(() => socket.destroy(), 1_000).unref();
    },
  };
}
