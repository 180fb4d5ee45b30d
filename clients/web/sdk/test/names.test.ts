/** The rules of names are told before a name is chosen. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { askNames } from "../src/index.js";
import { FakeEnvironment } from "./fake.js";

test("a hello without a name is answered with the rules", async () => {
  const env = new FakeEnvironment();
  const asked = askNames("ws://host/ws", env);
  env.socket.open();
  const hello = env.socket.sent[0]?.hello;
  assert.deepEqual([hello?.name, hello?.nonce.length, hello?.token.length], ["", 0, 0]);
  const names = { charactersMin: 2, charactersMax: 16, text: "Letters, please." };
  env.socket.say({ refused: { code: "name_wanted", text: "Choose a name." }, names });
  const told = await asked;
  assert.equal(told?.text, "Letters, please.");
  assert.equal(told?.charactersMax, 16);
  assert.equal(env.socket.isClosed, true);
});

test("whoever does not say them keeps nobody waiting", async () => {
  const env = new FakeEnvironment();
  const asked = askNames("ws://host/ws", env);
  env.socket.open();
  env.pass(5_000);
  assert.equal(await asked, undefined);
  const again = askNames("ws://host/ws", env);
  env.socket.drop();
  assert.equal(await again, undefined);
});
