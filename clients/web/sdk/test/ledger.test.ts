/** Commands in flight: which are suspected of having taken a node down. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { batches, Ledger } from "../src/ledger.js";

const PAYLOAD = new Uint8Array([1]);

/** A ledger with three commands in flight, and what it would resend. */
function three() {
  const ledger = new Ledger();
  ledger.onWelcome(1n);
  for (let n = 0; n < 3; n++) void ledger.add(PAYLOAD);
  assert.deepEqual(ledger.take().map(({ lost }) => lost), [0, 0, 0]);
  return { ledger, again: () => ledger.onWelcome(1n).map(({ lost }) => lost) };
}

test("a lost connection makes every command in flight suspect, and after that the first", () => {
  const { ledger, again } = three();
  ledger.countLoss();
  assert.deepEqual(again(), [1, 1, 1]);
  ledger.countLoss();
  assert.deepEqual(again(), [2, 1, 1]);
  ledger.onReply(1n, PAYLOAD, undefined);
  ledger.countLoss();
  assert.deepEqual(again(), [2, 1]);
});

test("what the server suspects counts too, and what it has not reached does not", () => {
  const { ledger, again } = three();
  ledger.suspect([2n, 9n]);
  assert.deepEqual(again(), [0, 1, 0]);
  ledger.countLoss();
  assert.deepEqual(again(), [1, 1, 0]);
});

test("what is resent fits into messages of 16 KiB, in order", () => {
  const commands = Array.from({ length: 32 }, (_, k) => ({ seq: BigInt(k), payload: new Uint8Array(k === 7 ? 4_096 : 1_000), lost: 1 }));
  const groups = batches(commands);
  assert.deepEqual(groups.flat(), commands);
  for (const group of groups) assert.ok(group.reduce((sum, { payload }) => sum + payload.length + 32, 0) <= 16 * 1024);
  assert.deepEqual(batches([]), []);
});
