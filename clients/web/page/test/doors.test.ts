import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConnectionState } from "@gundo/client";
import { LONG_MS, QUIET_MS, shown } from "../src/doors.js";

const connecting = (code?: string): ConnectionState => ({ kind: "connecting", node: 1, attempt: 3, lost: code === undefined ? undefined : ({ code, text: "So it is." } as never) });
const ended = (code: string): ConnectionState => ({ kind: "ended", reason: { code, text: "So it is." } as never });

test("what is over soon is not shown", () => {
  for (const ashore of [false, true]) assert.deepEqual(shown(connecting(), ashore, QUIET_MS - 1), { dim: false, card: undefined });
  assert.deepEqual(shown({ kind: "connected", node: 1 }, true, 0), { dim: false, card: undefined });
});

test("who was in the world sees it dim, and a card only after long", () => {
  assert.deepEqual(shown(connecting(), true, QUIET_MS), { dim: true, card: undefined });
  assert.deepEqual(shown(connecting(), true, LONG_MS - 1), { dim: true, card: undefined });
  assert.equal(shown(connecting(), true, LONG_MS).card?.button, "Try now");
});

test("who waits outside is told why", () => {
  const titles = [undefined, "full", "stopping", "something_new"].map((code) => shown(connecting(code), false, QUIET_MS).card?.title);
  assert.deepEqual(titles, ["Nobody answers", "The island is full", "One moment", "Not yet"]);
  assert.match(shown(connecting("something_new"), false, QUIET_MS).card?.words ?? "", /^So it is\./);
});

test("each end has one button that helps", () => {
  const does = ["superseded", "suspended", "bad_protocol", "anything"].map((code) => shown(ended(code), true, 0).card?.does);
  assert.deepEqual(does, ["try", "try", "reload", "try"]);
});
