/** Two axes are two things; wood is wood. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Item } from "../src/gen/pioneer_pb.js";
import { amount, isSame, keyOf, sorts, wordsOf } from "../src/things.js";

const axe = (id: bigint) => ({ item: Item.AXE, count: 1, id });
const wood = (count: number) => ({ item: Item.WOOD, count, id: 0n });

test("unique things are told apart, and other goods are not", () => {
  const bag = [wood(20), wood(5), axe(0x3f2a_07c5_119e_8d40n), axe(0x1fn)];
  assert.deepEqual(sorts(bag), [wood(25), axe(0x3f2a_07c5_119e_8d40n), axe(0x1fn)]);
  assert.equal(amount({ item: Item.WOOD, count: 1 }, bag), 25);
  assert.equal(amount(axe(0x1fn), bag), 1);
  assert.ok(isSame(wood(1), { item: Item.WOOD, count: 7 }) && !isSame(axe(1n), axe(2n)) && !isSame(undefined, undefined));
  assert.equal(new Set(sorts(bag).map(keyOf)).size, 3);
});

test("a unique thing is called by the first digits of its id", () => {
  assert.equal(wordsOf("axe", axe(0x3f2a_07c5_119e_8d40n)), "axe #3f2a");
  assert.equal(wordsOf("axe", axe(0x1fn)), "axe #0000");
  assert.equal(wordsOf("wood", wood(3)), "3 wood");
});

test("things from before have no id, and are counted", () => {
  assert.deepEqual(sorts([axe(0n), axe(0n)]), [{ item: Item.AXE, count: 2, id: 0n }]);
});
