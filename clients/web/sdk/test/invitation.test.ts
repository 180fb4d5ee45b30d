/** A world for people with an invitation. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { askEntry, Client, MemoryStore } from "../src/index.js";
import { FakeEnvironment } from "./fake.js";

const WELCOME = { welcome: { player: { kind: 1, id: 77n }, token: new Uint8Array([7]), nextSeq: 1n, node: 1 } };

test("the same hello is said with the invitation, until the welcome and not after it", () => {
  const env = new FakeEnvironment();
  const store = new MemoryStore();
  const client = new Client({ edges: ["ws://host:7600/ws"], environment: env, store });
  client.connect("Ada");
  env.socket.open();
  const first = env.socket.sent[0]?.hello;
  assert.deepEqual([first?.name, first?.invitation], ["Ada", ""]);
  env.socket.say({ refused: { code: "invitation_needed", text: "Ask for one." }, newcomers: 1 });
  assert.ok(client.state.kind === "name_needed" && client.state.refusal?.code === "invitation_needed");
  assert.equal(client.newcomers, 1);
  client.connect(undefined, "K7Q2M");
  const second = env.socket.sent.at(-1)?.hello;
  assert.deepEqual([second?.name, second?.invitation, second?.nonce], ["Ada", "K7Q2M", first?.nonce]);
  env.socket.drop();
  env.pass(200);
  env.socket.open();
  assert.equal(env.socket.sent[0]?.hello?.invitation, "K7Q2M");
  env.socket.say(WELCOME);
  env.socket.drop();
  env.pass(200);
  env.socket.open();
  const back = env.socket.sent[0]?.hello;
  assert.deepEqual([back?.token.length, back?.invitation], [1, ""]);
});

test("an invitation from the page's address is said at once", () => {
  const env = new FakeEnvironment();
  const client = new Client({ edges: ["ws://host:7600/ws"], environment: env, invitation: "K7Q2M" });
  client.connect("Ada");
  env.socket.open();
  assert.equal(env.socket.sent[0]?.hello?.invitation, "K7Q2M");
});

test("who may come in is told with the rules of names", async () => {
  const env = new FakeEnvironment();
  const asked = askEntry("ws://host/ws", env);
  env.socket.open();
  env.socket.say({ refused: { code: "name_wanted", text: "" }, names: { text: "Any." }, newcomers: 2 });
  const { names, newcomers } = await asked;
  assert.deepEqual([names?.text, newcomers], ["Any.", 2]);
});
