/** Bodies between their samples. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Track, turn, type Body } from "../src/track.js";

const body = (): Body => ({ x: 0, y: 0, heading: 0, speed: 0 });

test("between two samples, and a moment beyond the last", () => {
  const track = new Track(100);
  track.push(1_000, 0, 0, 0, 2);
  track.push(1_100, 200, 0, 0, 2);
  assert.equal(track.sample(1_050, body()).x, 100);
  assert.equal(track.sample(900, body()).x, 0);
  assert.equal(track.sample(1_200, body()).x, 400);
  assert.equal(track.sample(9_000, body()).x, 700, "carried on for 250 ms, then it stands");
});

test("who stood and begins to move does not creep through the time it stood", () => {
  const track = new Track(100);
  track.push(1_000, 0, 0, 0, 0);
  track.push(9_000, 400, 0, 0, 4);
  assert.equal(track.sample(8_000, body()).x, 0);
  assert.equal(track.sample(8_950, body()).x, 200);
});

test("a jump is shown as one", () => {
  const track = new Track(100);
  track.push(1_000, 0, 0, 0, 1);
  track.push(1_100, 900_000, 0, 0, 1);
  assert.equal(track.sample(1_050, body()).x, 0);
  assert.equal(track.sample(1_100, body()).x, 900_000);
});

test("headings turn the shorter way", () => {
  assert.ok(Math.abs(turn(0.1, Math.PI * 2 - 0.1, 0.5)) < 1e-9);
  assert.ok(Math.abs(turn(3, -3, 0.5) - Math.PI) < 1e-9);
});

test("drawn at an even pace though samples come unevenly and the tier changes", () => {
  const track = new Track(100);
  const out = body();
  let x: number | undefined;
  let next = 0;
  for (let now = 0; now < 12_000; now += 16) {
    const step = now < 4_000 ? 100 : now < 8_000 ? 300 : 100;
    if (now >= next) {
      track.push(next, next * 3, 0, 0, 3);
      next += step;
    }
    track.at(now, 40, out);
    if (x !== undefined && now > 1_000) {
      const pace = (out.x - x) / 16;
      assert.ok(pace > 1.5 && pace < 4.5, `pace ${pace} m/s at ${now} ms`);
    }
    x = out.x;
  }
});
