/** The life of a connection, told against a server played by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, MemoryStore, Refusal } from "../src/index.js";
import { FakeEnvironment } from "./fake.js";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (b: Uint8Array) => new TextDecoder().decode(b);

function welcome(over: { nextSeq?: bigint; node?: number; token?: Uint8Array } = {}) {
  const edges = { edges: [1, 2, 3].map((node) => ({ node, host: "", port: 7_599 + node })) };
  return {
    welcome: { player: { kind: 1, id: 77n }, token: bytes("t1"), nextSeq: 1n, tickMs: 100, worldMs: 50_000n, node: 1, edges, chunkMm: 30_000, motionUnitMm: 10, ...over },
  };
}

function setUp(token?: string) {
  const env = new FakeEnvironment();
  const store = new MemoryStore();
  if (token) store.save(bytes(token));
  const client = new Client({ edges: ["ws://host:7600/ws"], environment: env, store });
  const states: string[] = [];
  client.on("state", (state) => states.push(state.kind));
  return { env, store, client, states };
}

function joined() {
  const all = setUp();
  all.client.connect("Ada");
  all.env.socket.open();
  all.env.socket.say(welcome());
  return all;
}

test("a new player: name, welcome, token kept", () => {
  const { env, store, client, states } = setUp();
  client.connect();
  assert.deepEqual(states, ["name_needed"]);
  assert.equal(env.sockets.length, 0, "nobody connects to think about a name");
  client.connect("Ada");
  env.socket.open();
  const hello = env.socket.sent[0]?.hello;
  assert.equal(hello?.name, "Ada");
  assert.equal(hello?.protocol, 1);
  assert.equal(hello?.token.length, 0);
  env.socket.say(welcome());
  assert.deepEqual(client.state, { kind: "connected", node: 1 });
  assert.equal(client.stateInWords, "Connected to node 1");
  assert.equal(text(store.load() ?? bytes("")), "t1");
  assert.deepEqual(client.edges.map((e) => e.url), ["ws://host:7600/ws", "ws://host:7601/ws", "ws://host:7602/ws"]);
});

test("the first hello says the same nonce until the welcome is heard, also after a reload", () => {
  const { env, store, client } = setUp();
  const nonce = () => env.socket.sent[0]?.hello?.nonce;
  client.connect("Ada");
  env.socket.open();
  const first = nonce();
  assert.deepEqual(first, new Uint8Array(16).fill(1));
  env.socket.drop();
  env.pass(200);
  env.socket.open();
  assert.deepEqual(nonce(), first, "another connection");
  // The page is loaded anew: all that is left is the store.
  const reloaded = new Client({ edges: ["ws://host:7600/ws"], environment: env, store });
  reloaded.connect("Ada");
  env.socket.open();
  assert.deepEqual(nonce(), first, "another visit");
  env.socket.say(welcome());
  assert.equal(store.loadNonce(), undefined);
  env.socket.drop();
  env.pass(200);
  env.socket.open();
  assert.equal(nonce()?.length, 0, "the token says it now");
});

test("a nonce that is no key any more is drawn anew", () => {
  const { env, client } = setUp();
  client.connect("Ada");
  env.socket.open();
  env.socket.say({ refused: { code: "name_taken", text: "Taken." } });
  client.connect("Ida");
  assert.deepEqual(env.socket.sent.at(-1)?.hello?.nonce, new Uint8Array(16).fill(1), "nothing came of the first");
  env.socket.say({ refused: { code: "bad_token", text: "Used." } });
  client.connect("Ada");
  assert.deepEqual(env.socket.sent.at(-1)?.hello?.nonce, new Uint8Array(16).fill(2));
});

test("a name refused is asked for again on the same connection", () => {
  const { env, client } = setUp();
  client.connect("Bob");
  env.socket.open();
  env.socket.say({ refused: { code: "name_taken", text: "Somebody is called Bob already." } });
  assert.equal(client.state.kind, "name_needed");
  client.connect("Bobby");
  assert.equal(env.sockets.length, 1);
  assert.equal(env.socket.sent.at(-1)?.hello?.name, "Bobby");
  env.socket.say(welcome());
  assert.equal(client.state.kind, "connected");
});

test("the server gives up on a slow thinker; the next name opens a new connection", () => {
  const { env, client } = setUp();
  client.connect("Bob");
  env.socket.open();
  env.socket.say({ refused: { code: "name_taken", text: "Taken." } });
  env.socket.say({ closing: { code: "hello_timeout", text: "Too slow.", retryMs: 1_000 } });
  env.pass(60_000);
  assert.equal(client.state.kind, "name_needed");
  assert.equal(env.sockets.length, 1, "no reconnecting while the person thinks");
  client.connect("Bobby");
  assert.equal(env.sockets.length, 2);
});

test("commands are numbered, answered and refused", async () => {
  const { env, client } = joined();
  const first = client.command(bytes("a"));
  const second = client.command(bytes("b"));
  assert.deepEqual(env.socket.commands, [{ seq: 1n, text: "a" }, { seq: 2n, text: "b" }]);
  env.socket.say({ replies: [{ seq: 1n, payload: bytes("yes") }, { seq: 2n, refusal: { code: "too_far", text: "Step closer." } }] });
  assert.equal(text(await first), "yes");
  await assert.rejects(second, (error) => error instanceof Refusal && error.code === "too_far" && error.text === "Step closer.");
});

test("at most 32 commands are without an answer; the rest wait their turn", async () => {
  const { env, client } = joined();
  const all = Array.from({ length: 40 }, (_, k) => client.command(bytes(String(k))));
  assert.equal(env.socket.commands.length, 32);
  env.socket.say({ replies: Array.from({ length: 5 }, (_, k) => ({ seq: BigInt(k + 1), payload: bytes("ok") })) });
  assert.equal(env.socket.commands.length, 37);
  assert.deepEqual(env.socket.commands.at(-1), { seq: 37n, text: "36" });
  await Promise.all(all.slice(0, 5));
  assert.equal(client.unanswered, 35);
  all.slice(5).forEach((p) => p.catch(() => undefined));
  client.leave();
});

test("a lost connection resumes on the next edge and sends unanswered commands again, first answer counts", async () => {
  const { env, client, store } = joined();
  const answered = client.command(bytes("a"));
  const lost = client.command(bytes("b"));
  env.socket.say({ replies: [{ seq: 1n, payload: bytes("1") }] });
  assert.equal(text(await answered), "1");
  env.socket.drop();
  assert.equal(client.state.kind, "connecting");
  assert.equal(client.stateInWords, "Connection lost, trying node 2 …");
  const meanwhile = client.command(bytes("c"));
  env.pass(200);
  assert.equal(env.socket.url, "ws://host:7601/ws");
  env.socket.open();
  assert.equal(text(env.socket.sent[0]?.hello?.token ?? bytes("")), "t1");
  // The server has seen command 2 already: it expects 3 next.
  env.socket.say(welcome({ token: bytes("t2"), nextSeq: 3n, node: 2 }));
  assert.equal(text(store.load() ?? bytes("")), "t2");
  assert.deepEqual(env.socket.commands, [{ seq: 2n, text: "b" }, { seq: 3n, text: "c" }]);
  env.socket.say({ replies: [{ seq: 2n, payload: bytes("first") }, { seq: 2n, payload: bytes("second") }, { seq: 3n, payload: bytes("3") }] });
  assert.equal(text(await lost), "first");
  assert.equal(text(await meanwhile), "3");
});

test("commands the server never saw keep their numbers, and new ones go on after them", () => {
  const { env, client } = joined();
  for (const text of ["a", "b"]) void client.command(bytes(text)).catch(() => undefined);
  env.socket.drop();
  env.pass(200);
  env.socket.open();
  env.socket.say(welcome({ nextSeq: 1n, node: 2 }));
  void client.command(bytes("c")).catch(() => undefined);
  assert.deepEqual(env.socket.commands, [{ seq: 1n, text: "a" }, { seq: 2n, text: "b" }, { seq: 3n, text: "c" }]);
});

test("after a page reload the numbers go on where the server says", () => {
  const { env, client } = setUp("kept");
  client.connect();
  env.socket.open();
  assert.equal(text(env.socket.sent[0]?.hello?.token ?? bytes("")), "kept");
  env.socket.say(welcome({ nextSeq: 19n }));
  void client.command(bytes("x")).catch(() => undefined);
  assert.deepEqual(env.socket.commands, [{ seq: 19n, text: "x" }]);
});

test("taken over by another tab: no reconnecting by itself, and the token of the store on demand", () => {
  const { env, client, store } = joined();
  const open = client.command(bytes("x"));
  env.socket.say({ closing: { code: "superseded", text: "Taken over.", retryMs: 0 } });
  assert.equal(client.stateInWords, "Taken over by another tab");
  env.pass(600_000);
  assert.equal(env.sockets.length, 1);
  store.save(bytes("of the other tab"));
  client.connect();
  env.socket.open();
  assert.equal(text(env.socket.sent[0]?.hello?.token ?? bytes("")), "of the other tab");
  return assert.rejects(open, (error) => error instanceof Refusal && error.code === "superseded");
});

test("a token the world does not know leads to a new name, and open commands are refused", async () => {
  const { env, client, store } = joined();
  const open = client.command(bytes("x"));
  env.socket.drop();
  env.pass(200);
  env.socket.open();
  env.socket.say({ refused: { code: "bad_token", text: "Unknown." } });
  assert.equal(client.state.kind, "name_needed");
  assert.equal(store.load(), undefined);
  await assert.rejects(open, (error) => error instanceof Refusal && error.code === "bad_token");
});

test("not ready yet: the next edge, then round and round with longer waits", () => {
  const { env, client } = joined();
  env.socket.drop();
  const waits: number[] = [];
  let before = env.time;
  for (let k = 0; k < 12; k++) {
    const had = env.sockets.length;
    while (env.sockets.length === had) env.pass(10);
    waits.push(env.time - before);
    before = env.time;
    if (k === 0) {
      env.socket.open();
      env.socket.say({ refused: { code: "not_ready", text: "Soon." } });
    } else env.socket.drop();
  }
  assert.equal(client.state.kind, "connecting");
  assert.ok(waits[0]! <= 110 && waits[1]! <= 310, `first waits ${waits}`);
  assert.ok(waits.at(-1)! > waits[2]! && Math.max(...waits) <= 4_010, `waits ${waits}`);
  assert.deepEqual(new Set(env.sockets.map((s) => s.url)).size, 3);
});

test("stopping with a time to wait: it waits that long, then resumes", () => {
  const { env, client } = joined();
  env.socket.say({ closing: { code: "stopping", text: "Back soon.", retryMs: 1_000 } });
  env.pass(990);
  assert.equal(env.sockets.length, 1);
  env.pass(20);
  assert.equal(env.sockets.length, 2);
  assert.equal(client.state.kind, "connecting");
});

test("silence ends a connection, pongs keep it", () => {
  const { env, client } = joined();
  for (let k = 0; k < 10; k++) {
    env.pass(1_000);
    const stamp = env.socket.sent.at(-1)?.ping?.stamp ?? 0n;
    env.socket.say({ pong: { stamp, worldMs: BigInt(50_000 + (k + 1) * 1_000) } });
  }
  assert.equal(env.sockets.length, 1);
  assert.equal(client.clock.rttMs, 0);
  assert.ok(Math.abs(client.worldMs - 60_000) < 50);
  env.pass(6_000);
  assert.equal(env.sockets.length, 2);
});

test("an edge that never welcomes is left for the next", () => {
  const { env, client } = setUp("kept");
  client.connect();
  env.socket.open();
  env.pass(5_200);
  assert.equal(env.sockets.length, 2);
  assert.ok(env.sockets[0]?.isClosed);
  // What the first says now is not heard.
  env.sockets[0]?.say(welcome());
  assert.equal(client.state.kind, "connecting");
});

test("bytes that are no message end the connection, not the page", () => {
  const { env, client } = joined();
  env.socket.raw(Uint8Array.of(0xff, 0xff, 0xff));
  assert.equal(client.state.kind, "connecting");
});

test("moves carry growing numbers and wire units; watching is asked for again after a resume", () => {
  const { env, client } = joined();
  client.move({ x: 1_000.4, y: -2_000, heading: -Math.PI / 2, speed: 4.7 });
  client.move({ x: 1_100, y: -2_000, heading: 0, speed: 99 });
  const moves = env.socket.sent.flatMap((m) => (m.move ? [m.move] : []));
  assert.deepEqual(moves.map(({ seq, x, y, heading, speed }) => [seq, x, y, heading, speed]), [[1, 1_000, -2_000, 96, 47], [2, 1_100, -2_000, 0, 127]]);
  client.watch(true);
  env.socket.drop();
  env.pass(200);
  env.socket.open();
  env.socket.say(welcome({ node: 2 }));
  assert.ok(env.socket.sent.some((m) => m.watch?.stats));
});
