/** The own body over a lost connection: it goes on from where it was, and the server hears the way that got lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client } from "../src/client.js";
import { Walker } from "../src/walker.js";

/** A walker in a world without obstacles, and the moves that it sends. */
function walking() {
  const handlers = new Map<string, (...args: never[]) => void>();
  const moves: { x: number; y: number }[] = [];
  const client = {
    on: (name: string, handler: (...args: never[]) => void) => handlers.set(name, handler),
    state: { kind: "connected" },
    picture: { tickMs: 100 },
    move: (to: { x: number; y: number }) => moves.push({ x: to.x, y: to.y }),
  };
  const walker = new Walker(client as unknown as Client, { speedMm: 4_000, isOpen: () => true });
  const tell = (name: string, ...args: unknown[]) => handlers.get(name)!(...(args as never[]));
  const welcome = (x: number, y: number, resumed: boolean) => tell("welcome", { x, y, heading: 0 }, { resumed });
  return { walker, moves, welcome, correct: (x: number, y: number) => tell("correction", { x, y }) };
}

function walk(walker: Walker, from: number, ms: number): number {
  for (let t = from; t < from + ms; t += 20) walker.step(t, 20, 1, 0);
  return from + ms;
}

test("what the server has not heard of is sent again, and the body stays where it is", () => {
  const { walker, moves, welcome } = walking();
  welcome(0, 0, false);
  walk(walker, 1_000, 2_000);
  const [at, sent] = [walker.x, moves.splice(0)];
  const heard = sent[10]!;
  welcome(heard.x, heard.y, true);
  assert.deepEqual(moves, sent.slice(11));
  assert.equal(walker.x, at);
});

test("from a place where it has not been a moment ago the body starts again", () => {
  const { walker, moves, welcome, correct } = walking();
  welcome(0, 0, false);
  let now = walk(walker, 1_000, 1_000);
  moves.length = 0;
  welcome(500_000, 7, true);
  assert.deepEqual([walker.x, walker.y, moves.length], [500_000, 7, 0]);
  now = walk(walker, now, 10_000);
  moves.length = 0;
  welcome(500_000, 7, true);
  assert.deepEqual([walker.x, moves.length], [500_000, 0], "that was long ago");
  walk(walker, now, 1_000);
  const before = moves.splice(0)[3]!;
  correct(before.x, before.y);
  welcome(before.x, before.y, true);
  assert.deepEqual(moves, [], "a correction makes void what was sent before");
});
