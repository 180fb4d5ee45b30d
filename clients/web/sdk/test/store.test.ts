/** Keys of players: kept by world, never thrown away for another's sake, and not lost with the browser's storage. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, LocalStore, type TextStorage } from "../src/index.js";
import { FakeEnvironment } from "./fake.js";

const bytes = (text: string) => new TextEncoder().encode(text);
const HERE = new Uint8Array(16).fill(0xaa);
const THERE = new Uint8Array(16).fill(0xbb);
const hex = (b: Uint8Array) => Buffer.from(b).toString("hex");

/** The browser's storage, as the test breaks it. */
class FakeStorage implements TextStorage {
  readonly entries = new Map<string, string>();
  broken: "forbidden" | "full" | undefined;

  getItem(name: string): string | null {
    if (this.broken === "forbidden") throw new Error("forbidden");
    return this.entries.get(name) ?? null;
  }

  setItem(name: string, value: string): void {
    if (this.broken) throw new Error(this.broken);
    this.entries.set(name, value);
  }

  removeItem(name: string): void {
    if (this.broken === "forbidden") throw new Error("forbidden");
    this.entries.delete(name);
  }
}

function visit(storage: FakeStorage) {
  const env = new FakeEnvironment();
  const store = new LocalStore("k", storage);
  const client = new Client({ edges: ["ws://host:7600/ws"], environment: env, store });
  return { env, store, client };
}

const welcome = (worldId: Uint8Array, token: string) => ({
  worldId,
  welcome: { player: { kind: 1, id: 77n }, token: bytes(token), nextSeq: 1n, node: 1 },
});
const refused = (worldId: Uint8Array, code: string) => ({ worldId, refused: { code, text: "No." } });

test("a key belongs to its world, and the next hello names both", () => {
  const storage = new FakeStorage();
  const first = visit(storage);
  first.client.connect("Ada");
  first.env.socket.open();
  assert.equal(first.env.socket.sent[0]?.hello?.worldId.length, 0, "any world will do");
  first.env.socket.say(welcome(HERE, "t1"));
  assert.deepEqual(first.store.load(), { world: hex(HERE), token: bytes("t1") });
  assert.equal(first.store.lasts, true);
  const second = visit(storage);
  second.client.connect();
  second.env.socket.open();
  const hello = second.env.socket.sent[0]?.hello;
  assert.deepEqual([hello?.worldId, hello?.token], [HERE, bytes("t1")]);
});

test("another world behind the same address: the key stays, and is used again when its world is back", () => {
  const storage = new FakeStorage();
  new LocalStore("k", storage).save({ world: hex(HERE), token: bytes("t1") });
  const wrong = visit(storage);
  wrong.client.connect();
  wrong.env.socket.open();
  wrong.env.socket.say(refused(THERE, "unknown_world"));
  assert.equal(wrong.client.state.kind, "name_needed");
  wrong.client.connect("Ada");
  const hello = wrong.env.socket.sent.at(-1)?.hello;
  assert.deepEqual([hello?.name, hello?.worldId, hello?.token.length], ["Ada", THERE, 0]);
  wrong.env.socket.say(welcome(THERE, "other"));
  // The right server again: the address first gets the key played with last, and then that of its own world.
  const right = visit(storage);
  right.client.connect();
  right.env.socket.open();
  assert.deepEqual(right.env.socket.sent.at(-1)?.hello?.token, bytes("other"));
  right.env.socket.say(refused(HERE, "unknown_world"));
  assert.deepEqual(right.env.socket.sent.at(-1)?.hello?.token, bytes("t1"));
  right.env.socket.say(welcome(HERE, "t2"));
  assert.equal(right.client.state.kind, "connected");
  assert.deepEqual(right.store.load(hex(THERE))?.token, bytes("other"), "both are kept");
});

test("a refused old key does not delete the newer one of another tab", () => {
  const storage = new FakeStorage();
  const { env, client, store } = visit(storage);
  store.save({ world: hex(HERE), token: bytes("old") });
  client.connect();
  env.socket.open();
  new LocalStore("k", storage).save({ world: hex(HERE), token: bytes("newer") });
  env.socket.say(refused(HERE, "bad_token"));
  assert.deepEqual(env.socket.sent.at(-1)?.hello?.token, bytes("newer"), "it is tried at once");
  env.socket.say(refused(HERE, "bad_token"));
  assert.equal(client.state.kind, "name_needed");
  assert.equal(store.load(hex(HERE)), undefined, "that one is of no use either");
});

test("storage that is cleared in mid-visit is written again; the one of before is not believed for ever", () => {
  const storage = new FakeStorage();
  const { env, client, store } = visit(storage);
  client.connect("Ada");
  env.socket.open();
  env.socket.say(welcome(HERE, "t1"));
  storage.entries.clear();
  env.socket.drop();
  env.pass(200);
  env.socket.open();
  assert.deepEqual(env.socket.sent[0]?.hello?.token, bytes("t1"), "memory has it");
  assert.equal(storage.entries.get(`k.${hex(HERE)}`), hex(bytes("t1")), "and gave it back to the browser");
  store.forget({ world: hex(HERE), token: bytes("t1") });
  assert.equal(store.load(), undefined);
});

for (const broken of ["forbidden", "full"] as const) {
  test(`storage that is ${broken}: the visit goes on, and says that it will not last`, () => {
    const storage = new FakeStorage();
    storage.broken = broken;
    const { env, client, store } = visit(storage);
    client.connect("Ada");
    env.socket.open();
    env.socket.say(welcome(HERE, "t1"));
    assert.equal(store.lasts, false);
    env.socket.drop();
    env.pass(200);
    env.socket.open();
    assert.deepEqual(env.socket.sent[0]?.hello?.token, bytes("t1"));
    storage.broken = undefined;
    env.socket.say(welcome(HERE, "t2"));
    assert.equal(store.lasts, true, "there is room again");
  });
}

test("the key of an earlier version is used once and then kept by its world", () => {
  const storage = new FakeStorage();
  storage.entries.set("k", hex(bytes("t1")));
  const { env, client } = visit(storage);
  client.connect();
  env.socket.open();
  const hello = env.socket.sent[0]?.hello;
  assert.deepEqual([hello?.token, hello?.worldId.length], [bytes("t1"), 0]);
  env.socket.say(welcome(HERE, "t2"));
  assert.deepEqual([...storage.entries.keys()].sort(), [`k.${hex(HERE)}`, "k.world"].sort());
});
