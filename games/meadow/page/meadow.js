// The page of the meadow: what the server tells, and what the gardener wants; draw.js paints it. There is no build step: browsers
// load these files as they are, and the SDK from the server, which has it at /gundo.js.
import { BinaryReader, BinaryWriter, Client, LocalStore, Refusal, standing, Walker, WireType } from "/gundo.js";
import { draw, MM_PER_PIXEL } from "./draw.js";

// The messages, as `meadow schema` prints them: name and type of each field by its number; `[FLOWER]` is a list of flowers.
const FLOWER = { 1: ["x", "sint32"], 2: ["y", "sint32"], 3: ["planted_at", "uint64"], 4: ["ripe", "bool"] };
const MEADOW = { 1: ["flowers", [FLOWER]] };
const GARDENER = { 1: ["name", "string"], 2: ["flowers", "uint32"] };
const GARDENER_KIND = 1;
const WISHES = { plant: 1, pick: 2 };
const SPEED_MM = 4_000; // what the server allows, mm/s

/** Reads a message. A field that is not in the bytes has the default of its type. */
function read(bytes, fields) {
  const defaults = { sint32: 0, uint32: 0, uint64: 0n, bool: false, string: "" };
  const message = {};
  for (const [name, type] of Object.values(fields)) message[name] = Array.isArray(type) ? [] : defaults[type];
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    const [name, type] = fields[number] ?? [];
    if (name === undefined) reader.skip(wire, number); // a newer server's
    else if (Array.isArray(type)) message[name].push(read(reader.bytes(), type[0]));
    else message[name] = reader[type]();
  }
  return message;
}

const element = (id) => document.getElementById(id);
const client = new Client({
  edges: [location.origin.replace("http", "ws") + "/ws"],
  store: new LocalStore("meadow.token"),
  client: "meadow page",
});
const gardeners = new Map(); // what the entities in sight show, by key
const meadows = new Map();
const me = new Walker(client, { speedMm: SPEED_MM, isOpen: () => true }); // the own body; nothing stands in a gardener's way
const keys = new Set();

// What the server tells. The client resumes a lost connection by itself.
client.on("state", (state) => {
  element("status").textContent = client.stateInWords;
  element("join").hidden = !["name_needed", "ended"].includes(state.kind);
  element("name").hidden = state.kind === "ended";
  element("why").textContent = (state.refusal ?? state.reason)?.text ?? "Plant flowers, wait a minute, pick them.";
  if (state.kind === "name_needed") element("name").focus();
});
client.on("own", (bytes) => (element("arms").textContent = `You carry ${read(bytes, GARDENER).flowers} of 20`));
client.picture.on("enter", look);
client.picture.on("change", look);
client.picture.on("leave", (entity) => (gardeners.delete(entity.key), meadows.delete(entity.key), count()));

function look(entity) {
  const isGardener = entity.kind === GARDENER_KIND;
  (isGardener ? gardeners : meadows).set(entity.key, read(entity.public, isGardener ? GARDENER : MEADOW));
  count();
}

function count() {
  const flowers = [...meadows.values()].flatMap((meadow) => meadow.flowers);
  const many = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
  const ripe = flowers.filter((flower) => flower.ripe).length;
  element("sight").textContent = `${many(gardeners.size, "gardener")}, ${many(flowers.length, "flower")}, ${ripe} ripe`;
}

// What the gardener wants.
async function wish(what) {
  element("message").textContent = "";
  const nothing = new Uint8Array();
  const payload = new BinaryWriter().tag(WISHES[what], WireType.LengthDelimited).bytes(nothing).finish();
  try {
    await client.command(payload);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    element("message").textContent = error.text;
  }
}

element("join").onsubmit = (event) => {
  event.preventDefault();
  client.connect(element("name").hidden ? undefined : element("name").value.trim());
};
for (const what of Object.keys(WISHES)) {
  element(what).onclick = () => wish(what);
  element(what).onkeydown = (event) => event.key === " " && event.preventDefault(); // the space key picks, and no more
}
addEventListener("keydown", (event) => {
  if (event.target === element("name") || event.ctrlKey || event.metaKey) return;
  if (event.key.startsWith("Arrow")) keys.add(event.key);
  else if (event.key === " " && !event.repeat) wish("pick");
  else if (event.key.toLowerCase() === "p" && !event.repeat) wish("plant");
});
addEventListener("keyup", (event) => keys.delete(event.key));
addEventListener("blur", () => keys.clear());
element("meadow").onpointerdown = ({ clientX, clientY }) => {
  me.goal = { x: me.x + (clientX - innerWidth / 2) * MM_PER_PIXEL, y: me.y + (clientY - innerHeight / 2) * MM_PER_PIXEL };
};

/** The picture is dim while it is old. */
let wellAt = performance.now();
function showConnection(now) {
  if (client.state.kind !== "connecting") wellAt = now;
  const { isOld, trouble, text } = standing(client.state, client.me !== undefined, now - wellAt);
  element("meadow").style.opacity = isOld ? 0.5 : 1;
  if (trouble === "unanswered" || trouble === "refused") element("status").textContent = `${text || "Nobody answers."} Trying again …`;
}

/** Everything in sight, back to front. */
function show() {
  const things = [...meadows.values()].flatMap((meadow) => meadow.flowers);
  for (const [key, gardener] of gardeners) {
    const entity = client.picture.entities.get(key);
    const isMine = entity === client.ownEntity;
    const { x, y } = isMine ? { x: me.drawnX, y: me.drawnY } : client.picture.bodyOf(entity, client.worldMs, client.lateMs, {});
    things.push({ ...gardener, x, y, isMine });
  }
  draw(element("meadow"), { x: me.drawnX, y: me.drawnY }, things);
}

let last = performance.now();
function frame(now) {
  showConnection(now);
  me.step(now, Math.min(now - last, 250), keys.has("ArrowRight") - keys.has("ArrowLeft"), keys.has("ArrowDown") - keys.has("ArrowUp"));
  last = now;
  show();
  requestAnimationFrame(frame);
}
requestAnimationFrame(frame);
client.connect();
