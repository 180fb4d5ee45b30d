/** The life of a connection, against a server played by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, MemoryStore, Refusal } from "../src/index.js";
import { FakeEnvironment } from "./fake.js";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (b: Uint8Array) => new TextDecoder().decode(b);

function welcome(over: { nextSeq?: bigint; node?: number; token?: Uint8Array } = {}) {
  const edges = { edges: [1, 2, 3].map((node) => ({ node, port: 7_599 + node })) };
  return {
    welcome: { player: { kind: 1, id: 77n }, token: bytes("t1"), nextSeq: 1n, tickMs: 100, worldMs: 50_000n, node: 1, edges, chunkMm: 30_000, motionUnitMm: 10, ...over },
  };
}

function setUp(token?: string) {
  const env = new FakeEnvironment();
  const store = new MemoryStore();
  if (token) store.save({ world: "", token: bytes(token) });
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
  assert.equal(text(store.load()?.token ?? bytes("")), "t1");
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
  // The page is reloaded: only the store is left.
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

test("a nonce that is not valid any more is replaced", () => {
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
  assert.equal(client.stateInWords, "Connection lost, trying node 3 …");
  const meanwhile = client.command(bytes("c"));
  env.pass(50);
  assert.equal(env.socket.url, "ws://host:7602/ws");
  env.socket.open();
  assert.equal(text(env.socket.sent[0]?.hello?.token ?? bytes("")), "t1");
  // The server has received command 2 already: it expects 3 next.
  env.socket.say(welcome({ token: bytes("t2"), nextSeq: 3n, node: 2 }));
  assert.equal(text(store.load()?.token ?? bytes("")), "t2");
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
  store.save({ world: "", token: bytes("of the other tab") });
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

test("a lost edge: every other one at once, then round and round with longer waits", () => {
  const { env, client } = joined();
  env.pass(1_000);
  env.socket.drop();
  const waits: number[] = [];
  const urls: string[] = [];
  let before = env.time;
  for (let k = 0; k < 18; k++) {
    const had = env.sockets.length;
    while (env.sockets.length === had) env.pass(5);
    waits.push(env.time - before);
    urls.push(env.socket.url);
    before = env.time;
    env.socket.drop();
  }
  assert.equal(client.state.kind, "connecting");
  for (const [k, wait] of waits.entries()) {
    const limit = k < 3 || k % 3 > 0 ? 55 : Math.min(200 * 2 ** (k / 3 - 1), 4_000) + 5;
    assert.ok(wait <= limit, `attempt ${k} waits ${wait} ms of ${limit}`);
    if (k >= 3 && k % 3 === 0) assert.ok(wait >= limit / 2 - 5, `attempt ${k} waits only ${wait} ms`);
  }
  for (let k = 0; k < 18; k += 3) assert.equal(new Set(urls.slice(k, k + 3)).size, 3, `attempts ${urls.slice(k, k + 3)}`);
});

test("asked to connect while it waits, it tries at once", () => {
  const { env, client } = joined();
  env.pass(1_000);
  for (let k = 0; k < 12; k++) {
    env.socket.drop();
    while (client.state.kind === "connecting" && env.sockets.length < k + 2) env.pass(5);
  }
  env.socket.drop();
  const had = env.sockets.length;
  client.connect();
  assert.equal(env.sockets.length, had + 1);
  client.connect();
  assert.equal(env.sockets.length, had + 1, "but not twice at the same time");
});

test("a round begins at a random edge, but never the lost one", () => {
  for (const [luck, port] of [[0, 7_601], [0.49, 7_601], [0.51, 7_602], [0.99, 7_602]] as const) {
    const { env } = joined();
    env.luck = luck;
    env.socket.drop();
    env.pass(50);
    assert.equal(env.socket.url, `ws://host:${port}/ws`);
  }
});

test("not ready yet: another edge a moment later", () => {
  const { env } = joined();
  env.socket.drop();
  env.pass(50);
  env.socket.open();
  env.socket.say({ refused: { code: "not_ready", text: "Soon." } });
  env.pass(290);
  assert.equal(env.sockets.length, 2);
  env.pass(20);
  assert.equal(env.sockets.length, 3);
});

test("moving: to another edge when told, however often, with what is unanswered", () => {
  const { env, client } = joined();
  for (let k = 0; k < 5; k++) {
    void client.command(bytes(String(k))).catch(() => undefined);
    env.pass(900);
    env.socket.say({});
    env.pass(200);
    const from = env.socket.url;
    env.socket.say({ closing: { code: "moving", text: "", retryMs: 3 } });
    assert.equal(client.lastLoss, "moving");
    env.pass(4);
    assert.equal(env.sockets.length, k + 2);
    assert.notEqual(env.socket.url, from);
    env.socket.open();
    env.socket.say(welcome({ node: 2 }));
    assert.equal(env.socket.commands.length, k + 1);
  }
});

test("a command that connections or nodes were lost over says so when it is sent again", () => {
  const { env, client } = joined();
  const notices: string[] = [];
  client.on("notice", (notice) => notices.push(notice.text));
  const lost = () => env.socket.sent.flatMap((m) => m.commands.map((c) => c.lost));
  const resume = () => {
    env.pass(1_000);
    env.socket.open();
    env.socket.say(welcome({ node: 2 }));
  };
  for (const text of ["a", "b", "c"]) void client.command(bytes(text)).catch(() => undefined);
  assert.deepEqual(lost(), [0, 0, 0]);
  env.socket.drop();
  resume();
  assert.deepEqual(lost(), [1, 1, 1], "any of them may have been it");
  env.socket.drop();
  resume();
  assert.deepEqual(lost(), [2, 1, 1], "the first was passed on alone");
  env.socket.say({ notice: { code: "", text: "", suspects: [2n, 9n] } });
  env.socket.say({ closing: { code: "moving", text: "", retryMs: 1 } });
  resume();
  assert.deepEqual(lost(), [2, 2, 1], "a client that is sent elsewhere suspects no command");
  assert.deepEqual(notices, [], "that was for the program only");
  env.socket.say({ notice: { code: "suspended", text: "Something is wrong.", suspects: [] } });
  assert.deepEqual(notices, ["Something is wrong."]);
});

test("a list without the edge in use leads away from it", () => {
  const { env, client } = joined();
  const list = (nodes: number[]) => ({ edges: { edges: nodes.map((node) => ({ node, port: 7_599 + node })) } });
  env.socket.say(list([2, 3]));
  assert.deepEqual(client.edges.map((edge) => edge.node), [2, 3, 1], "until another welcomes us it is the best there is");
  env.socket.drop();
  env.pass(50);
  assert.notEqual(env.socket.url, "ws://host:7600/ws");
  env.socket.open();
  env.socket.say(welcome({ node: 2 }));
  env.socket.say(list([2, 3]));
  assert.deepEqual(client.edges.map((edge) => edge.node), [2, 3, 1], "where it came by stays the last resort");
});

test("what the list of edges leaves empty is as the client came", () => {
  const listed = (from: string, edge: object) => {
    const env = new FakeEnvironment();
    const client = new Client({ edges: [from], environment: env });
    client.connect("Ada");
    env.socket.open();
    env.socket.say({ welcome: { ...welcome().welcome, edges: { edges: [{ node: 2, ...edge }] } } });
    return client.edges.map((each) => each.url);
  };
  for (const [from, edge, wanted] of [
    ["wss://host/ws", { path: "2" }, "wss://host/ws/2"],
    ["ws://host:7600/game/ws/1", { path: "2" }, "ws://host:7600/game/ws/2"],
    ["ws://host:7600/ws", { scheme: "wss", host: "b.example", port: 443, path: "/x/2" }, "wss://b.example/x/2"],
    ["wss://host/ws", { port: 8443 }, "wss://host:8443/ws"],
    ["ws://host/ws", { host: "::1", path: "2" }, "ws://[::1]/ws/2"],
  ] as const) {
    assert.deepEqual(listed(from, edge), [wanted, from], "and the way it came is the last resort");
  }
  assert.deepEqual(listed("ws://host/ws", { scheme: "quic", path: "2" }), ["ws://host/ws"], "what it does not speak is left out");
});

test("who came by the address of any node knows which one it lost", () => {
  const { env, client } = setUp();
  client.connect("Ada");
  env.socket.open();
  env.socket.say({ welcome: { ...welcome({ node: 2 }).welcome, edges: { edges: [1, 2].map((node) => ({ node, path: `${node}` })) } } });
  env.socket.drop();
  env.pass(50);
  assert.notEqual(env.socket.url, "ws://host:7600/ws/2");
});

test("an edge that lets in and drops again is not tried without end", () => {
  const { env } = joined();
  while (env.time < 11_000) {
    env.socket.drop();
    const had = env.sockets.length;
    while (env.sockets.length === had) env.pass(5);
    env.socket.open();
    env.socket.say(welcome());
  }
  assert.ok(env.sockets.length < 30, `${env.sockets.length} attempts in 10 s`);
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
  env.pass(1_990);
  assert.equal(env.sockets.length, 1);
  env.pass(70);
  assert.equal(env.sockets.length, 2);
  assert.equal(client.lastLoss, "silent");
});

test("a page that slept asks before it gives up", () => {
  const { env } = joined();
  env.time += 60_000;
  env.pass(1);
  assert.ok(env.socket.sent.at(-1)?.ping);
  env.pass(500);
  assert.equal(env.sockets.length, 1);
});

test("an edge that is silent, or does not even open, is left for another; one that is only slow is waited for", () => {
  const { env, client } = setUp("kept");
  client.connect();
  env.socket.open();
  env.pass(2_100);
  assert.equal(env.sockets.length, 2);
  assert.ok(env.sockets[0]?.isClosed);
  // Messages of the first socket are ignored now.
  env.sockets[0]?.say(welcome());
  assert.equal(client.state.kind, "connecting");
  env.pass(9_000);
  assert.equal(env.sockets.length, 2, "there is no other edge to try");
  env.pass(1_300);
  assert.equal(env.sockets.length, 3, "not even opened");
  env.socket.open();
  for (let k = 0; k < 9; k++) {
    env.pass(1_000);
    const stamp = env.socket.sent.at(-1)?.ping?.stamp;
    assert.ok(stamp, "asked whether it is there");
    env.socket.say({ pong: { stamp, worldMs: 1n } });
  }
  assert.equal(env.sockets.length, 3);
  env.pass(2_000);
  assert.equal(client.lastLoss, "no_welcome");
});

test("bytes that are no message end the connection, not the page", () => {
  const { env, client } = joined();
  env.socket.raw(Uint8Array.of(0xff, 0xff, 0xff));
  assert.equal(client.state.kind, "connecting");
});

test("moves carry growing numbers and wire units; statistics are asked for again after a resume", () => {
  const { env, client } = joined();
  client.move({ x: 1_000.4, y: -2_000, heading: -Math.PI / 2, speed: 4.7 });
  client.move({ x: 1_100, y: -2_000, heading: 0, speed: 99 });
  const moves = env.socket.sent.flatMap((m) => (m.move ? [m.move] : []));
  assert.deepEqual(moves.map(({ seq, x, y, heading, speed }) => [seq, x, y, heading, speed]), [[1, 1_000, -2_000, 96, 47], [2, 1_100, -2_000, 0, 127]]);
  client.wantStats(true);
  env.socket.drop();
  env.pass(200);
  env.socket.open();
  env.socket.say(welcome({ node: 2 }));
  assert.ok(env.socket.sent.some((m) => m.statsWanted?.on));
});

test("what is watched is asked for again after a resume, and a refusal ends it", () => {
  const { env, client } = joined();
  const seen: unknown[] = [];
  const text = (public_: Uint8Array | undefined) => public_ && new TextDecoder().decode(public_);
  client.on("watched", (w) => seen.push([w.kind, w.id, text(w.public), w.refusal?.code, w.gone]));
  client.on("told", (payload) => seen.push(text(payload)));
  const asked = () => env.socket.sent.flatMap((m) => (m.watch ? [m.watch.id] : []));
  for (const id of [5n, 6n, 6n, 7n]) client.watch(3, id);
  client.unwatch(3, 7n);
  client.unwatch(3, 7n);
  assert.deepEqual(asked(), [5n, 6n, 7n]);
  assert.deepEqual(env.socket.sent.flatMap((m) => (m.unwatch ? [m.unwatch.id] : [])), [7n]);
  const watched = (id: bigint, more: object) => ({ entity: { kind: 3, id }, ...more });
  env.socket.say({
    watched: [watched(5n, { public: bytes("a") }), watched(6n, {}), watched(7n, { public: bytes("late") })],
    told: [{ payload: bytes("psst") }],
  });
  env.socket.say({ watched: [watched(6n, { refusal: { code: "not_allowed", text: "No." }, gone: true })] });
  assert.deepEqual(seen, [[3, 5n, "a", undefined, false], [3, 6n, undefined, undefined, false], "psst", [3, 6n, undefined, "not_allowed", true]]);
  env.socket.drop();
  env.pass(200);
  env.socket.open();
  env.socket.say(welcome({ node: 2 }));
  assert.deepEqual(asked(), [5n]);
});
