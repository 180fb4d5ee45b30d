// The built SDK as the conformance kit wants it: wishes from standard input, events as lines of JSON to standard output.
// The contract is in crates/conformance/src/stage.rs. `node conformance/client.mjs URL NAME`
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { Client } from "../dist/gundo.js";
import { open } from "./socket.mjs";

const [url, name] = process.argv.slice(2);
const tell = (event, more) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const id = ({ kind, id }) => `${kind}/${id}`;
const HEADINGS = 128;

const client = new Client({
  edges: [url],
  environment: {
    now: () => performance.now(),
    after: (ms, callback) => setTimeout(callback, ms),
    cancel: clearTimeout,
    random: Math.random,
    secret: (length) => new Uint8Array(randomBytes(length)),
    open,
  },
});

client.on("state", (state) => {
  if (state.kind === "ended") tell("ended", { code: state.reason.code });
  if (state.kind === "name_needed" && state.refusal) tell("refused", { code: state.refusal.code });
});
client.on("welcome", (welcome) => tell("welcome", { own: hex(welcome.own) }));
client.on("own", (payload) => tell("own", { payload: hex(payload) }));
// After the replies before it: their promises settle when this turn of the event loop ends.
client.on("told", (payload) => setImmediate(() => tell("told", { payload: hex(payload) })));
client.on("correction", ({ seq, x, y, code }) => tell("corrected", { seq, x, y, code }));
client.on("notice", ({ code, text }) => tell("notice", { code, text }));
client.on("watched", (watched) =>
  tell("watched", { id: id(watched), public: watched.public && hex(watched.public), refusal: watched.refusal?.code }),
);
client.picture.on("signal", (entity, payload) => tell("signal", { id: id(entity), payload: hex(payload) }));

let commands = 0;
const wishes = {
  command(digits) {
    const nth = ++commands;
    client.command(new Uint8Array(Buffer.from(digits, "hex"))).then(
      (payload) => tell("reply", { nth, payload: hex(payload) }),
      (refusal) => tell("reply", { nth, refusal: refusal.code }),
    );
  },
  move(x, y, heading, speed) {
    client.move({ x: +x, y: +y, heading: (+heading / HEADINGS) * Math.PI * 2, speed: speed / 10 });
  },
  name: (other) => client.connect(other),
  invitation: (text) => client.connect(undefined, text),
  watch: (kind, id) => client.watch(+kind, BigInt(id)),
  leave: () => client.leave(),
  picture() {
    // What is in transit is kept for people's eyes only: no publisher lists it.
    const listed = [...client.picture.entities.values()].filter((entity) => !entity.inTransit);
    const entities = listed.map((entity) => {
      const { x, y, heading, speed } = entity.body;
      const turn = Math.round((heading / (Math.PI * 2)) * HEADINGS) % HEADINGS;
      const body = entity.hasBody ? { x, y, heading: turn, speed: Math.round(speed * 10) } : {};
      return { id: id(entity), public: hex(entity.public), ...body };
    });
    tell("picture", { entities });
  },
};

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const [wish, ...words] = line.split(" ");
  if (wishes[wish]) wishes[wish](...words);
  else tell("cannot", { wish: line });
});
lines.on("close", () => process.exit(0));
client.connect(name);
