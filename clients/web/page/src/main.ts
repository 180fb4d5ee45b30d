/** The page: connects client, world, scene and controls, and draws a picture whenever the screen asks for one. */
import { askEntry, Client, LocalStore, RememberedEdges, standing, Walker, type Standing } from "@gundo/client";
import { Again } from "./again.js";
import { BuildMode, type Ghost } from "./build.js";
import { Camera } from "./camera.js";
import { Changes } from "./changes.js";
import { line } from "./doors.js";
import { EstatePanel } from "./estate.js";
import { Building, Stage } from "./gen/pioneer_pb.js";
import { Ground } from "./ground.js";
import { Guide } from "./guide.js";
import { installHooks } from "./hooks.js";
import { Hud } from "./hud.js";
import { Input } from "./input.js";
import { Mail } from "./mail.js";
import { Minimap } from "./minimap.js";
import { People } from "./people.js";
import { Scene } from "./scene.js";
import { StallPanel } from "./stall.js";
import { isRefusal, World, type PlacedThing, type PlayerWish } from "./world.js";

const canvas = document.getElementById("scene") as HTMLCanvasElement;
const context = canvas.getContext("2d", { alpha: false });
if (!context) throw new Error("this browser cannot draw");

const edge = new URL("ws", location.href);
edge.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const keys = new LocalStore("pioneer.token");
/** Somebody was sent here by an address with an invitation in it. */
const invitation = new URL(location.href).searchParams.get("invite") ?? "";
const edges = new RememberedEdges("pioneer.edges");
const client = new Client({ edges: [edge.href, ...edges.load(edge.href)], store: keys, client: "pioneer web 0.1", invitation });
const changes = new Changes(client, () => performance.now());
const world = new World(client);
const walker = new Walker(client, {
  get speedMm() {
    return world.description?.speedMaxMm;
  },
  isOpen: (ax, ay, bx, by) => world.isOpen(ax, ay, bx, by),
});
const camera = new Camera();
const mode = new BuildMode(world);
let scene: Scene | undefined;
let map: Minimap | undefined;
let ghost: Ghost | undefined;
let target: PlacedThing | undefined;

const hud = new Hud(world, {
  craft: (recipe) => act(`craft ${world.recipeName(recipe)}`, () => world.send({ case: "craft", value: { recipe, count: 1 } }), (reply) => tell("made", reply.gained)),
  choose: (building) => (mode.what = building),
  demolish: () => demolish(),
  hold: (item) => act(item ? `hold ${world.itemName(item)}` : "put away what you hold", () => world.send({ case: "hold", value: { item } })),
  join: (name, invitation) => client.connect(name, invitation),
  recover: (code) => client.recover(code),
  code: () => client.recoveryCode,
  invitation: () => client.invitation,
  doNow: () => again.doNow(),
  leaveIt: () => again.leave(),
  entry: () => askEntry(client.edges[0]!.url),
  say: (text) => !isAway() && (act(`say “${text}”`, () => world.send({ case: "say", value: { text } })), true),
  help: (how) => (how === "reload" ? location.reload() : client.connect()),
});

const panelWishes = {
  act: (what: string, wish: PlayerWish, done?: (reply: Reply) => void, refused?: (code: string) => void) => act(what, () => world.send(wish), done, false, refused),
  toast: (text: string, no?: boolean) => hud.toast(text, no),
  place: () => walker,
};
const people: People = new People(world, { ...panelWishes, opened: () => makeRoom(people), write: (to) => mail.write(to) });
const mail: Mail = new Mail(world, { ...panelWishes, opened: () => makeRoom(mail) });
const stall: StallPanel = new StallPanel(world, { ...panelWishes, opened: () => makeRoom(stall) });
const estate: EstatePanel = new EstatePanel(world, { ...panelWishes, opened: () => makeRoom(estate) }, document.getElementById("landbutton") as HTMLButtonElement);
const sides = [people, mail, stall, estate];

/** One panel at a time is at the side; without one given, none. */
function makeRoom(side?: (typeof sides)[number]): void {
  if (side) hud.closePanel();
  for (const other of sides) if (other !== side && other.isOpen) other.close();
}

const input = new Input(canvas, {
  gather: () => gather(),
  build: () => openPanel("build"),
  craft: () => openPanel("craft"),
  people: () => people.toggle(),
  mail: () => mail.toggle(),
  stall: () => stall.toggle(),
  guild: () => people.toggleGuild(),
  land: () => estate.toggle(),
  rotate: () => mode.rotate(),
  place: () => place(),
  demolish: () => demolish(),
  cancel: () => {
    hud.closeChat();
    if (mode.what !== undefined) hud.choose(undefined);
    else if (!sides.some((side) => side.back())) hud.closePanel();
  },
  chat: () => hud.openChat(),
  xray: () => {
    scene?.xray.toggle();
    showXRay();
  },
  map: () => map?.toggle(),
  number: (n) => {
    const info = world.description?.buildings[n - 1];
    if (hud.panel === "build" && info) hud.choose(info.building);
  },
  zoom: (factor) => camera.zoomBy(factor),
  press: (x, y, touch) => press(x, y, touch),
});
document.getElementById("map")?.addEventListener("click", () => map?.toggle());

/** Nothing can be done while the connection is lost. Says so. */
function isAway(): boolean {
  if (!connection.isOld) return false;
  hud.toast("Not now: the connection is lost. What you typed stays.", true);
  return true;
}

type Reply = Awaited<ReturnType<World["send"]>>;

const again = new Again((whats) => hud.showAgain(whats));

/**
 * Sends a command, and shows how it ended: what it gained, or why it was refused. If it became too old while the connection was
 * down, the person is offered it once. `what`: the command in words.
 */
function act(what: string, send: () => Promise<Reply>, done?: (reply: Reply) => void, isAgain = false, refused?: (code: string) => void): void {
  if (isAway()) return;
  send().then(done).catch((error: unknown) => {
    if (!isRefusal(error)) throw error;
    if (error.code === "expired" && !isAgain) again.offer(what, () => act(what, send, done, true, refused));
    else {
      hud.toast(error.text, true);
      refused?.(error.code);
    }
  });
}

/** Craft and build have the room of the panel of people on small screens. */
function openPanel(panel: "craft" | "build"): void {
  makeRoom();
  hud.toggle(panel);
}

function tell(verb: string, stacks: Reply["gained"]): void {
  const words = stacks.map((stack) => `${stack.count} ${world.itemName(stack.item)}`).join(", ");
  if (words) scene?.effects.rise(performance.now(), walker.x, walker.y, verb === "gathered" ? `+${words}` : `${verb} ${words}`);
}

function gather(): void {
  const thing = world.thingInReach(walker.x, walker.y);
  if (!thing) return hud.toast("Nothing to gather here. Step up to a tree, a rock or a bush.", true);
  if (thing.thing.stage === Stage.BARE) return hud.toast(`Nothing left on this ${thing.info.name}. It grows again.`, true);
  act(`gather from the ${thing.info.name}`, () => world.gather(thing), (reply) => tell("gathered", reply.gained));
}

function place(): void {
  if (!ghost) return;
  if (ghost.barred) return hud.toast(`Not here: ${ghost.barred}.`, true);
  const { what, x, y, rotation } = ghost;
  act(`build ${world.buildingName(what)}`, () => world.build(what, x, y, rotation), (reply) => {
    built = true;
    tell("used", reply.spent);
  });
}

function demolish(): void {
  const building = world.ownBuildingInReach(walker.x, walker.y);
  if (!building) return hud.toast("Nothing that you may take down is within reach.", true);
  act(`take down ${world.buildingName(building.built.what)}`, () => world.demolish(building), (reply) => tell("got back", reply.gained));
}

function press(x: number, y: number, touch: boolean): void {
  if (!hud.chat.hidden) return hud.closeChat();
  if (mode.what !== undefined) {
    // A finger first puts the ghost in place; a second touch there builds.
    const before = ghost;
    updateGhost();
    if (!touch || (before && ghost && before.x === ghost.x && before.y === ghost.y)) place();
    return;
  }
  const [mx, my] = [camera.worldX(x), camera.worldY(y)];
  const person = world.playerAt(mx, my);
  const market = person ? undefined : world.stallAt(mx, my);
  if (person) people.show(person);
  else if (market) stall.show(market);
  else walker.goal = { x: mx, y: my };
}

function updateGhost(): void {
  const { pointer } = input;
  const x = pointer ? camera.worldX(pointer.x) : walker.x + Math.cos(walker.heading) * 3_000;
  const y = pointer ? camera.worldY(pointer.y) : walker.y + Math.sin(walker.heading) * 3_000;
  ghost = mode.ghost(x, y, walker.x, walker.y);
}

// ---- events of the world --------------------------------------------------------------------------------------------

client.on("state", (state) => {
  hud.onState(state);
  if (state.kind === "ended" && state.reason.code === "bad_protocol") reloadOnce();
  showConnection();
  showXRay();
});
client.on("welcome", (_, { resumed }) => {
  if (!keys.lasts && !resumed) {
    hud.toast("Your browser keeps nothing for this page. When you close it, there is no way back to this player.", true);
  }
});
client.on("edges", (known) => {
  edges.save(known.map(({ url }) => url));
  showXRay();
});
client.on("slow", (slow) => {
  if (slow) hud.toast("Your line is slow: everything takes a little longer.");
});
client.on("notice", (notice) => hud.toast(notice.text, true));
world.on("ready", () => {
  const typed = typedBefore();
  if (typed) hud.openChat(typed);
  if (!world.terrain || !context) return;
  canvas.hidden = false;
  const ground = new Ground(world.terrain);
  scene = new Scene(context, camera, world, walker, ground);
  map = new Minimap(document.getElementById("map") as HTMLCanvasElement, world, walker, ground.map);
});
world.on("thing", (thing, was) => {
  if (thing.thing.stage > was) scene?.effects.fell(performance.now(), thing, was);
});
world.on("building", (building, built) => {
  const colours = building.built.what === Building.CAMPFIRE ? ["#ffb052", "#a5a19b"] : ["#bb8d61", "#8a6242", "#e0bd8c"];
  scene?.effects.burst(performance.now(), building.x, building.y, built ? 0.6 : 1.2, built ? 16 : 30, colours);
});
world.on("signal", (entity, { signal }) => {
  const muted = world.own.blocked.some(({ id }) => id === entity.id);
  if (signal.case !== "said" || muted) return;
  scene?.effects.say(performance.now(), entity.key, signal.value.text);
  hud.talk.add(world.players.get(entity.key)?.name ?? "Somebody", signal.value.text, entity.key === client.me?.key);
});

/** A page that is older than the server loads itself again, once: a server that is older than the page is not asked for ever. */
function reloadOnce(): void {
  const now = Date.now();
  try {
    if (now - Number(sessionStorage.getItem("pioneer.reloaded") ?? 0) < RELOAD_MS) return;
    sessionStorage.setItem("pioneer.reloaded", String(now));
    sessionStorage.setItem("pioneer.typed", hud.chatInput.value);
  } catch {
    // Without a memory it cannot be said how often it was; the card has a button for it.
    return;
  }
  location.reload();
}

/** What was typed before the page loaded itself again. */
function typedBefore(): string {
  try {
    const typed = sessionStorage.getItem("pioneer.typed") ?? "";
    sessionStorage.removeItem("pioneer.typed");
    return typed;
  } catch {
    return "";
  }
}

const guide = new Guide();
/** Something was built in this visit. */
let built = false;
let awayAt = performance.now();
let connection: Standing = standing(client.state, false, 0);

/** Shows how the connection is, and for how long it has been so. */
function showConnection(): void {
  const now = performance.now();
  const { state } = client;
  if (state.kind !== "connecting") awayAt = now;
  const wasIn = client.me !== undefined;
  connection = standing(state, wasIn, now - awayAt);
  hud.showConnection(state, line(state, connection, wasIn), connection);
}

// ---- pictures ----------------------------------------------------------------------------------------------------------

const rates = { bytes: 0, updates: 0, fps: 0, ownGapMs: 0 };
let drawn: number[] = [];
let gapMsMax = 0;
let last = performance.now();
let counted = { at: last, bytes: 0, updates: 0 };

/** A page that was loaded again does not load itself again within this time, ms. */
const RELOAD_MS = 60_000;
/** Time between two looks at who is near, ms. */
const PEOPLE_MS = 150;
let peopleAt = -Infinity;

function showXRay(): void {
  if (scene) hud.showXRay(scene.xray, changes, rates);
}

function count(now: number): void {
  const passed = (now - counted.at) / 1_000;
  if (passed < 1) return;
  rates.bytes = (client.bytesReceived - counted.bytes) / passed;
  rates.updates = (client.picture.updates - counted.updates) / passed;
  rates.fps = drawn.length;
  rates.ownGapMs = client.ownMotion.gapMsMax;
  counted = { at: now, bytes: client.bytesReceived, updates: client.picture.updates };
  showXRay();
}

function picture(now: number): void {
  requestAnimationFrame(picture);
  // A hidden page draws nothing; the player does not walk during that time.
  const ms = Math.min(Math.max(now - last, 0), 250);
  gapMsMax = Math.max(gapMsMax, now - last);
  last = now;
  drawn.push(now);
  while (drawn.length > 0 && now - drawn[0]! > 1_000) drawn.shift();
  camera.fit(canvas);
  const [dx, dy] = connection.isOld ? [0, 0] : input.direction;
  walker.step(now, ms, dx, dy);
  camera.x = walker.drawnX;
  camera.y = walker.drawnY - 600;
  count(now);
  if (now - peopleAt > PEOPLE_MS) {
    peopleAt = now;
    showConnection();
    people.draw(now);
    mail.draw();
    stall.draw();
    estate.draw();
  }
  if (!scene || !client.me) return;
  updateGhost();
  target = mode.what === undefined ? world.thingInReach(walker.x, walker.y) : undefined;
  const full = target && target.thing.stage !== Stage.BARE;
  const gathers = full && target ? `gather ${world.itemName(target.info.gives)} from the ${target.info.name}` : "";
  const atStall = !gathers && mode.what === undefined && !stall.isOpen && stall.near(walker.x, walker.y) !== undefined;
  hud.hint(atStall ? "KeyT" : "KeyE", atStall ? "look at the stall" : gathers);
  guide.draw(walker, { bag: world.own.slots.map((slot) => slot.item), reaches: full === true, built: built || world.ownBuildingInReach(walker.x, walker.y) !== undefined }, connection.isOld);
  scene.draw(now, ghost, target);
  map?.draw(now);
}

installHooks(
  world,
  walker,
  changes,
  () => {
    const answer = { perSecond: drawn.length, gapMsMax };
    gapMsMax = 0;
    return answer;
  },
  () => [...(scene?.effects.bubbles ?? [])].map(([key, { text }]) => ({ key, text })),
);
requestAnimationFrame(picture);
client.connect();
// Only over TLS, and on this machine. Without it, a reload needs the server that the page came from.
void navigator.serviceWorker?.register("sw.js").catch(() => undefined);
