/** The ground and the paths over it, as the server reads them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Building, BuildingInfoSchema, TerrainSchema } from "../src/gen/pioneer_pb.js";
import { contains, crosses, distanceTo, overlaps, plan } from "../src/plans.js";
import { Biome, Terrain } from "../src/terrain.js";

/** A strip from sea to cliff, 10 units of height per metre, and forest in the south. */
function slope(): Terrain {
  const corners = 9;
  const height = Uint8Array.from({ length: corners * corners }, (_, k) => (k % corners) * 30);
  const wood = Uint8Array.from({ length: corners * corners }, (_, k) => (Math.floor(k / corners) > 4 ? 200 : 0));
  return new Terrain(create(TerrainSchema, { cellMm: 3_000, corners, height, wood, seaHeight: 64, beachHeight: 76, rockHeight: 168, cliffHeight: 214, forestWood: 128 }));
}

test("heights between corners are rounded down before they are compared", () => {
  const terrain = slope();
  assert.equal(terrain.biome(6_399, 1_000), Biome.Water);
  assert.equal(terrain.biome(6_400, 1_000), Biome.Beach);
  assert.equal(terrain.biome(7_599, 1_000), Biome.Beach);
  assert.equal(terrain.biome(7_600, 1_000), Biome.Grass);
  assert.equal(terrain.biome(9_000, 20_000), Biome.Forest);
  assert.equal(terrain.biome(16_800, 20_000), Biome.Rock);
  assert.equal(terrain.biome(21_400, 1_000), Biome.Cliff);
  for (const [x, y] of [[-1, 5], [5, -1], [24_000, 5], [5, 24_000]] as const) assert.equal(terrain.biome(x, y), Biome.Water);
});

test("ways end at water and cliff, also in between; the start is not asked", () => {
  const terrain = slope();
  assert.ok(terrain.isOpen(8_000, 1_000, 20_000, 1_000));
  assert.ok(!terrain.isOpen(8_000, 1_000, 6_000, 1_000));
  assert.ok(!terrain.isOpen(20_000, 1_000, 22_000, 1_000));
  assert.ok(terrain.isOpen(6_000, 1_000, 6_500, 1_000));
});

test("a description without its fields is an error, not a world", () => {
  assert.throws(() => new Terrain(create(TerrainSchema, { cellMm: 1_000, corners: 9 })), RangeError);
});

test("ways into, through and past a building", () => {
  const box = { x0: 0, y0: 0, x1: 100, y1: 50 };
  assert.ok(crosses(box, -10, 25, 110, 25), "through");
  assert.ok(crosses(box, -10, 25, 50, 25), "into");
  assert.ok(crosses(box, -10, 10, 20, -5), "over a corner");
  assert.ok(!crosses(box, -10, 10, 5, -20), "past a corner");
  assert.ok(!crosses(box, -10, -1, 110, -1), "along a side");
  assert.ok(!crosses(box, -10, 50, 110, 50), "on the far side");
  assert.ok(crosses(box, 50, 25, 50, 25), "standing inside");
  assert.ok(contains(box, 0, 0) && !contains(box, 100, 50));
  assert.equal(distanceTo(box, 103, 54), 5);
});

test("plans turn by quarters, and touching is not sharing", () => {
  const hut = create(BuildingInfoSchema, { building: Building.HUT, widthMm: 6_000, depthMm: 4_800 });
  assert.deepEqual(plan(hut, 10_000, 10_000, 0), { x0: 7_000, y0: 7_600, x1: 13_000, y1: 12_400 });
  assert.deepEqual(plan(hut, 10_000, 10_000, 3), { x0: 7_600, y0: 7_000, x1: 12_400, y1: 13_000 });
  assert.ok(!overlaps(plan(hut, 0, 0, 0), plan(hut, 6_000, 0, 0)));
  assert.ok(overlaps(plan(hut, 0, 0, 0), plan(hut, 5_990, 0, 0)));
});
