/** What was asked for while the connection was down is offered once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Again, WISHES_MAX } from "../src/again.js";

test("what expired is offered together, and done in order, once", () => {
  const shown: string[][] = [];
  const done: string[] = [];
  const again = new Again((whats) => shown.push([...whats]));
  for (const what of ["say “hello”", "craft an axe"]) again.offer(what, () => done.push(what));
  assert.deepEqual(shown, [["say “hello”"], ["say “hello”", "craft an axe"]]);
  assert.deepEqual(done, [], "nothing is done without asking");
  again.doNow();
  again.doNow();
  assert.deepEqual(done, ["say “hello”", "craft an axe"]);
  assert.deepEqual(shown.at(-1), []);
});

test("what is left is gone, and only so much is kept", () => {
  const done: number[] = [];
  const again = new Again(() => {});
  again.offer("something", () => done.push(-1));
  again.leave();
  for (let n = 0; n < WISHES_MAX + 5; n++) again.offer(String(n), () => done.push(n));
  again.doNow();
  assert.deepEqual([done.length, done[0]], [WISHES_MAX, 5]);
});

test("what is done again and expires again may be offered by whoever did it, not by itself", () => {
  let granted = 0;
  const again = new Again(() => {});
  again.offer("something", () => granted++);
  again.doNow();
  again.doNow();
  assert.equal(granted, 1);
});
