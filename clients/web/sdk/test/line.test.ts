/** Slow lines: everybody with a round trip below four seconds plays, and hears that the line is slow. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, MemoryStore } from "../src/index.js";
import { FakeEnvironment, type FakeSocket } from "./fake.js";

const WELCOME = { player: { kind: 1, id: 7n }, token: new Uint8Array([1]), nextSeq: 1n, tickMs: 100, worldMs: 5n, node: 1, life: 7n };

/** A client on a line whose every answer takes `tripMs`, and whose sockets need two round trips to open. */
function onALine(edges: number, tripMs: number) {
  const env = new FakeEnvironment();
  const urls = [...Array(edges).keys()].map((n) => `ws://host:${7_600 + n}/ws`);
  const client = new Client({ edges: urls, environment: env, store: new MemoryStore() });
  const told: boolean[] = [];
  client.on("slow", (slow) => told.push(slow));
  const opened = new Map<FakeSocket, number>();
  const heard = new Map<FakeSocket, number>();
  client.connect("Ada");
  const pass = (ms: number) => {
    for (let passed = 0; passed < ms; passed += 10) {
      env.pass(10);
      const { socket, time } = env;
      if (socket.isClosed) continue;
      if (!opened.has(socket)) {
        opened.set(socket, time + 2 * tripMs);
        env.after(2 * tripMs, () => !socket.isClosed && socket.open());
      }
      const said = socket.sent.slice(heard.get(socket) ?? 0);
      heard.set(socket, socket.sent.length);
      for (const { hello, ping } of said) {
        const answer = hello ? { welcome: WELCOME } : ping ? { pong: { stamp: ping.stamp, worldMs: 5n } } : undefined;
        if (answer) env.after(tripMs, () => !socket.isClosed && socket.say(answer));
      }
    }
  };
  return { env, client, told, pass };
}

for (const [edges, tripMs, soonMs] of [[1, 2_200, 8_000], [1, 3_900, 13_000], [3, 2_200, 15_000], [3, 3_900, 32_000]] as const) {
  test(`a round trip of ${tripMs} ms with ${edges} edges: in, and it stays`, () => {
    const { client, told, pass } = onALine(edges, tripMs);
    pass(soonMs);
    assert.equal(client.state.kind, "connected");
    pass(60_000);
    assert.equal(client.welcomes, 1, "although nothing but pongs arrives");
    assert.deepEqual(told, [true]);
    assert.ok(client.isSlow);
  });
}

test("a quick line is left as quickly as ever, and nobody is told that it is slow", () => {
  const { env, client, told, pass } = onALine(3, 50);
  pass(20_000);
  assert.deepEqual([client.state.kind, told], ["connected", []]);
  const { socket } = env;
  socket.say({});
  env.pass(1_990);
  assert.ok(!socket.isClosed);
  env.pass(20);
  assert.ok(socket.isClosed, "a second to ask, a second to answer");
});

test("what the server seals is offered after a loss, and corrections are counted for each connection", () => {
  const { env, client, pass } = onALine(1, 50);
  pass(2_000);
  const move = () => {
    client.move({ x: 1, y: 2, heading: 0, speed: 0 });
    return env.socket.sent.at(-1)?.move?.corrections;
  };
  assert.equal(move(), 0);
  env.socket.say({ place: new Uint8Array([9, 9]), correction: { seq: 1, x: 0, y: 0, code: "too_fast" } });
  assert.equal(move(), 1);
  void client.command(new Uint8Array([1]));
  env.socket.drop();
  pass(2_000);
  const { hello } = env.socket.sent[0]!;
  assert.deepEqual([...hello!.place], [9, 9]);
  assert.equal(move(), 0, "on this connection");
  const again = env.socket.sent.flatMap((m) => m.commands);
  assert.deepEqual(again.map(({ lost, lostAt }) => [lost, lostAt]), [[0, [7n]]]);
});
