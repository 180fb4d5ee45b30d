import assert from "node:assert/strict";
import { test } from "node:test";
import { Item } from "../src/gen/pioneer_pb.js";
import { guide } from "../src/guide.js";

const new_ = { walkedMm: 0, bag: [], reaches: false, built: false };

test("the line follows what one does, and leaves", () => {
  const lines = [
    guide(new_, false),
    guide({ ...new_, walkedMm: 9_000 }, false),
    guide({ ...new_, walkedMm: 9_000, reaches: true }, false),
    guide({ ...new_, bag: [Item.STONE] }, false),
    guide({ ...new_, bag: [Item.WOOD, Item.STONE] }, false),
    guide({ ...new_, bag: [Item.PLANK] }, false),
    guide({ ...new_, bag: [Item.PLANK], built: true }, false),
  ];
  assert.deepEqual(
    lines.map((line) => line?.split(/[ ,]/).slice(0, 2).join(" ")),
    ["Walk with", "Walk up", "E gathers", "A tree", "C crafts:", "B builds:", undefined],
  );
});

test("fingers have buttons and no keys", () => {
  assert.match(guide(new_, true) ?? "", /stick/);
  assert.match(guide({ ...new_, bag: [Item.WOOD] }, true) ?? "", /^“Craft” crafts/);
});
