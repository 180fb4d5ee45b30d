/** Commands in flight: which are suspected of having taken a node down. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AGE_MS_MAX, inMessages, Ledger } from "../src/ledger.js";

const PAYLOAD = new Uint8Array([1]);

/** A ledger with three commands in flight, and what it would resend. */
function three() {
  const ledger = new Ledger();
  ledger.onWelcome(1n, 0);
  for (let n = 0; n < 3; n++) void ledger.add(PAYLOAD, 0);
  assert.deepEqual(ledger.take().map(({ lost }) => lost), [0, 0, 0]);
  return { ledger, again: () => ledger.onWelcome(1n, 0).map(({ lost }) => lost) };
}

test("a lost connection makes every command in flight suspect, and after that the first", () => {
  const { ledger, again } = three();
  ledger.countLoss(0n);
  assert.deepEqual(again(), [1, 1, 1]);
  ledger.countLoss(0n);
  assert.deepEqual(again(), [2, 1, 1]);
  ledger.onReply(1n, PAYLOAD, undefined);
  ledger.countLoss(0n);
  assert.deepEqual(again(), [2, 1]);
});

test("what the server suspects counts too, and what it has not reached does not", () => {
  const { ledger, again } = three();
  ledger.suspect([2n, 9n]);
  assert.deepEqual(again(), [0, 1, 0]);
  ledger.countLoss(0n);
  assert.deepEqual(again(), [1, 1, 0]);
});

test("edges whose connections were lost are named, each once, and only those of one suspect", () => {
  const { ledger } = three();
  const again = () => ledger.onWelcome(1n, 0).map(({ lostAt }) => lostAt.map(Number));
  ledger.countLoss(7n);
  assert.deepEqual(again(), [[7], [7], [7]]);
  ledger.countLoss(8n);
  ledger.countLoss(7n);
  assert.deepEqual(again(), [[7, 8], [7], [7]]);
  for (let life = 20n; life < 40n; life++) ledger.countLoss(life);
  assert.equal(again()[0]!.length, 8);
});

test("what is too old when the session goes on is not begun, and what was sent is only asked about", async () => {
  const ledger = new Ledger();
  ledger.onWelcome(1n, 0);
  void ledger.add(PAYLOAD, 0);
  ledger.take();
  const typed = ledger.add(PAYLOAD, 10);
  void ledger.add(PAYLOAD, 5_000);
  const again = ledger.onWelcome(1n, 11 + AGE_MS_MAX);
  assert.deepEqual(again.map(({ seq, asks }) => [seq, asks]), [[1n, true]]);
  await assert.rejects(typed, (error: { code?: string }) => error.code === "expired");
  assert.deepEqual(ledger.take().map(({ seq, asks }) => [seq, asks]), [[2n, false]]);
});

test("commands go in messages that no server refuses for their size", () => {
  const command = { payload: new Uint8Array(4_096), lost: 0, lostAt: [1n << 60n], asks: false };
  const all = [...Array(32).keys()].map((n) => ({ ...command, seq: BigInt(n) }));
  const batches = [...inMessages(all)];
  assert.deepEqual(batches.flat(), all);
  assert.ok(batches.every((batch) => batch.length > 0 && batch.length <= 3));
  assert.deepEqual([...inMessages([])], []);
});
