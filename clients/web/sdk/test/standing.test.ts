import assert from "node:assert/strict";
import { test } from "node:test";
import { LONG_MS, QUIET_MS, standing } from "../src/standing.js";
import type { ConnectionState } from "../src/state.js";
import { Refusal } from "../src/refusal.js";

const connecting = (code?: string): ConnectionState => ({ kind: "connecting", node: 1, attempt: 3, lost: code === undefined ? undefined : new Refusal(code, "So it is.") });
const ended = (code: string): ConnectionState => ({ kind: "ended", reason: new Refusal(code, "So it is.") });

test("what is over soon is not shown", () => {
  for (const wasIn of [false, true]) assert.deepEqual(standing(connecting(), wasIn, QUIET_MS - 1), { isOld: false, trouble: undefined, text: "", help: "connect" });
  assert.equal(standing({ kind: "connected", node: 1 }, true, 0).isOld, false);
  assert.equal(standing({ kind: "name_needed", refusal: undefined }, false, LONG_MS).trouble, undefined);
});

test("who was in the world sees an old picture, and hears more only after long", () => {
  for (const [ms, trouble] of [[QUIET_MS, undefined], [LONG_MS - 1, undefined], [LONG_MS, "lost"]] as const) {
    const { isOld, trouble: seen } = standing(connecting(), true, ms);
    assert.deepEqual([isOld, seen], [true, trouble]);
  }
});

test("who waits outside is told why", () => {
  const seen = [undefined, "full", "stopping", "something_new"].map((code) => standing(connecting(code), false, QUIET_MS));
  assert.deepEqual(seen.map(({ trouble }) => trouble), ["unanswered", "full", "closed", "refused"]);
  assert.equal(seen[3]?.text, "So it is.");
});

test("each end has something that helps", () => {
  const seen = ["superseded", "suspended", "bad_protocol", "anything"].map((code) => standing(ended(code), true, 0));
  assert.deepEqual(seen.map(({ trouble, help }) => [trouble, help]), [["superseded", "connect"], ["suspended", "connect"], ["outdated", "reload"], ["ended", "connect"]]);
});
