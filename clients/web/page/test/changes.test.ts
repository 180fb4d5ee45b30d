/** The x-ray view's lines about nodes and the own connection. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Emitter, type Client, type ClientEvents } from "@gundo/client";
import { Changes } from "../src/changes.js";

class FakeClient extends Emitter<ClientEvents> {
  lastLoss: string | undefined;
  tell<K extends keyof ClientEvents>(event: K, ...args: ClientEvents[K]): void {
    this.emit(event, ...args);
  }
}

function setUp() {
  const client = new FakeClient();
  const clock = { now: 0 };
  const changes = new Changes(client as unknown as Client, () => clock.now);
  const lines = () => changes.lines.map(({ text }) => text);
  return { client, clock, changes, lines };
}

const edge = (node: number) => ({ node, url: `ws://h:${node}` });
const connecting = (node: number) => ({ kind: "connecting", node, attempt: 1, lost: undefined }) as const;

test("where one plays on, why and how soon", () => {
  const { client, clock, lines } = setUp();
  client.tell("state", connecting(1));
  client.tell("state", { kind: "connected", node: 1 });
  clock.now = 1_000;
  client.lastLoss = "closed";
  client.tell("state", connecting(2));
  clock.now = 1_050;
  client.tell("state", connecting(3));
  client.tell("state", { kind: "connected", node: 3 });
  assert.deepEqual(lines(), ["node 1 → 3 in 50 ms (closed)"]);
});

test("nodes that come and go", () => {
  const { client, changes, lines } = setUp();
  client.tell("edges", [edge(2), edge(1), edge(3)]);
  assert.deepEqual([changes.nodes, lines()], [[1, 2, 3], []]);
  client.tell("edges", [edge(1), edge(3)]);
  client.tell("edges", [edge(1), edge(3), edge(4)]);
  assert.deepEqual(lines(), ["node 2 went", "node 4 came"]);
  for (let k = 0; k < 5; k++) {
    client.tell("edges", [edge(1)]);
    client.tell("edges", [edge(1), edge(2)]);
  }
  assert.equal(lines().length, 4);
});
