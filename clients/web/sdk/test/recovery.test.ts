/** Coming back with a code that was written down, in a browser that knows nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, MemoryStore } from "../src/index.js";
import { FakeEnvironment } from "./fake.js";

const CODE = "K7Q2M-9XW4T-00000-00000-00000-00000-00ABC";

function setUp() {
  const env = new FakeEnvironment();
  const store = new MemoryStore();
  return { env, store, client: new Client({ edges: ["ws://host:7600/ws"], environment: env, store }) };
}

const welcome = (recovery: string) => ({ welcome: { player: { kind: 1, id: 77n }, token: new Uint8Array([7]), nextSeq: 1n, node: 1, recovery } });

test("the code is said instead of a key until the welcome, and a new one comes with that", () => {
  const { env, store, client } = setUp();
  client.connect();
  assert.equal(client.state.kind, "name_needed");
  client.recover(CODE);
  for (let time = 0; time < 2; time++) {
    env.socket.open();
    const hello = env.socket.sent[0]?.hello;
    assert.deepEqual([hello?.recovery, hello?.name, hello?.token.length, hello?.nonce.length], [CODE, "", 0, 0]);
    if (time === 0) env.socket.drop();
    env.pass(200);
  }
  env.socket.say(welcome("the next one"));
  assert.equal(client.recoveryCode, "the next one");
  assert.deepEqual(store.load()?.token, new Uint8Array([7]));
  env.socket.drop();
  env.pass(200);
  env.socket.open();
  assert.deepEqual([env.socket.sent[0]?.hello?.recovery, env.socket.sent[0]?.hello?.token.length], ["", 1]);
});

test("a code that is refused can be typed again, or a name", () => {
  const { env, client } = setUp();
  client.recover("K7Q2");
  env.socket.open();
  env.socket.say({ refused: { code: "bad_code", text: "Mistyped." } });
  assert.ok(client.state.kind === "name_needed" && client.state.refusal?.code === "bad_code");
  client.recover(CODE);
  assert.equal(env.socket.sent.at(-1)?.hello?.recovery, CODE);
  env.socket.say({ refused: { code: "bad_code", text: "Used already." } });
  client.connect("Ada");
  const hello = env.socket.sent.at(-1)?.hello;
  assert.deepEqual([hello?.recovery, hello?.name], ["", "Ada"]);
});
